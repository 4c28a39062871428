// The report's data, unpacked: the other end of data.py.

const PAGE = 4096;
const data = JSON.parse(document.getElementById("data").textContent);

const categories = data.categories;
const kindOf = (letter) => categories.findIndex((category) => category.letter === letter);
const FREE = kindOf("."), GIVEN = kindOf("b"), NOT_LINUX = kindOf("X");
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
  const events = side.events.map(([kind, line, words, base, size], index) => ({
    index, kind: text(kind), text: text(line), words: text(words), base, end: base === undefined ? undefined : base + size,
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
    crowds: unpack(side.crowds, count, piece),
  };
  const momentOf = new Array(events.length).fill(0);
  moments.forEach((moment, index) => momentOf.fill(index, moment.first, moment.last + 1));
  const changes = moments.map((_, index) => index).filter((index) =>
    index > 0 && Object.values(states).some((state) => state[index] !== state[index - 1]));
  const blocks = (side.blocks || []).flatMap(([pfn, order, times]) =>
    Array.from({ length: times }, (_, index) => ({
      base: (pfn + index * 2 ** order) * PAGE, end: (pfn + (index + 1) * 2 ** order) * PAGE, order,
    })));
  const pages = side.pages.map(([pfn, count, zone, fate, why]) =>
    ({ base: pfn * PAGE, end: (pfn + count) * PAGE, count, zone, fate, why }));
  return { ...side, number, events, moments, ...states, momentOf, changes, blocks, pages };
}

// Pieces with those that a map shows as one, their members, put together.
function grouped(side, moment) {
  const groups = [];
  let crowd = 0;
  const crowds = side.crowds[moment] ?? [];
  for (const piece of side.pieces[moment] ?? []) {
    while (crowd < crowds.length && crowds[crowd].end <= piece.base) crowd++;
    const around = crowds[crowd];
    if (!around || piece.base < around.base) groups.push({ ...piece, members: [] });
    else if (piece.base === around.base) groups.push({ ...around, members: [piece] });
    else groups.at(-1).members.push(piece);
  }
  return groups;
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
