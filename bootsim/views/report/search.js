// Finding: an address leads to its owner; a name to owners, now or at another moment, and to events.

const FOUND_MAX = 30;

function addressIn(text) {
  const word = text.trim().toLowerCase();
  if (/^0x[0-9a-f]{1,12}$/.test(word)) return parseInt(word, 16);
  if (/^(?=.*[0-9])[0-9a-f]{6,12}$/.test(word)) return parseInt(word, 16);
  return undefined;
}

function find(text) {
  const address = addressIn(text);
  if (address !== undefined) return foundAddress(address);
  const wanted = text.trim().toLowerCase();
  return wanted ? views.flatMap((view) => foundNames(view, wanted)).slice(0, FOUND_MAX) : [];
}

function foundAddress(address) {
  return views.map((view) => {
    const piece = at(view.side.pieces[view.moment] || [], address);
    return { kind: piece?.kind, title: piece ? piece.owner : "no RAM", detail: `${hex(address)}${sideName(view)}`,
      open: () => view.choose(address, true) };
  });
}

function foundNames(view, wanted) {
  const { side } = view;
  const matches = (text) => text.toLowerCase().includes(wanted);
  const found = [];
  const seen = new Set();
  const look = (moment, elsewhere) => {
    for (const piece of side.pieces[moment] || []) {
      if (!matches(piece.owner) || seen.has(piece.owner + piece.base)) continue;
      seen.add(piece.owner + piece.base);
      found.push({ kind: piece.kind, title: piece.owner,
        detail: `${span(piece)}, ${sizeText(piece.size)}${elsewhere ? `, at event ${side.moments[moment].last}` : ""}${sideName(view)}`,
        open: () => { if (elsewhere) view.go(moment); view.choose(piece.base, true); } });
    }
  };
  look(view.moment, false);
  for (const moment of [...side.changes].reverse()) {
    if (found.length >= FOUND_MAX) break;
    look(moment, true);
  }
  for (const event of side.events) {
    if (found.length >= FOUND_MAX) break;
    if (event.kind !== "page_free" && matches(event.text))
      found.push({ title: event.text, detail: `event ${event.index}${sideName(view)}`, open: () => view.go(side.momentOf[event.index]) });
  }
  return found;
}

const sideName = (view) => (sides.length > 1 ? `, in ${"AB"[view.side.number]}` : "");

function setUpSearch() {
  const field = document.getElementById("query"), list = roving(document.getElementById("results"));
  const status = document.getElementById("found");
  let found = [];
  const close = () => { list.hidden = true; };
  const show = () => {
    found = find(field.value);
    list.replaceChildren(...found.map((entry) => el("li", {}, el("button", { type: "button",
      onclick: () => { close(); entry.open(); } },
    entry.kind === undefined ? el("span", { class: "swatch event", "aria-hidden": "true" }) : swatch(entry.kind),
    el("span", { class: "owner" }, entry.title), el("small", {}, entry.detail)))));
    if (!found.length && field.value.trim()) list.append(el("li", { class: "hint" }, "Nothing found"));
    list.hidden = !field.value.trim();
    status.textContent = field.value.trim() ? `${found.length} found` : "";
    firstStop(list);
  };
  field.addEventListener("input", show);
  field.addEventListener("focus", () => { if (field.value.trim()) show(); });
  field.form.addEventListener("submit", (event) => {
    event.preventDefault();
    show();
    if (found.length) { close(); found[0].open(); }
  });
  field.form.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { close(); field.focus(); }
    if (event.key === "ArrowDown" && event.target === field) { event.preventDefault(); list.querySelector("button")?.focus(); }
  });
  document.addEventListener("pointerdown", (event) => { if (!field.form.contains(event.target)) close(); });
}
