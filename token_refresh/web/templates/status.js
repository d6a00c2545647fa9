(() => {
  "use strict";
  const EVERY = 30_000, SOON = 2_000, ASKED = 90_000, TYPING = 150;
  const content = document.querySelector(".content");
  const said = document.querySelector(".said");
  const one = new URLSearchParams(location.search).get("connection");
  const all = (selector, root = content) => [...root.querySelectorAll(selector)];
  const rowOf = (name) => all(".row").find((row) => row.dataset.name === name);
  const say = (text) => { said.textContent = ""; said.textContent = text; };

  // Times: in the reader's own zone, and counted down here, so that nothing has to be fetched for it.
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
  document.querySelector(".zone").textContent = zone.replaceAll("_", " ");
  const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
  const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
  const dayOfYear = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
  const midnight = (time, days = 0) => new Date(time.getFullYear(), time.getMonth(), time.getDate() + days).getTime();
  const at = (time, now) => {
    const hour = clock.format(time), date = midnight(time);
    if (date === midnight(now)) return hour;
    if (date === midnight(now, 1)) return `tomorrow ${hour}`;
    if (date === midnight(now, -1)) return `yesterday ${hour}`;
    return `${(time.getFullYear() === now.getFullYear() ? day : dayOfYear).format(time)} ${hour}`;
  };
  const span = (milliseconds) => {
    const seconds = Math.max(Math.floor(milliseconds / 1000), 0);
    const days = Math.floor(seconds / 86400), hours = Math.floor(seconds / 3600) % 24;
    const minutes = Math.floor(seconds / 60) % 60;
    if (days) return hours && days < 7 ? `${days} d ${hours} h` : `${days} d`;
    if (hours) return minutes ? `${hours} h ${minutes} min` : `${hours} h`;
    if (seconds >= 120) return `${minutes} min`;
    return seconds >= 60 ? `${minutes} min ${seconds % 60} s` : `${seconds} s`;
  };
  const tick = () => {
    const now = new Date();
    for (const element of all("time")) {
      const time = new Date(element.dateTime), left = time - now;
      if (Number.isNaN(left)) continue;
      const kind = element.className;
      const text = kind === "ago" ? span(-left)
        : kind !== "left" ? at(time, now)
        : left > 0 ? `${span(left)} left` : `ran out ${span(-left)} ago`;
      if (element.textContent !== text) element.textContent = text;
      if (!element.title) element.title = time.toLocaleString("en-GB", { dateStyle: "full", timeStyle: "long" });
      if (kind === "left") element.parentElement.parentElement.classList.toggle("over", left <= 0);
    }
    for (const bar of all("progress")) {
      bar.value = Math.max((new Date(bar.dataset.until) - now) / 1000, 0);
      bar.hidden = false;
    }
  };

  // What is asked for stands in the address: a reload, a bookmark and a colleague see the same.
  const asked = () => new URLSearchParams(location.search);
  const address = (changes) => {
    const query = asked();
    for (const [key, value] of Object.entries(changes)) value ? query.set(key, value) : query.delete(key);
    query.delete("requested");
    const text = query.toString();
    return text ? `?${text}` : location.pathname;
  };

  let digest = "", running = null, timer = 0, looked = Date.now();
  const ask = async (query, signal) => {
    const answer = await fetch(`?${query}`, { headers: { Accept: "application/json" }, signal });
    if (!answer.ok) throw new Error(String(answer.status));
    return answer.json();
  };
  const parse = (html) => {
    const template = document.createElement("template");
    template.innerHTML = html;
    return template.content;
  };
  // Rows that have not changed stay the very same elements: open details, focus and results survive.
  const adopt = (row, fresh) => {
    const open = row.querySelector(".all").open;
    const result = row.querySelector(".result");
    if (open) fresh.querySelector(".all").open = true;
    if (!result.hidden) fresh.querySelector(".result").replaceWith(result);
    if (row.dataset.waits) fresh.dataset.waits = row.dataset.waits;
    const history = row.querySelector(".history");
    if (history.childElementCount) fresh.querySelector(".history").replaceWith(history);
  };
  const whereFocusIs = () => {
    const element = document.activeElement;
    if (!element || !content.contains(element)) return () => {};
    const row = element.closest(".row")?.dataset.name;
    const kind = [...element.classList].find((name) => ["find", "sort", "copy", "clear", "copies"].includes(name));
    const selector = kind ? `.${kind}` : element.tagName.toLowerCase();
    const place = all(selector, row ? element.closest(".row") : content).indexOf(element);
    const selection = element.matches(".find") ? [element.selectionStart, element.selectionEnd, element.value] : null;
    return () => {
      if (document.activeElement === element && content.contains(element)) return;
      const root = row ? rowOf(row) : content;
      const target = root && all(selector, root)[Math.max(place, 0)];
      target?.focus({ preventScroll: true });
      if (target && selection) { target.value = selection[2]; target.setSelectionRange(selection[0], selection[1]); }
    };
  };
  const show = (html) => {
    const restore = whereFocusIs();
    const fresh = parse(html);
    const before = new Map(all(".row").map((row) => [row.dataset.name, row]));
    const folds = new Map(all(".fold").map((fold) => [fold.dataset.fold, fold.open]));
    for (const row of all(".row", fresh)) {
      const old = before.get(row.dataset.name);
      if (!old) continue;
      if (old.dataset.key === row.dataset.key) row.replaceWith(old);
      else adopt(old, row);
    }
    for (const fold of all(".fold", fresh)) if (folds.has(fold.dataset.fold)) fold.open = folds.get(fold.dataset.fold);
    content.replaceChildren(...fresh.childNodes);
    dress();
    restore();
  };

  const look = async ({ announce = false } = {}) => {
    clearTimeout(timer);
    running?.abort();
    if (one) return;
    const mine = running = new AbortController();
    const query = asked();
    query.delete("requested");
    query.set("view", "page");
    query.set("seen", digest);
    content.setAttribute("aria-busy", "true");
    let soon = false;
    try {
      const answer = await ask(query, mine.signal);
      if (answer.html !== undefined) show(answer.html);
      digest = answer.digest;
      looked = Date.now();
      soon = answer.pending > 0;
      const asof = content.querySelector(".asof time");
      if (asof) { asof.dateTime = new Date(answer.as_of * 1000).toISOString(); asof.title = ""; }
      content.classList.remove("stale");
      content.querySelector(".cut")?.remove();
      tick();
      if (announce) say(content.querySelector(".found, .nothing")?.textContent ?? content.querySelector("h1").textContent);
    } catch (fault) {
      if (fault.name === "AbortError") return;
      content.classList.add("stale");
      const asof = content.querySelector(".asof");
      if (asof && !asof.querySelector(".cut")) asof.append(Object.assign(document.createElement("span"), { className: "cut", textContent: " · cannot be reached at the moment, trying again" }));
    } finally {
      if (running === mine) {
        running = null;
        content.removeAttribute("aria-busy");
        timer = setTimeout(look, soon ? SOON : EVERY);
      }
    }
  };
  const go = (changes, { push = true } = {}) => {
    history[push ? "pushState" : "replaceState"](null, "", address(changes));
    return look({ announce: true });
  };

  // Refresh now: the row is looked at every two seconds until there has been an attempt.
  const result = (name, text, kind = "") => {
    const line = rowOf(name)?.querySelector(".result");
    if (line) { line.textContent = text; line.className = `result ${kind}`; line.hidden = false; }
  };
  const wait = (name, mark, until = Date.now() + ASKED) => {
    setTimeout(async () => {
      const row = rowOf(name);
      if (!row) return;
      try {
        const answer = await ask(new URLSearchParams({ view: "row", connection: name }));
        if (answer.mark !== mark) {
          const fresh = parse(answer.html).firstElementChild;
          delete row.dataset.waits;
          adopt(row, fresh);
          const restore = whereFocusIs();
          rowOf(name).replaceWith(fresh);
          result(name, answer.said, answer.good ? "good" : "bad");
          dress();
          restore();
          tick();
          say(`${name}: ${answer.said}`);
          return;
        }
      } catch { /* the next look may succeed */ }
      if (Date.now() < until) { wait(name, mark, until); return; }
      delete rowOf(name)?.dataset.waits;
      result(name, "No attempt yet. Is the refresher running? See the log lines under Details.", "bad");
      say(`${name}: no attempt yet`);
    }, SOON);
  };
  const refresh = async (form) => {
    const row = form.closest(".row"), name = row.dataset.name;
    if (row.dataset.waits) return;
    row.dataset.waits = "1";
    result(name, "Refresh requested…");
    say(`${name}: refresh requested`);
    try {
      const answer = await fetch(location.pathname, {
        method: "POST", headers: { Accept: "application/json" }, body: new URLSearchParams(new FormData(form)),
      });
      if (!answer.ok) throw new Error(answer.status === 403 ? "This page is old: reload it." : (await answer.text()).slice(0, 200));
      wait(name, row.dataset.mark);
    } catch (fault) {
      delete row.dataset.waits;
      result(name, fault.message || "It could not be requested.", "bad");
      say(`${name}: ${fault.message}`);
    }
  };

  const copy = async (button, text) => {
    const label = button.textContent;
    if (button.dataset.copied) return;
    try { await navigator.clipboard.writeText(text); } catch { if (button.href) location.assign(button.href); return; }
    button.dataset.copied = "1";
    button.classList.add("done");
    button.textContent = "Copied";
    say("Copied");
    setTimeout(() => { delete button.dataset.copied; button.classList.remove("done"); button.textContent = label; }, 2000);
  };

  // What a script can do better than a plain page, on elements that have just come.
  const dress = () => {
    document.title = content.querySelector("[data-title]")?.dataset.title ?? document.title;
    for (const button of all(".copies")) button.hidden = !navigator.clipboard;
    if (navigator.clipboard) {
      for (const link of all("a.copy:not([role])")) { link.textContent = "Copy consent link"; link.setAttribute("role", "button"); }
    }
    for (const button of all(".go")) button.hidden = true;
    for (const details of all(".all[open]")) unfold(details);
  };
  const unfold = async (details) => {
    const place = details.querySelector("[data-history]");
    if (!place || place.dataset.asked || one) return;
    place.dataset.asked = "1";
    place.textContent = "Reading the versions…";
    try {
      const answer = await ask(new URLSearchParams({ view: "history", connection: place.dataset.history }));
      place.replaceChildren(parse(answer.html));
      tick();
    } catch { delete place.dataset.asked; place.textContent = "The versions cannot be read at the moment."; }
  };

  let typing = 0;
  content.addEventListener("click", (event) => {
    const target = event.target.closest("a, button");
    if (!target || event.metaKey || event.ctrlKey || event.shiftKey) return;
    if (target.matches(".copy[role]")) { event.preventDefault(); copy(target, target.href); }
    else if (target.matches(".copies")) copy(target, target.dataset.copy);
    else if (target.matches(".chip")) { event.preventDefault(); go({ state: target.dataset.value, incident: "", n: "" }); }
    else if (!one && target.matches(".clear, .link")) {
      event.preventDefault();
      history.pushState(null, "", target.search || location.pathname);
      const find = content.querySelector(".find");
      if (find) find.value = asked().get("q") ?? "";
      look({ announce: true });
    }
  });
  content.addEventListener("keydown", (event) => {
    if (event.key === " " && event.target.matches(".copy[role]")) { event.preventDefault(); copy(event.target, event.target.href); }
  });
  content.addEventListener("input", (event) => {
    if (!event.target.matches(".find")) return;
    clearTimeout(typing);
    const words = event.target.value;
    typing = setTimeout(() => go({ q: words.trim(), n: "" }, { push: false }), TYPING);
  });
  content.addEventListener("change", (event) => {
    if (event.target.matches(".sort")) go({ sort: event.target.value === "state" ? "" : event.target.value });
  });
  content.addEventListener("submit", (event) => {
    event.preventDefault();
    if (event.target.matches(".refresh")) refresh(event.target);
    else { clearTimeout(typing); go({ q: content.querySelector(".find").value.trim() }); }
  });
  // `toggle` does not bubble.
  content.addEventListener("toggle", (event) => {
    const details = event.target;
    if (details.matches?.(".fold")) {
      const open = all(".fold[open]").map((fold) => fold.dataset.fold).filter((name) => name !== "new");
      history.replaceState(null, "", address({ open: open.join(".") }));
    } else if (details.open && details.matches?.(".all")) unfold(details);
  }, true);
  addEventListener("popstate", () => look());
  document.addEventListener("visibilitychange", () => { if (!document.hidden && Date.now() - looked > EVERY) look(); });

  dress();
  tick();
  setInterval(tick, 1000);
  const requested = asked().get("requested");
  if (requested) {
    history.replaceState(null, "", address({}));
    const row = rowOf(requested);
    if (row) { row.dataset.waits = "1"; result(requested, "Refresh requested…"); wait(requested, row.dataset.mark); }
  }
  const pending = content.querySelector("[data-pending]");
  if (!one) timer = setTimeout(look, pending ? SOON : EVERY);
})();
