// The report's data, unpacked: the other end of data.py.

const PAGE = 4096;
const data = JSON.parse(document.getElementById("data").textContent);

const categories = data.categories;
const kindOf = (letter) => categories.findIndex((category) => category.letter === letter);
const FREE = kindOf("."), GIVEN = kindOf("b"), NOT_LINUX = kindOf("X");
const NOT_GIVEN = "free, and not handed over";
const isFree = (piece) => piece.kind === FREE || piece.kind === GIVEN;

// Each state by its moment: a splice makes it of the one before, or it is the same.
function unpack(splices, count, row) {
  const states = [];
  let state = [];
  let next = 0;
  for (let moment = 0; moment < count; moment++) {
    if (next < splices.length && splices[next][0] === moment) {
      const [, start, gone, come] = splices[next++];
      state = [...state.slice(0, start), ...come.map(row), ...state.slice(start + gone)];
    }
    states.push(state);
  }
  return states;
}

function unpackSide(side, number) {
  const text = (place) => side.strings[place];
  const count = side.moments.length;
  const region = ([base, size, flags]) => ({ base, end: base + size, size, flags: text(flags) });
  const piece = ([base, end, owner, kind]) => ({ base, end, size: end - base, owner: text(owner), kind });
  const events = side.events.map(([kind, words, base, size], index) => ({
    index, kind: text(kind), text: text(words), base, end: base === undefined ? undefined : base + size,
  }));
  let first = 0;
  const moments = side.moments.map(([last, stage, memoryRoom, reservedRoom]) => {
    const moment = { first, last, stage: text(stage), rooms: { memory: memoryRoom, reserved: reservedRoom } };
    first = last + 1;
    return moment;
  });
  const states = {
    memory: unpack(side.memory, count, region),
    reserved: unpack(side.reserved, count, region),
    pieces: unpack(side.pieces, count, piece),
  };
  nameRests(states.pieces);
  const momentOf = new Array(events.length).fill(0);
  moments.forEach((moment, index) => momentOf.fill(index, moment.first, moment.last + 1));
  const changes = moments.map((_, index) => index).filter((index) =>
    index > 0 && Object.values(states).some((state) => state[index] !== state[index - 1]));
  const blocks = (side.blocks || []).flatMap(([pfn, order, times]) =>
    Array.from({ length: times }, (_, index) => ({
      base: (pfn + index * 2 ** order) * PAGE, end: (pfn + (index + 1) * 2 ** order) * PAGE, order,
    })));
  return { ...side, number, events, moments, ...states, momentOf, changes, blocks };
}

// Once pages are handed over, what is free and was not is worth a name of its own.
function nameRests(states) {
  for (const pieces of new Set(states)) {
    if (!pieces.some((piece) => piece.kind === GIVEN)) continue;
    for (const [index, piece] of pieces.entries())
      if (piece.kind === FREE) pieces[index] = { ...piece, owner: NOT_GIVEN };
  }
}

const sides = data.sides.map(unpackSide);

// The entry of sorted, disjoint ranges that holds an address.
function at(ranges, address) {
  let low = 0, high = ranges.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ranges[middle].end <= address) low = middle + 1; else high = middle;
  }
  return low < ranges.length && ranges[low].base <= address ? ranges[low] : undefined;
}

const hex = (number) => "0x" + number.toString(16).padStart(8, "0");
const span = ({ base, end }) => `${hex(base)}-${hex(end - 1)}`;

function sizeText(size) {
  for (const [shift, unit] of [[2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"]])
    if (size >= shift) return `${(size / shift).toFixed(1).replace(/\.0$/, "")} ${unit}`;
  return `${size} B`;
}

// What is small and lies together is shown together: crumbs below a page, and crowds of a kind.
const CROWD = 128 * 1024;
function grouped(pieces) {
  const groups = [];
  for (let start = 0; start < pieces.length;) {
    const small = run(pieces, start, (piece) => piece.size < PAGE);
    const crumbs = pieces.slice(start, start + small).filter((piece) => !isFree(piece)).length > 1 ? small : 0;
    const crowd = isFree(pieces[start]) ? 1 : run(pieces, start, (piece) =>
      piece.kind === pieces[start].kind && piece.size <= CROWD && piece.size >= PAGE);
    const length = crumbs || (crowd >= 3 ? crowd : 1);
    const members = pieces.slice(start, start + length);
    groups.push(length === 1 ? { ...members[0], members: [] } : group(members));
    start += length;
  }
  return groups;
}

function run(pieces, start, fits) {
  let end = start;
  while (end < pieces.length && fits(pieces[end]) && (end === start || pieces[end].base === pieces[end - 1].end)) end++;
  return end - start;
}

function group(members) {
  const owned = members.filter((piece) => !isFree(piece));
  const kinds = new Map();
  for (const piece of owned) kinds.set(piece.kind, (kinds.get(piece.kind) || 0) + piece.size);
  const kind = [...kinds].sort((a, b) => b[1] - a[1])[0]?.[0] ?? members[0].kind;
  const names = owned.map((piece) => piece.owner);
  const small = members[0].size < PAGE;
  const base = members[0].base, end = members.at(-1).end;
  const tables = !small && categories[kind].title === "page tables";
  const what = small ? `${owned.length} below a page: ` : `${owned.length} pieces: `;
  const title = tables ? `${owned.length} page tables` : what + names.join(", ");
  return { base, end, size: end - base, kind, owner: title, members };
}
