// Two boots side by side: what differs, and which of them a phone shows.

let linked = true;

function comparison() {
  const { a, b, equal, parts } = data.comparison;
  const rows = parts.map((part) => ({
    mark: part.verdict === "different" ? "differs" : "",
    cells: [part.title, part.verdict, part.unknown || (part.total > 1 ? `${part.same} of ${part.total}` : ""),
      differences(part)],
  }));
  const brief = equal && !parts.some((part) => part.remarks.length || part.unknown);
  const told = table("What was compared", ["What", "Verdict", "Same", "Differences"], rows);
  const names = parts.map((part) => part.title).join(", ");
  return el("section", { class: "comparison", "aria-labelledby": "compared" },
    el("h2", { id: "compared" }, equal ? "No difference" : "What differs"),
    el("p", {}, el("b", {}, "A"), ` is ${a}, `, el("b", {}, "B"), ` is ${b}. `,
      brief ? `Compared are: ${names}.` : ""),
    brief ? undefined : told,
    el("label", {}, el("input", { type: "checkbox", checked: true,
      onchange: (event) => { linked = event.target.checked; } }),
    " Move both sliders: each boot stands where it had asked memblock for the same"),
    el("div", { class: "which", role: "group", "aria-label": "Boot to show" }, ...["A", "B"].map((letter, number) =>
      el("button", { type: "button", "aria-pressed": String(number === 0), onclick: (event) => show(number, event.target) },
        `${letter}: ${sides[number].name}`))));
}

function show(number, pressed) {
  document.body.dataset.shown = number;
  for (const other of pressed.parentElement.children) other.setAttribute("aria-pressed", String(other === pressed));
  for (const view of views) view.resize();
}

// The first difference in one line, all of them behind it.
function differences(part) {
  const lines = [...part.remarks, ...part.differences];
  if (!lines.length) return "";
  const [first] = lines;
  const short = ["a", "b"].filter((side) => first[side]).map((side) => el("span", {}, `${side.toUpperCase()} ${first[side]}`));
  if (lines.length === 1 && !first.followers) return el("p", { class: "lines" }, short);
  const most = 200;
  return el("details", {},
    el("summary", {}, el("span", { class: "lines" }, short), el("small", {}, `${lines.length} in all`)),
    el("ul", { class: "lines", tabindex: "0" }, ...lines.slice(0, most).map((line) => el("li", {},
      line.a ? el("div", {}, `A ${line.a}`) : undefined,
      line.b ? el("div", {}, `B ${line.b}`) : undefined,
      line.followers ? el("small", {}, `and ${line.followers} that only follow`) : undefined))),
    lines.length > most ? el("p", {}, `and ${lines.length - most} that are not listed`) : undefined);
}
