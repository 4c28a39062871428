// What a side shows below its picture, each drawn from the side's state at a moment.

const key = (range) => `${range.base}-${range.end}-${range.owner ?? range.flags}`;
const keys = (ranges) => new Set(ranges.map(key));

// Owners: one row a group, its members behind it.
function drawOwners(view, groups, marks) {
  const open = view.open;
  const row = (piece, inner) => {
    const chosen = view.address >= piece.base && view.address < piece.end && (inner || !piece.members.length);
    return el("li", { class: `${inner ? "inner" : ""} ${marks(piece)}` },
      el("button", {
        type: "button", "aria-current": chosen ? "true" : undefined,
        "aria-expanded": piece.members?.length ? String(open.has(piece.base)) : undefined,
        "data-base": piece.base,
        onclick: () => {
          if (piece.members?.length) { open.has(piece.base) ? open.delete(piece.base) : open.add(piece.base); }
          view.opened = {};
          view.choose(piece.base, piece.members?.length ? "" : "card");
        },
      },
      swatch(piece.kind),
      el("span", { class: "owner" }, piece.owner),
      el("span", { class: "size" }, sizeText(piece.size)),
      el("span", { class: "span" }, span(piece)),
      el("span", { class: "bar", "aria-hidden": "true" }, bar(piece))));
  };
  const rows = groups.flatMap((piece) =>
    [row(piece, false), ...(open.has(piece.base) ? piece.members.map((member) => row(member, true)) : [])]);
  replace(view.owners, ...rows);
  firstStop(view.owners);
}

function bar(piece) {
  const line = el("i", { class: `c${piece.kind}` });
  line.style.width = `${Math.max(Math.log2(Math.max(piece.size, 2)) / 32 * 100, 2)}%`;
  return line;
}

// How much each kind of owner has.
function drawTotals(view, pieces) {
  const totals = new Map();
  for (const piece of pieces) totals.set(piece.kind, (totals.get(piece.kind) || 0) + piece.size);
  const all = pieces.reduce((sum, piece) => sum + piece.size, 0) || 1;
  replace(view.totals, ...[...totals].sort((a, b) => a[0] - b[0]).map(([kind, size]) =>
    el("li", {}, swatch(kind), el("span", {}, categories[kind].title),
      el("b", {}, sizeText(size)), el("small", {}, `${(size / all * 100).toFixed(1)} %`))));
}

// memblock's tables, each region with whose it is.
function drawRegions(view, name, before, other) {
  const { side, moment } = view;
  const regions = side[name][moment];
  const pieces = side.pieces[moment];
  const old = before && keys(before), theirs = other && keys(other);
  const total = regions.reduce((sum, region) => sum + region.size, 0);
  const rows = regions.map((region, index) => ({
    mark: [old && !old.has(key(region)) ? "new" : "", theirs && !theirs.has(key(region)) ? "differs" : ""].join(" "),
    cells: [index, link(span(region), () => view.choose(region.base, "card"), region.base),
      sizeText(region.size), region.flags,
      name === "memory" ? reservedOf(region, side.reserved[moment]) : ownersText(pieces, region)],
  }));
  const caption = `${name}: ${regions.length} of ${side.moments[moment]?.rooms[name] ?? "?"} regions, ${sizeText(total)}`;
  const made = table(caption, ["#", "Range", "Size", "Flags", name === "memory" ? "Of it reserved" : "Owners"],
    rows, [0, 2], view.suffix);
  made.classList.add("regions", name);
  replace(view[name], firstStop(roving(made)));
}

// How much of a region of memory is reserved, too.
function reservedOf(region, reserved) {
  const shared = reserved.map((other) => Math.min(other.end, region.end) - Math.max(other.base, region.base));
  return sizeText(shared.reduce((sum, size) => sum + Math.max(size, 0), 0));
}

// The owners of what lies in a region, a crowd of them counted.
function ownersText(pieces, region) {
  const inside = pieces.filter((piece) => piece.base < region.end && region.base < piece.end && !isFree(piece));
  const names = [...new Set(inside.map((piece) => piece.owner))];
  const tables = names.filter((owner) => owner.startsWith("page table"));
  const rest = tables.length > 1 ? names.filter((owner) => !tables.includes(owner)) : names;
  if (tables.length > 1) rest.push(`${tables.length} page tables`);
  return rest.length > 6 ? `${rest.slice(0, 5).join(", ")} and ${rest.length - 5} more` : rest.join(", ");
}

