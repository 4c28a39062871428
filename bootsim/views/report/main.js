// The page: a view for each side, what moves it, and what links two.

const ICONS = {
  first: "M1 1h2v12H1zM13 1v12L4 7z",
  back: "M10 1v12L2 7z",
  play: "M3 1l10 6-10 6z",
  pause: "M2 1h4v12H2zM8 1h4v12H8z",
  on: "M4 1v12l8-6z",
  last: "M11 1h2v12h-2zM1 1v12l9-6z",
};
const icon = (name) => svg("svg", { viewBox: "0 0 14 14", "aria-hidden": "true" }, svg("path", { d: ICONS[name] }));
const views = [];
let linked = true;

class View {
  constructor(side) {
    this.side = side;
    this.moment = Math.max(side.moments.length - 1, 0);
    this.address = undefined;
    this.open = new Set();
    this.build();
  }

  build() {
    const { side } = this;
    const last = Math.max(side.moments.length - 1, 0);
    const letter = sides.length > 1 ? `${"AB"[side.number]}: ` : "";
    const label = (text) => `${text}${sides.length > 1 ? ` of ${"AB"[side.number]}` : ""}`;
    this.slider = el("input", { type: "range", min: 0, max: last, value: last, "aria-label": label("Event") ,
      oninput: () => this.go(Number(this.slider.value)) });
    this.ticks = el("div", { class: "ticks", "aria-hidden": "true" });
    this.stages = el("select", { "aria-label": label("Stage"), onchange: () => this.go(Number(this.stages.value)) },
      ...stageStarts(side).map(([stage, moment]) => el("option", { value: moment }, stage)));
    this.count = el("span", { class: "count" });
    this.event = el("p", { class: "event" });
    this.picture = el("div", { class: "picture" });
    this.owners = roving(el("ol", { class: "owners" }));
    this.totals = el("ul", { class: "totals" });
    this.card = el("div", { class: "card", "aria-live": "polite" });
    this.memory = el("div");
    this.reserved = el("div");
    this.log = drawLog(this);
    const button = (sign, name, press) =>
      el("button", { type: "button", "aria-label": label(name), title: name, onclick: press }, icon(sign));
    this.player = button("play", "Play", () => this.play());
    this.head = el("div", { class: "head" },
      el("h2", {}, letter + side.name),
      side.died ? el("p", { class: "died" }, `The boot died: ${side.died}`) : undefined,
      el("dl", { class: "facts" }, ...side.facts.map(([name, value]) =>
        el("div", {}, el("dt", {}, name), el("dd", {}, value || "—")))),
      ...side.remarks.map((remark) => el("p", { class: "remark" }, remark)));
    this.root = el("section", { class: "side", "aria-label": letter + side.name },
      el("div", { class: "stick" },
        el("div", { class: "controls" },
          button("first", "First event", () => this.go(0)),
          button("back", "Previous change", () => this.step(-1)),
          this.player,
          button("on", "Next change", () => this.step(1)),
          button("last", "Last event", () => this.go(last)),
          this.stages, this.count),
        el("div", { class: "track" }, this.ticks, this.slider),
        this.event, this.picture),
      findings(this),
      el("div", { class: "columns" },
        el("section", { class: "address" }, el("h3", {}, "An address"), this.card),
        el("section", { class: "ram" }, el("h3", {}, "Whose RAM it is"), this.totals, this.owners),
        el("section", { class: "memblock" }, el("h3", {}, "memblock"), this.memory, this.reserved),
        waterfall(side),
        handover(side),
        el("section", { class: "wide" }, el("h3", {}, "The kernel's log"), this.log)));
  }

  // To a moment; with `lead`, the other side follows to where it had come as far.
  go(moment, lead = true) {
    this.moment = Math.min(Math.max(moment, 0), Math.max(this.side.moments.length - 1, 0));
    if (lead && linked && views.length === 2) {
      const other = views[1 - this.side.number];
      other.go(data.partners[this.side.number][this.moment] ?? 0, false);
    }
    if (lead) for (const view of views) view.draw();
  }

  step(direction) {
    const { changes } = this.side;
    const next = direction > 0 ? changes.find((c) => c > this.moment) : changes.findLast((c) => c < this.moment);
    this.go(next ?? (direction > 0 ? this.side.moments.length - 1 : 0));
  }

