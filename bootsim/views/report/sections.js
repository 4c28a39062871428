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
          view.choose(piece.base);
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
  view.owners.replaceChildren(...rows);
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
  view.totals.replaceChildren(...[...totals].sort((a, b) => a[0] - b[0]).map(([kind, size]) =>
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
    cells: [index, el("button", { type: "button", class: "link", onclick: () => view.choose(region.base) }, span(region)),
      sizeText(region.size), region.flags,
      name === "memory" ? reservedOf(region, side.reserved[moment]) : ownersText(pieces, region)],
  }));
  const caption = `${name}: ${regions.length} of ${side.moments[moment]?.rooms[name] ?? "?"} regions, ${sizeText(total)}`;
  const made = table(caption, ["#", "Range", "Size", "Flags", name === "memory" ? "Of it reserved" : "Owners"], rows, [0, 2]);
  made.classList.add("regions", name);
  view[name].replaceChildren(made);
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
  const here = address === undefined ? undefined : at(side.pieces[moment] || [], address);
  if (address === undefined) {
    view.card.replaceChildren(el("p", { class: "hint" },
      "Choose a piece of the map, or find an address: whose it is, and all that happened to it."));
    return;
  }
  const facts = [["Owner", here ? here.owner : "no RAM here"]];
  if (here) facts.push(["Piece", `${span(here)}, ${sizeText(here.size)}`], ["Kind", categories[here.kind].title]);
  for (const name of ["memory", "reserved"]) {
    const region = at(side[name][moment] || [], address);
    facts.push([`memblock.${name}`, region
      ? `[${side[name][moment].indexOf(region)}] ${span(region)}${region.flags ? `, ${region.flags}` : ""}` : "not in it"]);
  }
  const pfn = Math.floor(address / PAGE);
  facts.push(["Page frame", `${pfn.toString(16)} (${pfn})`]);
  if (side.zones && moment === side.moments.length - 1) facts.push(["At the handover", provenance(side, address, here)]);
  const touched = side.events.filter((event) => event.base <= address && address < event.end);
  view.card.replaceChildren(
    el("h4", {}, hex(address)),
    el("dl", {}, ...facts.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])),
    el("h5", {}, touched.length ? "What happened to it" : "No event names it"),
    eventList(view, touched));
}

function provenance(side, address, piece) {
  const pfn = Math.floor(address / PAGE);
  const zone = side.zones.find((z) => z.start_pfn <= pfn && pfn < z.start_pfn + z.spanned);
  const where = zone ? `zone ${zone.zone}` : "in no zone";
  const block = at(side.blocks, address);
  if (block) return `${where}, free: block of order ${block.order} at ${hex(block.base)}`;
  if (piece && isFree(piece)) return `${where}, not handed over: the rest of its page is taken`;
  return `${where}, ${piece ? `kept: ${piece.owner}` : "no RAM"}`;
}

function eventList(view, events) {
  const now = view.side.moments[view.moment];
  const list = roving(el("ol", { class: "events" }, ...events.map((event) => el("li", {},
    el("button", { type: "button", class: event.index > now.last ? "later" : "",
      onclick: () => view.go(view.side.momentOf[event.index]) },
    el("span", { class: "number" }, event.index), el("span", {}, event.text))))));
  firstStop(list);
  return list;
}

// What the page allocator has got; drawn once.
function handover(side) {
  if (!side.zones) return undefined;
  const orders = side.buddyinfo[0]?.free.length ?? 0;
  const pages = (count) => count.toLocaleString("en");
  return el("section", { class: "wide" }, el("h3", {}, "Zones and free lists at the handover"),
    table("Zones, in pages", ["Zone", "Start pfn", "Spanned", "Present", "Managed", "Free", "Free"],
      side.zones.map((z) => ({ cells: [z.zone, z.start_pfn.toString(16), pages(z.spanned), pages(z.present),
        pages(z.managed), pages(z.free), sizeText(z.free * PAGE)] })), [1, 2, 3, 4, 5, 6]),
    table("Free blocks by order (/proc/buddyinfo)",
      ["Zone", ...Array.from({ length: orders }, (_, order) => `${order}: ${sizeText(PAGE * 2 ** order)}`)],
      side.buddyinfo.map((z) => ({ cells: [z.zone, ...z.free.map(pages)] })),
      Array.from({ length: orders }, (_, order) => order + 1)));
}

// Step by step from what the tree has to what is free; drawn once.
function waterfall(side) {
  if (!side.waterfall.length) return undefined;
  const most = Math.max(...side.waterfall.map(([, , size, start]) => start + size), 1);
  return el("section", { class: "wide" }, el("h3", {}, "Where the RAM went"),
    el("ol", { class: "waterfall" }, ...side.waterfall.map(([sign, what, size, start, kind]) => {
      const line = el("i", { class: `c${kind}` });
      line.style.marginLeft = `${start / most * 100}%`;
      line.style.width = `${size / most * 100}%`;
      return el("li", { class: sign === "=" ? "sum" : "" },
        el("span", { class: "what" }, what),
        el("span", { class: "size" }, `${{ "-": "−", "+": "+", "=": "" }[sign]}${sizeText(size)}`),
        el("span", { class: "bar", "aria-hidden": "true" }, line));
    })));
}

// What a check has found; drawn once.
function findings(view) {
  const { side } = view;
  if (!side.findings.length) return undefined;
  return el("section", { class: "wide" }, el("h3", {}, "Findings"),
    el("ul", { class: "findings" }, ...side.findings.map((finding) => el("li", { class: finding.severity },
      el("p", {}, el("b", {}, finding.code), " ", finding.text),
      el("dl", {}, ...finding.details.flatMap(([name, text]) => [el("dt", {}, name), el("dd", {}, text)])),
      el("p", {}, ...finding.areas.map(([what, base, size]) =>
        el("button", { type: "button", class: "link", onclick: () => view.choose(base, true) },
          `${what} ${span({ base, end: base + size })}`)))))));
}

function drawLog(view) {
  const { side } = view;
  const list = roving(el("ol", { class: "log" }, ...side.log.map(([event, level, text]) => el("li", {},
    el("button", { type: "button", class: level < 5 ? "grave" : "", "data-moment": side.momentOf[event] ?? 0,
      onclick: () => view.go(side.momentOf[event] ?? 0) }, text || " ")))));
  firstStop(list);
  return list;
}

function markLog(view) {
  let last;
  for (const row of view.log.querySelectorAll("button")) {
    const moment = Number(row.dataset.moment);
    row.classList.toggle("later", moment > view.moment);
    row.removeAttribute("aria-current");
    if (moment <= view.moment) last = row;
  }
  if (!last) return;
  last.setAttribute("aria-current", "true");
  stop(view.log, last);
  const { offsetTop, offsetHeight } = last;
  const { scrollTop, clientHeight } = view.log;
  if (offsetTop < scrollTop || offsetTop + offsetHeight > scrollTop + clientHeight)
    view.log.scrollTop = offsetTop - clientHeight / 2;
}
