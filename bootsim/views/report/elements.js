// Making elements. Text from a boot only ever becomes text, and what of it cannot be seen is told.

const SVG = "http://www.w3.org/2000/svg";
const LONGEST = 4000;
// Control characters, lone surrogates, and what turns the direction of the text around it.
const UNSEEN = /[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]|\p{Cs}/gu;
const codePoint = (sign) => `⟨U+${sign.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`;

function shown(text) {
  const rest = text.length - LONGEST;
  return text.slice(0, LONGEST).replace(UNSEEN, codePoint) + (rest > 0 ? `… and ${rest} characters more` : "");
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : typeof value === "string" ? shown(value) : value);
  }
  return put(node, ...children);
}

// Texts and elements into a node, behind what is there.
function put(node, ...children) {
  for (const child of children.flat())
    if (child !== undefined && child !== null && child !== "") node.append(child instanceof Node ? child : shown(String(child)));
  return node;
}

const replace = (node, ...children) => { node.replaceChildren(); return put(node, ...children); };
const el = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const svg = (tag, attributes = {}, ...children) =>
  fill(document.createElementNS(SVG, tag), attributes, children);

const swatch = (kind) => el("span", { class: `swatch c${kind}`, "aria-hidden": "true" });
const link = (text, press, base) => el("button", { type: "button", class: "link", onclick: press, "data-base": base }, text);

// What is drawn anew in a node keeps the focus where it was: on the button of the same data-base.
function keepingFocus(node, draw) {
  const base = node.contains(document.activeElement) ? document.activeElement.dataset.base : undefined;
  draw();
  if (base !== undefined) node.querySelector(`button[data-base="${base}"]`)?.focus({ preventScroll: true });
}

// A long text, folded behind its beginning.
const BRIEF = 240;
const folded = (text) => text.length <= BRIEF ? text
  : el("details", { class: "folded" }, el("summary", {}, `${text.slice(0, BRIEF / 2)}… `, el("small", {}, `${text.length} characters`)), text);

// A list whose rows are one stop for the Tab key: the arrow keys go on from there.
function roving(list) {
  const rows = () => [...list.querySelectorAll("button")].filter((row) => row.offsetParent !== null);
  list.addEventListener("keydown", (event) => {
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity };
    if (!(event.key in steps)) return;
    const all = rows();
    const here = all.indexOf(document.activeElement);
    if (here < 0) return;
    event.preventDefault();
    event.stopPropagation();
    stop(list, all[Math.min(Math.max(here + steps[event.key], 0), all.length - 1)]).focus();
  });
  list.addEventListener("focusin", (event) => {
    if (event.target.matches("button")) stop(list, event.target);
  });
  return list;
}

function stop(list, row) {
  for (const other of list.querySelectorAll("button[tabindex='0']")) other.tabIndex = -1;
  row.tabIndex = 0;
  return row;
}

function firstStop(list) {
  const rows = [...list.querySelectorAll("button")];
  for (const row of rows) row.tabIndex = -1;
  const chosen = rows.find((row) => row.getAttribute("aria-current") === "true") || rows[0];
  if (chosen) chosen.tabIndex = 0;
  return list;
}

// `name` is what else tells one table from another with the same caption.
function table(caption, heads, rows, numeric = [], name = "") {
  const cell = (tag, content, column) => el(tag, {
    class: numeric.includes(column) ? "number" : undefined,
    scope: tag === "th" ? "col" : undefined,
  }, content);
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `${caption}${name}` },
    el("table", {}, el("caption", {}, caption),
      el("thead", {}, el("tr", {}, ...heads.map((head, column) => cell("th", head, column)))),
      el("tbody", {}, ...rows.map((row) =>
        el("tr", { class: row.mark }, ...row.cells.map((content, column) => cell("td", content, column)))))));
}