  play() {
    const stop = () => { clearInterval(this.timer); this.timer = undefined; this.playing(false); };
    if (this.timer) { stop(); return; }
    if (this.moment >= this.side.moments.length - 1) this.go(0);
    this.playing(true);
    this.timer = setInterval(() => { this.step(1); if (this.moment >= this.side.moments.length - 1) stop(); }, 220);
  }

  playing(on) {
    this.player.replaceChildren(icon(on ? "pause" : "play"));
    this.player.setAttribute("aria-pressed", String(on));
  }

  choose(address, reveal = false) {
    for (const view of views) { view.address = address; view.draw(); }
    if (this.card.getBoundingClientRect().left === this.owners.getBoundingClientRect().left) {
      this.card.parentElement.scrollIntoView({ block: "start" });  // one column: it is out of sight
      return;
    }
    if (!reveal) return;
    const row = [...this.owners.querySelectorAll("button")].findLast((r) => Number(r.dataset.base) <= address);
    row?.scrollIntoView({ block: "center" });
    row?.focus({ preventScroll: true });
  }

  draw() {
    const { side, moment } = this;
    const now = side.moments[moment] ?? { first: 0, last: 0, stage: "", rooms: {} };
    const focused = document.activeElement?.dataset.base;
    const hadFocus = this.owners.contains(document.activeElement);
    const previous = moment > 0 ? side.pieces[moment - 1] : [];
    const pieces = side.pieces[moment] ?? [];
    this.slider.value = moment;
    this.slider.setAttribute("aria-valuetext", `event ${now.last}: ${side.events[now.last]?.text ?? ""}`);
    this.count.textContent = `event ${now.last} of ${Math.max(side.events.length - 1, 0)}`;
    this.event.textContent = momentText(side, now);
    this.stages.value = stageStarts(side).findLast(([, start]) => start <= moment)?.[1];
    const groups = grouped(side, moment);
    const chosen = groups.find((g) => g.members.length && g.base <= this.address && this.address < g.end);
    if (chosen && !chosen.members.some((m) => m.base === chosen.base && this.address < m.end)) this.open.add(chosen.base);
    drawPicture(this, groups, this.handlers());
    markPicture(this, this.address);
    const old = keys(previous.flatMap((p) => [p]));
    const other = views.length === 2 ? views[1 - side.number] : undefined;
    const strange = (piece) => other && differs(piece, other.side.pieces[other.moment] ?? []);
    const fresh = (piece) => moment > 0 && moment < side.moments.length && previous !== pieces && !old.has(key(piece)) && !isFree(piece);
    const any = (test) => (piece) => (piece.members?.length ? piece.members.some(test) : test(piece));
    drawOwners(this, groups, (piece) => `${any(fresh)(piece) ? "new" : ""} ${any(strange)(piece) ? "differs" : ""}`);
    drawTotals(this, pieces);
    for (const name of ["memory", "reserved"])
      drawRegions(this, name, moment > 0 ? side[name][moment - 1] : undefined, other && (other.side[name][other.moment] ?? []));
    drawAddress(this);
    markLog(this);
    if (hadFocus) this.owners.querySelector(`button[data-base="${focused}"]`)?.focus({ preventScroll: true });
  }

  handlers() {
    return {
      point: (group, event, place) => showTip(this, group, event, place),
      leave: hideTip,
      choose: (group, event) => { this.choose(group.members.length ? pointedAt(group, event) : group.base, true); },
    };
  }
}

// Whether some of a piece is free here and taken there, or the other way round.
function differs(piece, others) {
  const sort = ({ kind }) => (kind === GIVEN ? FREE : Math.max(kind, NOT_LINUX - 1));
  const over = others.filter((other) => other.base < piece.end && piece.base < other.end);
  const covered = over.reduce((sum, other) => sum + Math.min(other.end, piece.end) - Math.max(other.base, piece.base), 0);
  return covered < piece.size || over.some((other) => sort(other) !== sort(piece));
}

function pointedAt(group, event) {
  const box = event.target.getBoundingClientRect();
  const part = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 0.999);
  return Math.floor(group.base + part * group.size);
}

function momentText(side, now) {
  const events = side.events.slice(now.first, now.last + 1);
  if (events.length < 2) return events[0]?.text ?? "Nothing has happened";
  const bytes = events.reduce((sum, event) => sum + event.end - event.base, 0);
  const way = events[0].kind === "page_free" ? "come to" : "leave";
  return `${events.length} blocks, ${sizeText(bytes)}, ${way} the buddy allocator`;
}

