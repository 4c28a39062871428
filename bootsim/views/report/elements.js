// Making elements. Text from a boot only ever becomes text.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== undefined && child !== null));
  return node;
}

const el = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const svg = (tag, attributes = {}, ...children) =>
  fill(document.createElementNS(SVG, tag), attributes, children);

const swatch = (kind) => el("span", { class: `swatch c${kind}`, "aria-hidden": "true" });

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
}

function table(caption, heads, rows, numeric = []) {
  const cell = (tag, content, column) => el(tag, {
    class: numeric.includes(column) ? "number" : undefined,
    scope: tag === "th" ? "col" : undefined,
  }, content instanceof Node ? content : String(content ?? ""));
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    el("table", {}, el("caption", {}, caption),
      el("thead", {}, el("tr", {}, ...heads.map((head, column) => cell("th", head, column)))),
      el("tbody", {}, ...rows.map((row) =>
        el("tr", { class: row.mark }, ...row.cells.map((content, column) => cell("td", content, column)))))));
}
