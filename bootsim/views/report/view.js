// A view for each side: what moves it, and what is drawn anew where it has come to.

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

class View {
  constructor(side) {
    this.side = side;
    this.moment = Math.max(side.moments.length - 1, 0);
    this.address = undefined;
    this.open = new Set();
    this.letter = sides.length > 1 ? `${"AB"[side.number]}: ` : "";
    this.suffix = sides.length > 1 ? `, of ${"AB"[side.number]}` : "";
    this.build();
  }

  build() {
    const { side } = this;
    const last = Math.max(side.moments.length - 1, 0);
    const label = (text) => `${text}${this.suffix}`;
    this.slider = el("input", { type: "range", min: 0, max: last, value: last, "aria-label": label("Event"),
      oninput: () => this.go(Number(this.slider.value)) });
    this.ticks = el("div", { class: "ticks", "aria-hidden": "true" });
    this.starts = stageStarts(side);
    this.stages = el("select", { "aria-label": label("Stage"), onchange: () => this.go(Number(this.stages.value)) },
      ...this.starts.map(([stage, moment]) => el("option", { value: moment }, stage)));
    this.count = el("span", { class: "count" });
    this.event = el("div", { class: "event" });
    this.picture = el("div", { class: "picture", role: "slider", tabindex: "0", "aria-label": label("Map of RAM"), "aria-valuemin": 0 });
    mapKeys(this);
    this.owners = roving(el("ol", { class: "owners" }));
    this.totals = el("ul", { class: "totals" });
    this.card = el("div", { class: "card" });
    this.memory = el("div");
    this.reserved = el("div");
    this.log = drawLog(this);
    const button = (sign, name, press) =>
      el("button", { type: "button", "aria-label": label(name), title: name, onclick: press }, icon(sign));
    this.player = button("play", "Play", () => this.play());
    this.head = el("div", { class: "head" },
      el("h2", {}, this.letter + side.name),
      side.died ? el("p", { class: "died" }, `The boot died: ${side.died}`) : undefined,
      headline(this),
      el("dl", { class: "facts" }, ...side.facts.map(([name, value]) =>
        el("div", {}, el("dt", {}, name), el("dd", {}, folded(value || "none"))))),
      remarks(side.remarks));
    this.root = el("section", { class: "side", "aria-label": `Boot ${this.letter}${side.name}` },
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
        el("section", { class: "address unchosen" }, el("h3", {}, "An address"), this.card),
        el("section", { class: "ram" }, el("h3", {}, "Whose RAM it is"), this.totals, this.owners),
        el("section", { class: "memblock" }, el("h3", {}, "memblock"), this.memory, this.reserved),
        waterfall(this),
        pages(this),
        zones(this),
        el("section", { class: "wide" }, el("h3", {}, "The kernel's log"),
          el("p", { class: "hint" }, "A line leads to its event."), this.log)));
  }

  // To a moment; with `lead`, the other side follows to where it had come as far.
  go(moment, lead = true) {
    this.moment = Math.min(Math.max(moment, 0), Math.max(this.side.moments.length - 1, 0));
    if (lead && linked && views.length === 2) {
      const other = views[1 - this.side.number];
      other.go(data.partners[this.side.number][this.moment] ?? 0, false);
    }
    if (!lead) return;
    for (const view of views) view.draw();
    toHash();
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

  // `reveal` what comes of it: "card", which may be out of sight, or "all", its owner's row too.
  choose(address, reveal = "") {
    for (const view of views) { view.address = address; view.draw(); }
    replace(document.getElementById("told"), `${hex(address)}: ${at(this.side.pieces[this.moment] ?? [], address)?.owner ?? "no RAM"}`);
    toHash();
    if (!reveal) return;
    if (this.card.getBoundingClientRect().left === this.owners.getBoundingClientRect().left) {
      this.card.parentElement.scrollIntoView({ block: "start" });  // one column: it is out of sight
      return;
    }
    if (reveal !== "all") return;
    const row = [...this.owners.querySelectorAll("button")].findLast((r) => Number(r.dataset.base) <= address);
    row?.scrollIntoView({ block: "center" });
    row?.focus({ preventScroll: true });
  }

  resize() {
    const stick = this.root.querySelector(".stick");
    if (stick.offsetHeight) {
      const stays = getComputedStyle(stick).position === "sticky" ? stick.offsetHeight : 0;
      document.documentElement.style.scrollPaddingTop = `${stays + 12}px`;
    }
    drawTicks(this);
    this.drawn = undefined;
    this.draw();
  }

  draw() {
    const { side, moment } = this;
    const now = side.moments[moment] ?? { first: 0, last: 0, stage: "", rooms: {} };
    this.slider.value = moment;
    this.slider.setAttribute("aria-valuetext", shown(`event ${now.last}: ${momentText(side, now)[0]}`));
    replace(this.count, `event ${now.last} of ${Math.max(side.events.length - 1, 0)}`);
    drawEvent(this, now);
    this.stages.value = this.starts.findLast(([, start]) => start <= moment)?.[1];
    this.drawState();
    keepingFocus(this.card, () => drawAddress(this));
    markLog(this);
  }

  // What only changes where memory does.
  drawState() {
    const { side, moment, address } = this;
    const before = Math.max(moment - 1, 0);
    const other = views.length === 2 ? views[1 - side.number] : undefined;
    const state = ({ side: from }, at) => [from.pieces[at], from.memory[at], from.reserved[at]];
    const changed = state(this, moment).some((part, index) => part !== state(this, before)[index]);
    const drawn = [...state(this, moment), changed && moment, address, this.opened, ...(other ? state(other, other.moment) : [])];
    if (this.drawn?.every((part, index) => part === drawn[index])) return;
    this.drawn = drawn;
    const previous = moment > 0 ? side.pieces[moment - 1] : [];
    const pieces = side.pieces[moment] ?? [];
    const groups = grouped(side, moment);
    const chosen = groups.find((g) => g.members.length && g.base <= address && address < g.end);
    if (chosen && !chosen.members.some((m) => m.base === chosen.base && address < m.end)) this.open.add(chosen.base);
    drawPicture(this, groups, this.handlers());
    markPicture(this, address);
    tellPicture(this, groups);
    const old = keys(previous);
    const strange = (piece) => other && differs(piece, other.side.pieces[other.moment] ?? []);
    const fresh = (piece) => moment > 0 && previous !== pieces && !old.has(key(piece)) && !isFree(piece);
    const any = (test) => (piece) => (piece.members?.length ? piece.members.some(test) : test(piece));
    const marks = (piece) => `${any(fresh)(piece) ? "new" : ""} ${any(strange)(piece) ? "differs" : ""}`;
    keepingFocus(this.owners, () => drawOwners(this, groups, marks));
    drawTotals(this, pieces);
    for (const name of ["memory", "reserved"]) keepingFocus(this[name], () =>
      drawRegions(this, name, moment > 0 ? side[name][moment - 1] : undefined, other && (other.side[name][other.moment] ?? [])));
  }

  handlers() {
    return {
      point: (group, event, place) => showTip(this, group, event, place),
      leave: hideTip,
      choose: (group, event) => { this.choose(group.members.length ? pointedAt(group, event) : group.base, "all"); },
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

// A moment in plain words, and in the kernel's where those are others.
function momentText(side, now) {
  const events = side.events.slice(now.first, now.last + 1);
  if (events.length > 1) {
    const bytes = events.reduce((sum, event) => sum + event.end - event.base, 0);
    const way = events[0].kind === "page_free" ? "come to" : "leave";
    return [`${events.length} blocks, ${sizeText(bytes)}, ${way} the buddy allocator`, ""];
  }
  const [event] = events;
  if (!event) return ["Nothing has happened", ""];
  if (event.kind === "printk") return ["The kernel says", event.text];
  return event.words ? [event.words, event.text] : [event.text, ""];
}

function drawEvent(view, now) {
  const { side, moment } = view;
  const [words, text] = momentText(side, now);
  const changes = ["memory", "reserved"].flatMap((name) => {
    const after = side[name][moment] ?? [], before = side[name][moment - 1] ?? [];
    return after === before || moment === 0 && !after.length ? [] : [tableChange(name, before, after)];
  });
  replace(view.event, el("p", { class: "words" }, words),
    el("p", { class: "change" }, changes.join("; ")), el("p", { class: "kernels" }, text));
}

function tableChange(name, before, after) {
  const size = (regions) => regions.reduce((sum, region) => sum + region.size, 0);
  const grown = size(after) - size(before);
  const regions = before.length === after.length ? `${after.length}` : `${before.length} → ${after.length}`;
  return `${name}: ${regions} region${after.length === 1 ? "" : "s"}${grown ? `, ${grown > 0 ? "+" : "−"}${sizeText(Math.abs(grown))}` : ""}`;
}

// What must be known of how the rest came about: the first in sight, a crowd behind them.
function remarks(texts) {
  const most = texts.length > 4 ? 3 : 4;
  const [first, rest] = [texts.slice(0, most), texts.slice(most)].map((some) =>
    some.map((text) => el("div", { class: "remark" }, folded(text))));
  return [...first, rest.length ? el("details", {}, el("summary", {}, `${rest.length} more remarks`), ...rest) : undefined];
}

// Where each stage begins: its name, and the moment.
function stageStarts(side) {
  const starts = [];
  let passed = "";
  side.moments.forEach((moment, index) => {
    const stage = moment.stage || (passed ? `after ${passed}` : "the boot");
    if (starts.at(-1)?.[0] !== stage) starts.push([stage, index]);
    passed = moment.stage || passed;
  });
  return starts;
}

// Under the slider: where the stages are, and where memory changes.
function drawTicks(view) {
  const { side } = view;
  const last = Math.max(side.moments.length - 1, 1);
  const width = Math.max(view.ticks.clientWidth, 100), thumb = 16;
  const x = (moment) => thumb / 2 + moment / last * (width - thumb);
  const { starts } = view;
  const root = svg("svg", { viewBox: `0 0 ${width} 14`, width, height: 14 });
  starts.forEach(([stage, start], index) => {
    const end = starts[index + 1]?.[1] ?? last;
    root.append(svg("rect", { class: index % 2 ? "stage odd" : "stage", x: x(start), y: 0, width: Math.max(x(end) - x(start), 1), height: 14 },
      svg("title", {}, stage)));
  });
  for (const change of side.changes) root.append(svg("path", { class: "tick", d: `M${x(change).toFixed(1)} 3v8` }));
  view.ticks.replaceChildren(root);
}
