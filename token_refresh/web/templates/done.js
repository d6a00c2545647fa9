(async () => {
  const shown = document.querySelector(".progress");
  while (shown.dataset.next) {
    await new Promise(go => setTimeout(go, shown.dataset.delay * 1000));
    const answer = await fetch(`?look=${shown.dataset.next}`, { cache: "no-store" });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.querySelector(".progress");
    if (!fresh) return;
    document.title = page.title;
    delete shown.dataset.next;
    Object.assign(shown.dataset, fresh.dataset);
    shown.replaceChildren(...fresh.childNodes);
  }
})().catch(() => {});