function stageStarts(side) {
  const starts = [];
  side.moments.forEach((moment, index) => {
    const stage = moment.stage || (starts.length ? `after ${starts.at(-1)[0].replace(/^after /, "")}` : "start");
    if (starts.at(-1)?.[0] !== stage) starts.push([stage, index]);
  });
  return starts;
}

// Under the slider: where the stages are, and where memory changes.
function drawTicks(view) {
  const { side } = view;
  const last = Math.max(side.moments.length - 1, 1);
  const width = Math.max(view.ticks.clientWidth, 100), thumb = 16;
  const x = (moment) => thumb / 2 + moment / last * (width - thumb);
  const starts = stageStarts(side);
  const root = svg("svg", { viewBox: `0 0 ${width} 14`, width, height: 14 });
  starts.forEach(([stage, start], index) => {
    const end = starts[index + 1]?.[1] ?? last;
    root.append(svg("rect", { class: index % 2 ? "stage odd" : "stage", x: x(start), y: 0, width: Math.max(x(end) - x(start), 1), height: 14 },
      svg("title", {}, stage)));
  });
  for (const change of side.changes) root.append(svg("path", { class: "change", d: `M${x(change).toFixed(1)} 3v8` }));
  view.ticks.replaceChildren(root);
}

const tip = el("div", { class: "tip", "aria-hidden": "true", hidden: true });

function showTip(view, group, event) {
  const address = pointedAt(group, event);
  const piece = at(view.side.pieces[view.moment], address) ?? group;
  tip.replaceChildren(el("b", {}, group.members.length && !event.target.classList.contains("detail") ? group.owner : piece.owner),
    el("span", {}, `${span(piece)}, ${sizeText(piece.size)}`), el("span", {}, `here: ${hex(address)}`));
  tip.hidden = false;
  const { innerWidth, innerHeight } = window;
  tip.style.left = `${Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8)}px`;
  tip.style.top = `${Math.min(event.clientY + 16, innerHeight - tip.offsetHeight - 8)}px`;
}

const hideTip = () => { tip.hidden = true; };

function setUpTheme() {
  const button = document.getElementById("theme"), names = ["auto", "light", "dark"];
  const kept = () => { try { return localStorage.getItem("bootsim-theme"); } catch { return null; } };
  const set = (name) => {
    if (name === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = name;
    button.textContent = `Theme: ${name}`;
    button.dataset.name = name;
    try { localStorage.setItem("bootsim-theme", name); } catch { /* a file may have no storage */ }
  };
  button.addEventListener("click", () => set(names[(names.indexOf(button.dataset.name) + 1) % names.length]));
  set(names.includes(kept()) ? kept() : "auto");
}

function comparison() {
  const { a, b, equal, parts } = data.comparison;
  const verdicts = parts.map((part) => ({
    mark: part.verdict === "different" ? "differs" : "",
    cells: [part.title, part.verdict, part.unknown || (part.total > 1 ? `${part.same} of ${part.total}` : ""),
      differences(part)],
  }));
  return el("section", { class: "comparison" },
    el("h2", {}, equal ? "No difference" : "What differs"),
    el("p", {}, `A is ${a}, B is ${b}. The sliders go together: each boot stands where it had asked memblock for the same. `,
      el("label", {}, el("input", { type: "checkbox", checked: true,
        onchange: (event) => { linked = event.target.checked; } }), " go together")),
    table("What was compared", ["What", "Verdict", "Same", "Differences"], verdicts),
    el("div", { class: "which", role: "group", "aria-label": "Show" }, ...["A", "B"].map((letter, number) =>
      el("button", { type: "button", "aria-pressed": String(number === 0), onclick: (event) => show(number, event.target) },
        `${letter}: ${sides[number].name}`))));
}

function show(number, pressed) {
  document.body.dataset.shown = number;
  for (const other of pressed.parentElement.children) other.setAttribute("aria-pressed", String(other === pressed));
  for (const view of views) { drawTicks(view); view.draw(); }
}

function differences(part) {
  const lines = [...part.remarks, ...part.differences];
  if (!lines.length) return "";
  const shown = lines.slice(0, 200).map((line) => el("li", {},
    line.a ? el("div", { class: "a" }, `A ${line.a}`) : undefined,
    line.b ? el("div", { class: "b" }, `B ${line.b}`) : undefined,
    line.followers ? el("small", {}, `and ${line.followers} that only follow`) : undefined));
  return el("details", {}, el("summary", {}, `${lines.length}`), el("ul", { class: "lines" }, ...shown));
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
  const redraw = () => { for (const view of views) { drawTicks(view); view.draw(); } };
  redraw();
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
