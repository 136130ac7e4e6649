// Follows the log: when something happened, the page is fetched again and its main part replaced.
// Without this script the page is the same, and is reloaded by hand.
"use strict";
(() => {
  const main = document.getElementById("main");
  const said = document.getElementById("said");
  if (!main || !main.dataset.stream) return;
  const SETTLE = 300;
  const EVERY = 30000;
  const EVERY_WHILE_READING = 5000;
  let timer = 0;
  let again = false;
  let running = false;

  const replace = (text) => {
    const next = new DOMParser().parseFromString(text, "text/html").getElementById("main");
    if (!next) return;
    main.dataset.cursor = next.dataset.cursor; // also of another log whose page looks the same
    if (next.innerHTML === main.innerHTML) return;
    const held = main.contains(document.activeElement) ? document.activeElement : null;
    if (held && held.matches("input")) return; // nobody's typing is taken away
    const name = held && held.getAttribute("href");
    const focus = held && held.id;
    // where a wide table was scrolled to; tables are known by what they are called
    const wide = () => Array.from(main.querySelectorAll(".wide"));
    const places = new Map(wide().map((table) => [table.getAttribute("aria-label"), table.scrollLeft]));
    main.replaceChildren(...Array.from(next.childNodes, (node) => document.importNode(node, true)));
    for (const table of wide()) table.scrollLeft = places.get(table.getAttribute("aria-label")) ?? 0;
    if (focus) document.getElementById(focus)?.focus();
    else if (name) main.querySelector(`a[href="${CSS.escape(name)}"]`)?.focus();
    said.textContent = `${said.dataset.updated} ${new Date().toLocaleTimeString(document.documentElement.lang)}`;
  };

  const refresh = async () => {
    if (running) {
      again = true;
      return;
    }
    running = true;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-cache" });
      if (answer.ok) replace(await answer.text());
    } catch {
      // the next look will tell
    }
    running = false;
    if (again) {
      again = false;
      soon();
    }
  };

  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(refresh, SETTLE);
  };

  let source = null;
  const listen = () => {
    source = new EventSource(`${main.dataset.stream}?after=${encodeURIComponent(main.dataset.cursor)}`);
    for (const type of main.dataset.events.split(" ")) source.addEventListener(type, soon);
  };
  listen();
  const look = async () => {
    if (!document.hidden) {
      await refresh(); // how fresh a balance is changes without an event, and so does a first reading
      if (source.readyState === EventSource.CLOSED) listen();
    }
    later();
  };
  const later = () => setTimeout(look, main.querySelector("progress") ? EVERY_WHILE_READING : EVERY);
  later();
  addEventListener("pagehide", () => source.close());
  addEventListener("pageshow", (shown) => {
    if (shown.persisted) {
      listen();
      soon();
    }
  });
})();
