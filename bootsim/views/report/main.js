// The page: what is told under the pointer, its address, its theme, and its start.

const tip = el("div", { class: "tip", "aria-hidden": "true", hidden: true });

function showTip(view, group, event) {
  const address = pointedAt(group, event);
  const piece = at(view.side.pieces[view.moment], address) ?? group;
  placeTip(event.clientX + 14, event.clientY + 16,
    el("b", {}, group.members.length && !event.target.classList.contains("detail") ? group.owner : piece.owner),
    el("span", {}, `${span(piece)}, ${sizeText(piece.size)}`), el("span", {}, `here: ${hex(address)}`));
}

// The chosen piece, told at its place in the map to those who came there by keyboard.
function pointOut(view) {
  const place = view.places?.detail.find(({ group }) => group.base <= view.address && view.address < group.end);
  if (!place) return;
  const box = view.picture.getBoundingClientRect();
  placeTip(box.left + place.x, box.bottom + 4, el("b", {}, place.group.owner),
    el("span", {}, `${span(place.group)}, ${sizeText(place.group.size)}`));
}

function placeTip(x, y, ...content) {
  replace(tip, ...content);
  tip.hidden = false;
  const { innerWidth, innerHeight } = window;
  tip.style.left = `${Math.max(Math.min(x, innerWidth - tip.offsetWidth - 8), 8)}px`;
  tip.style.top = `${Math.max(Math.min(y, innerHeight - tip.offsetHeight - 8), 8)}px`;
}

const hideTip = () => { tip.hidden = true; };

// The event and the address in the page's own: "report.html#event=212&address=0x60100000" leads there.
const NAMES = ["event", "event-b"];

function fromHash() {
  const wanted = new URLSearchParams(location.hash.slice(1));
  for (const view of views) {
    const event = Number(wanted.get(NAMES[view.side.number]) ?? NaN);
    if (event in view.side.momentOf) view.go(view.side.momentOf[event], !wanted.has("event-b"));
  }
  const [address] = addressesIn(wanted.get("address") ?? "")[0] ?? [];
  if (address !== undefined) for (const view of views) view.address = address;
  for (const view of views) view.draw();
}

let kept;
function toHash() {
  clearTimeout(kept);
  kept = setTimeout(() => {
    const told = new URLSearchParams();
    for (const view of views) if (view.side.moments.length) told.set(NAMES[view.side.number], view.side.moments[view.moment].last);
    if (views[0].address !== undefined) told.set("address", hex(views[0].address));
    try { history.replaceState(null, "", `#${told}`); } catch { /* a frame may have no history */ }
  }, 400);
}

function setUpTheme() {
  const button = document.getElementById("theme"), names = ["auto", "light", "dark"];
  const kept = () => { try { return localStorage.getItem("bootsim-theme"); } catch { return null; } };
  const set = (name) => {
    if (name === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = name;
    replace(button, `Theme: ${name}`);
    button.dataset.name = name;
    try { localStorage.setItem("bootsim-theme", name); } catch { /* a file may have no storage */ }
  };
  button.addEventListener("click", () => set(names[(names.indexOf(button.dataset.name) + 1) % names.length]));
  set(names.includes(kept()) ? kept() : "auto");
}

function setUp() {
  const main = document.getElementById("sides");
  document.body.dataset.count = sides.length;
  document.body.dataset.shown = 0;
  if (data.comparison) document.getElementById("before").append(comparison());
  views.push(...sides.map((side) => new View(side)));
  main.append(...views.map((view) => view.root));
  document.getElementById("heads").append(...views.map((view) => view.head));
  document.body.append(tip);
  setUpTheme();
  setUpSearch();
  const redraw = () => { for (const view of views) view.resize(); };
  redraw();
  fromHash();
  window.addEventListener("hashchange", fromHash);
  let width = window.innerWidth, waiting;
  window.addEventListener("resize", () => {
    if (window.innerWidth === width) return;
    width = window.innerWidth;
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(redraw);
  });
  document.addEventListener("keydown", (event) => {
    if (event.target.matches("input[type=search], select") || event.ctrlKey || event.metaKey || event.altKey) return;
    const shown = views[Number(document.body.dataset.shown)] ?? views[0];
    if (event.key === "[") shown.step(-1);
    else if (event.key === "]") shown.step(1);
    else if (event.key === "/") { event.preventDefault(); document.getElementById("query").focus(); }
  });
}

setUp();
