(() => {
  const rows = [...document.querySelectorAll(".row")];
  const list = document.querySelector(".rows");
  const chips = [...document.querySelectorAll(".chip")];
  const find = document.querySelector(".find");
  const sort = document.querySelector(".sort");
  const nothing = document.querySelector(".nothing");
  const said = document.querySelector("[aria-live]");
  let state = "";

  const show = () => {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    let left = 0;
    for (const row of rows) {
      const { name, owner, provider } = row.dataset;
      const text = `${name} ${owner} ${provider}`;
      row.hidden = (state && row.dataset.state !== state) || !words.every((word) => text.includes(word));
      left += !row.hidden;
    }
    list.hidden = left === 0;
    nothing.hidden = left > 0;
  };
  const choose = (value) => {
    state = value;
    for (const chip of chips) chip.setAttribute("aria-pressed", String(chip.dataset.state === value));
    show();
  };
  const order = {
    state: (a, b) => a.dataset.rank - b.dataset.rank,
    expires: (a, b) => a.dataset.expires - b.dataset.expires,
  };
  const arrange = () => {
    const by = sort.value;
    const compare = order[by] ?? ((a, b) => a.dataset[by].localeCompare(b.dataset[by]) || order.state(a, b));
    list.append(...rows.sort(compare));
  };

  for (const chip of chips) chip.addEventListener("click", () => choose(chip.dataset.state));
  find.addEventListener("input", show);
  sort.addEventListener("change", arrange);
  document.querySelector(".clear").addEventListener("click", () => { find.value = ""; choose(""); find.focus(); });

  for (const link of document.querySelectorAll(".copy")) {
    if (!navigator.clipboard) break;
    const label = link.firstElementChild;
    label.textContent = "Copy consent link";
    link.setAttribute("role", "button");
    const copy = async (event) => {
      event.preventDefault();
      try {
        await navigator.clipboard.writeText(link.href);
      } catch {
        location.assign(link.href);
        return;
      }
      link.classList.add("done");
      label.textContent = "Copied";
      said.textContent = "The consent link has been copied.";
      setTimeout(() => { link.classList.remove("done"); label.textContent = "Copy consent link"; }, 2000);
    };
    link.addEventListener("click", copy);
    link.addEventListener("keydown", (event) => { if (event.key === " ") copy(event); });
  }
  document.querySelector(".tools").hidden = false;
  history.replaceState(null, "", location.pathname);
})();
