// What is told of a boot once, at its end: the sum, the findings, the waterfall, zones and pages.

const SIGNS = { "-": "−", "+": "+", "=": "=", "": "" };
const count = (number) => number.toLocaleString("en");

// The boot in one line: from the tree's memory to the buddy allocator's; and what a check says.
function headline(view) {
  const { side } = view;
  const tree = side.sums[0]?.[2] || 1;
  const terms = side.sums.map(([sign, what, size]) => el("li", { class: sign === "=" ? "total" : "", "data-bytes": size },
    el("b", {}, sign ? el("span", { class: "sign" }, SIGNS[sign]) : undefined, sizeText(size)),
    el("span", {}, what, sign === "=" ? `, ${(size / tree * 100).toFixed(1)} %` : "")));
  return el("ul", { class: "sums" }, ...terms, checked(view));
}

function checked({ side }) {
  if (!side.findings) return undefined;
  const severities = ["error", "warning", "info"].map((severity) =>
    [severity, side.findings.filter((finding) => finding.severity === severity).length]).filter(([, number]) => number);
  const told = severities.map(([severity, number]) => `${number} ${severity}${number > 1 && severity !== "info" ? "s" : ""}`).join(", ");
  return el("li", { class: `check ${severities[0]?.[0] ?? ""}` }, el("b", {}, told || "none"),
    el("span", {}, told ? el("a", { href: `#findings${side.number}` }, "findings of check") : "findings of check"));
}

function findings(view) {
  const { side } = view;
  if (!side.findings?.length) return undefined;
  return el("section", { class: "wide", id: `findings${side.number}`, tabindex: "-1" }, el("h3", {}, "Findings of check"),
    el("ul", { class: "findings" }, ...side.findings.map((finding) => el("li", { class: finding.severity },
      el("p", {}, el("span", { class: "severity" }, finding.severity), " ", el("b", {}, finding.code), " ", finding.text),
      el("dl", {}, ...finding.details.flatMap(([name, text]) => [el("dt", {}, name), el("dd", {}, text)])),
      el("p", {}, ...finding.areas.map(([what, base, size]) =>
        link(`${what} ${span({ base, end: base + size })}`, () => view.choose(base, "all"))))))));
}

// Step by step from what the tree has to what is free. Where little goes, the bars leave out the
// most of what stays: they begin at `low`, and the sums' bars are torn there.
function waterfall(view) {
  const steps = view.side.waterfall;
  if (!steps.length) return undefined;
  const most = Math.max(...steps.map(([, , size, start]) => start + size), 1);
  const least = Math.min(...steps.map(([sign, , size, start]) => (sign === "=" ? size : start)));
  const low = least > most * 0.6 ? Math.floor(least - (most - least) * 0.12) : 0;
  const percent = (size) => `${size / (most - low) * 100}%`;
  const place = ([sign, , size, start, kind]) => {
    const line = el("i", { class: `c${kind}${sign === "=" && low ? " torn" : ""}` });
    line.style.marginLeft = percent(sign === "=" ? 0 : start - low);
    line.style.width = percent(sign === "=" ? size - low : size);
    return line;
  };
  return el("section", { class: "wide" }, el("h3", {}, "Where the RAM went"),
    low ? el("p", { class: "hint" }, `To the byte. The bars begin at ${sizeText(low)}.`) : el("p", { class: "hint" }, "To the byte."),
    el("ol", { class: "waterfall" }, ...steps.map((step) => {
      const [sign, what, size, , , base] = step;
      return el("li", { class: sign === "=" ? "sum" : "" },
        el("span", { class: "what" }, base === null ? what : link(what, () => view.choose(base, "all"))),
        el("span", { class: "size" }, `${sign === "=" ? "" : SIGNS[sign]}${sizeText(size)}`),
        el("span", { class: "bytes" }, count(size)),
        el("span", { class: "bar", "aria-hidden": "true" }, place(step)));
    })));
}

function zones(view) {
  const { side } = view;
  if (!side.zones) return undefined;
  const orders = Array.from({ length: side.buddyinfo[0]?.free.length ?? 0 }, (_, order) => order);
  return el("section", { class: "wide" }, el("h3", {}, "Zones and free lists at the handover"),
    table("Zones, in pages", ["Zone", "Begins at", "Spanned", "Present", "Managed", "Free", "Free memory"],
      side.zones.map((z) => ({ cells: [z.zone, z.spanned ? hex(z.start_pfn * PAGE) : "", count(z.spanned), count(z.present),
        count(z.managed), count(z.free), sizeText(z.free * PAGE)] })), [1, 2, 3, 4, 5, 6], view.suffix),
    table("Free blocks by order (/proc/buddyinfo)", ["Zone", ...orders.map((order) => `${order}: ${sizeText(PAGE * 2 ** order)}`)],
      side.buddyinfo.map((z) => ({ cells: [z.zone, ...z.free.map(count)] })), orders.map((order) => order + 1), view.suffix));
}

// Which pages the buddy allocator got, which not, and why.
function pages(view) {
  const { side } = view;
  if (!side.pages.length) return undefined;
  const sums = side.fates.map(([fate, reason], number) => {
    const runs = side.pages.filter((run) => run.fate === number);
    return { fate, reason, runs: runs.length, pages: runs.reduce((sum, run) => sum + run.count, 0) };
  }).filter((sum) => sum.pages);
  const runs = () => table("Page frames", ["Pages", "Addresses", "Zone", "What became of them", "Why"],
    side.pages.map((run) => ({ mark: run.fate === 0 ? "given" : "", cells: [count(run.count),
      link(span(run), () => view.choose(run.base, "all")), run.zone || "none", side.fates[run.fate][0],
      run.why] })), [0], view.suffix);
  return el("section", { class: "wide" }, el("h3", {}, "Pages at the handover"),
    table("Pages by what became of them", ["Pages", "Memory", "Ranges", "What became of them", "Why"],
      sums.map((sum) => ({ cells: [count(sum.pages), sizeText(sum.pages * PAGE), count(sum.runs), sum.fate, sum.reason] })),
      [0, 1, 2], view.suffix),
    later(`Each of the ${count(side.pages.length)} ranges`, runs));
}

// Drawn where it is opened: it may be long.
function later(summary, draw) {
  const details = el("details", {}, el("summary", {}, summary));
  details.addEventListener("toggle", () => { details.append(draw()); }, { once: true });
  return details;
}