// An address: whose it is now, where it is in the tables and zones, and what has happened to it.
function drawAddress(view) {
  const { side, moment, address } = view;
  if (address === undefined) {
    replace(view.card, el("p", { class: "hint" },
      "Choose a piece of the map, or find an address: whose it is, and all that happened to it."));
    return;
  }
  const here = at(side.pieces[moment] || [], address);
  const facts = [["Owner", here ? here.owner : noRam(side, address)]];
  if (here) facts.push(["Piece", `${span(here)}, ${sizeText(here.size)}`], ["Kind", categories[here.kind].title]);
  for (const name of ["memory", "reserved"]) {
    const region = at(side[name][moment] || [], address);
    facts.push([`memblock.${name}`, region
      ? `[${side[name][moment].indexOf(region)}] ${span(region)}${region.flags ? `, ${region.flags}` : ""}` : "not in it"]);
  }
  const virt = here && virtualOf(side, address);
  if (virt) facts.push(["Virtual address", `${hex(virt)}, in the linear map`]);
  const pfn = Math.floor(address / PAGE);
  facts.push(["Page frame", `0x${pfn.toString(16)} (${pfn})`]);
  if (side.pages.length && moment === side.moments.length - 1) facts.push(["At the handover", provenance(side, address)]);
  const touched = side.events.filter((event) => event.base <= address && address < event.end);
  view.card.parentElement.classList.remove("unchosen");
  replace(view.card,
    el("h4", {}, hex(address)),
    el("dl", {}, ...facts.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])),
    el("h5", {}, touched.length ? "What happened to it" : "No event names it"),
    eventList(view, touched));
  inSight(view.card.querySelector(".events"), view.card.querySelector(".events [aria-current]"));
}

// Where an address is that no bank has.
function noRam(side, address) {
  const below = side.banks.filter(([, end]) => end <= address).at(-1), above = side.banks.find(([base]) => base > address);
  if (below && above) return `no RAM here: a hole between ${hex(below[1] - 1)} and ${hex(above[0])}`;
  if (above) return `no RAM here: below the first bank, which begins at ${hex(above[0])}`;
  return below ? `no RAM here: above the last bank, which ends at ${hex(below[1] - 1)}` : "no RAM here";
}

function provenance(side, address) {
  const run = at(side.pages, address);
  if (!run) return "no page of the boot's account";
  const where = run.zone ? `zone ${run.zone}` : "in no zone";
  const block = at(side.blocks, address);
  if (block) return `${where}, free: block of order ${block.order} at ${hex(block.base)}`;
  return `${where}, ${side.fates[run.fate][0]}: ${run.why}`;
}

// Events, those to come paler; the one that the boot stands at, or has just passed, is in sight.
function eventList(view, events) {
  const now = view.side.moments[view.moment];
  const passed = events.findLast((event) => event.index <= now.last);
  const list = roving(el("ol", { class: "events" }, ...events.map((event) => el("li", {},
    el("button", { type: "button", class: event.index > now.last ? "later" : "", "data-base": event.index,
      "aria-current": event === passed ? "true" : undefined,
      onclick: () => view.go(view.side.momentOf[event.index]) },
    el("span", { class: "number" }, event.index), el("span", {}, event.text))))));
  return firstStop(list);
}

// The log, each line a way to its event.
function drawLog(view) {
  const { side } = view;
  const moments = side.log.map(([event]) => side.momentOf[event] ?? 0);
  const rows = side.log.map(([, level, text], index) => el("button", { type: "button", class: level < 5 ? "grave" : "",
    onclick: () => view.go(moments[index]) }, text || " "));
  view.logged = { rows, moments, told: rows.length };
  return firstStop(roving(el("ol", { class: "log" }, ...rows.map((row) => el("li", {}, row)))));
}

// The line that the boot has come to; what comes after it is paler.
function markLog(view) {
  const { rows, moments, told } = view.logged;
  let come = told;
  while (come < rows.length && moments[come] <= view.moment) rows[come++].classList.remove("later");
  while (come > 0 && moments[come - 1] > view.moment) rows[--come].classList.add("later");
  if (come === told && rows[come - 1]?.hasAttribute("aria-current")) return;
  rows[told - 1]?.removeAttribute("aria-current");
  view.logged.told = come;
  const last = rows[come - 1];
  if (!last) return;
  last.setAttribute("aria-current", "true");
  stop(view.log, last);
  inSight(view.log, last);
}

// Scrolls a list, and nothing around it, to one of its rows.
function inSight(list, row) {
  if (!row) return;
  const { offsetTop, offsetHeight } = row;
  const { scrollTop, clientHeight } = list;
  if (offsetTop < scrollTop || offsetTop + offsetHeight > scrollTop + clientHeight)
    list.scrollTop = offsetTop - clientHeight / 2;
}
