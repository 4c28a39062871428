// Finding: an address leads to its owner; a name to owners, now or at another moment, and to events.

const FOUND_MAX = 30;
const HIGHEST = 2 ** 48;

// The addresses that a text can mean, the likelier first: [address, how it was read].
function addressesIn(text) {
  const word = text.trim().toLowerCase().replace(/^\[(mem )?/, "").replace(/_/g, "");
  const [, pfn] = /^pfn[ :=]*(0x[0-9a-f]+|[0-9a-f]+)$/.exec(word) ?? [];
  if (pfn) return [[parseInt(pfn, 16) * PAGE, `page frame 0x${pfn.replace("0x", "")}`]].filter(([found]) => found < HIGHEST);
  // A range stands for its first address.
  const [, start] = /^(0x[0-9a-f]+|[0-9a-f]{5,})(?: *- *(?:0x)?[0-9a-f]+\]?)?$/.exec(word) ?? [];
  if (!start) return [];
  const found = [];
  if (start.startsWith("0x") || /[0-9]/.test(start)) found.push([parseInt(start, 16), ""]);
  if (/^[0-9]+$/.test(start)) found.push([parseInt(start, 10), `${start}, decimal`]);
  return found.filter(([address]) => address < HIGHEST);
}

// Where the linear map shows an address of RAM to the kernel, and the other way round.
function virtualOf({ linear }, phys) {
  return linear && linear.phys <= phys && phys < linear.end ? phys - linear.phys + linear.virt : undefined;
}

function physicalOf({ linear }, virt) {
  const phys = linear && virt - linear.virt + linear.phys;
  return linear && virt >= linear.virt && phys < linear.end ? phys : undefined;
}

function find(text) {
  const wanted = text.trim().toLowerCase();
  if (!wanted) return [];
  const numbered = /^(?:event|#) *([0-9]+)$/.exec(wanted);
  if (numbered) return views.flatMap((view) => foundEvent(view, Number(numbered[1])));
  const found = addressesIn(text).flatMap(([address, how]) => views.flatMap((view) => foundAddress(view, address, how)));
  const [inRam, outside] = [true, false].map((is) => found.filter(({ kind }) => (kind !== undefined) === is));
  const names = views.flatMap((view) => foundNames(view, wanted));
  // A bare number that is nowhere in RAM may be a part of a name.
  return (/^0x|^pfn/.test(wanted) ? [...inRam, ...outside, ...names] : [...inRam, ...names, ...outside]).slice(0, FOUND_MAX);
}

function foundEvent(view, number) {
  const event = view.side.events[number];
  return event ? [{ title: event.text, detail: `event ${number}${sideName(view)}`, open: () => view.go(view.side.momentOf[number]) }] : [];
}

// As a physical address, and as a virtual one of the linear map.
function foundAddress(view, address, how) {
  const readings = [[address, ""]];
  const phys = physicalOf(view.side, address);
  if (phys !== undefined) readings.push([phys, `virtual ${hex(address)}`]);
  return readings.map(([place, reading]) => {
    const piece = at(view.side.pieces[view.moment] || [], place);
    const detail = [hex(place), how, reading].filter(Boolean).join(", ");
    return { kind: piece?.kind, title: piece ? piece.owner : noRam(view.side, place), detail: `${detail}${sideName(view)}`,
      open: () => view.choose(place, "all") };
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
        open: () => { if (elsewhere) view.go(moment); view.choose(piece.base, "all"); } });
    }
  };
  look(view.moment, false);
  for (const moment of [...side.changes].reverse()) {
    if (found.length >= FOUND_MAX) break;
    look(moment, true);
  }
  for (const event of side.events) {
    if (found.length >= FOUND_MAX) break;
    if (event.kind !== "page_free" && matches(event.text)) found.push(...foundEvent(view, event.index));
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
    replace(list, ...found.map((entry) => el("li", {}, el("button", { type: "button",
      onclick: () => { close(); entry.open(); } },
    entry.kind === undefined ? el("span", { class: "swatch dot", "aria-hidden": "true" }) : swatch(entry.kind),
    el("span", { class: "owner" }, entry.title), el("small", {}, entry.detail)))));
    if (!found.length && field.value.trim()) put(list, el("li", { class: "hint" }, "Nothing found"));
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
