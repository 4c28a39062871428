// The map as a picture at two scales: a strip that is true to scale, and one in which a page can be
// seen beside a gigabyte. What lies between them leads from the one to the other.

const STRIP = 22, FUNNEL = 26, DETAIL = 34, GAP = 10, EDGE = 16;
const weight = (size) => 1 + 0.45 * Math.max(0, Math.log2(size / PAGE));

// Where each group goes in a strip as wide as `width`: banks apart, in proportion to `share`.
function laidOut(groups, banks, width, share) {
  const room = width - GAP * (banks.length - 1);
  const total = groups.reduce((sum, group) => sum + share(group), 0) || 1;
  const places = [];
  let x = 0, bank = 0;
  for (const group of groups) {
    while (bank < banks.length - 1 && group.base >= banks[bank][1]) { bank++; x += GAP; }
    const w = share(group) / total * room;
    places.push({ group, x, w });
    x += w;
  }
  return places;
}

function drawPicture(view, groups, handlers) {
  const { side } = view;
  const width = Math.max(view.picture.clientWidth, 240);
  const height = STRIP + FUNNEL + DETAIL + EDGE;
  const linear = laidOut(groups, side.banks, width, (group) => group.size);
  const detail = laidOut(groups, side.banks, width, (group) => weight(group.size));
  const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, "aria-hidden": "true" });
  const free = (place) => isFree(place.group);
  // Free RAM first: what is small must not be painted over.
  for (const place of [...linear.filter(free), ...linear.filter((p) => !free(p))])
    root.append(piece(place, 0, STRIP, free(place) ? place.w : Math.max(place.w, 1.5), "", handlers));
  linear.forEach((from, index) => {
    const to = detail[index];
    if (free(from)) return;
    const top = STRIP, bottom = STRIP + FUNNEL, middle = (top + bottom) / 2;
    const end = from.x + Math.max(from.w, 1.5);
    root.append(svg("path", { class: `funnel c${from.group.kind}`,
      d: `M${from.x} ${top}C${from.x} ${middle} ${to.x} ${middle} ${to.x} ${bottom}` +
         `H${to.x + to.w}C${to.x + to.w} ${middle} ${end} ${middle} ${end} ${top}Z` }));
  });
  for (const place of detail) {
    root.append(piece(place, STRIP + FUNNEL, DETAIL, Math.max(place.w - 1, 1), " detail", handlers));
    root.append(label(place, STRIP + FUNNEL + DETAIL / 2));
  }
  side.banks.forEach(([base, end], index) => {
    const inside = linear.filter(({ group }) => base <= group.base && group.base < end);
    if (!inside.length) return;
    const left = inside[0].x, right = inside.at(-1).x + inside.at(-1).w;
    const roomy = right - left > 170;
    root.append(svg("text", { class: "edge", x: left, y: height - 2 }, hex(base)));
    if (roomy || index === side.banks.length - 1)
      root.append(svg("text", { class: "edge", x: right, y: height - 2, "text-anchor": "end" },
        roomy ? hex(end - 1) : ""));
  });
  view.picture.replaceChildren(root);
  view.places = { linear, detail };
}

// The map as a slider: the arrow keys go from piece to piece, and Enter tells all of one.
function mapKeys(view) {
  view.picture.addEventListener("keydown", (event) => {
    const groups = view.places?.detail.map(({ group }) => group) ?? [];
    const here = groups.findLastIndex((group) => group.base <= (view.address ?? -1));
    const steps = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10, Home: -Infinity, End: Infinity };
    if (event.key === "Enter" && here >= 0) view.choose(view.address, "all");
    else if (!(event.key in steps) || !groups.length) return;
    else view.choose(groups[Math.min(Math.max(here + steps[event.key], 0), groups.length - 1)].base);
    event.preventDefault();
    pointOut(view);
  });
  view.picture.addEventListener("focus", () => { if (view.picture.matches(":focus-visible")) pointOut(view); });
  view.picture.addEventListener("blur", hideTip);
}

// What a screen reader says of the map: the piece that is chosen.
function tellPicture(view, groups) {
  const { address, picture } = view;
  const index = groups.findIndex((group) => group.base <= address && address < group.end);
  const group = groups[index];
  picture.setAttribute("aria-valuemax", Math.max(groups.length - 1, 0));
  picture.setAttribute("aria-valuenow", Math.max(index, 0));
  picture.setAttribute("aria-valuetext", shown(group ? `${group.owner}, ${sizeText(group.size)}, ${span(group)}`
    : `${groups.length} pieces, none chosen`));
}

function piece({ group, x, w }, y, height, drawn, extra, handlers) {
  const rect = svg("rect", { class: `piece c${group.kind}${extra}${isFree(group) ? " free" : ""}`,
    x: x.toFixed(2), y, width: drawn.toFixed(2), height });
  rect.dataset.base = group.base;
  rect.addEventListener("pointerenter", (event) => handlers.point(group, event));
  rect.addEventListener("pointermove", (event) => handlers.point(group, event, { x, w: Math.max(w, 0.01) }));
  rect.addEventListener("pointerleave", handlers.leave);
  rect.addEventListener("click", (event) => handlers.choose(group, event));
  return rect;
}

// A name in a piece, as far as there is room for it.
function label({ group, x, w }, y) {
  const room = Math.floor((w - 9) / 6.9);
  const owner = group.owner.replace(/^\/reserved-memory\//, "");
  const text = room < 4 ? "" : owner.length <= room ? owner : room < 6 ? "" : `${owner.slice(0, room - 1).trimEnd()}…`;
  return svg("text", { class: `label c${group.kind}`, x: x + 5, y: y + 4 }, text);
}

// A mark where an address is, in both strips.
function markPicture(view, address) {
  const root = view.picture.firstElementChild;
  if (!root) return;
  for (const old of root.querySelectorAll(".mark")) old.remove();
  if (address === undefined || !view.places) return;
  for (const [places, y, height] of [[view.places.linear, 0, STRIP], [view.places.detail, STRIP + FUNNEL, DETAIL]]) {
    const place = places.find(({ group }) => group.base <= address && address < group.end);
    if (!place) continue;
    const x = place.x + (address - place.group.base) / place.group.size * place.w;
    root.append(svg("path", { class: "mark", d: `M${x} ${y - 1}v${height + 2}` }));
  }
}
