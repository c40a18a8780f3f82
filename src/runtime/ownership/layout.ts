// A ring from nothing. Members are written down the columns of a grid with as many rows as the largest share, the largest
// shares first, and read along the rows:
//
//     shares 4 3 3 3 3, 16 partitions            n1 n2 n3 n4
//     four rows, written downwards:              n1 n2 n3 n5      read:  n1 n2 n3 n4 | n1 n2 n3 n5 | n1 n2 n4 n5 | n1 n3 n4 n5
//                                                n1 n2 n4 n5
//                                                n1 n3 n4 n5
//
// Intuition: a share never exceeds the rows, so a member has one place a row at most, and two of its places are a row apart.
// A row is no shorter than partitions / largest share, which is no less than the spacing wherever shares.ts could cap it.
// A column that begins below the top is not as long as the rows, so its ends do not meet over the wrap either.
// Plain round robin fails exactly there: 16 partitions by five members put the last n1 next to the first.

interface Placed {
  readonly zone: string;
  readonly rack: string;
}

/** Zones take turns, and in a zone its racks, so that neighbours in the grid are far from each other. Keeps order otherwise. */
export function claimOrder<Member extends Placed>(members: readonly Member[]): Member[] {
  const byZone = [...groups(members, ({ zone }) => zone).values()];
  return inTurn(
    byZone.flatMap(zone => inTurn(zone, ({ rack }) => rack)),
    ({ zone }) => zone,
  );
}

/** One of each group after the other, until all are used up. */
function inTurn<Member>(members: readonly Member[], groupOf: (member: Member) => string): Member[] {
  const lists = [...groups(members, groupOf).values()];
  const longest = Math.max(0, ...lists.map(list => list.length));
  return Array.from({ length: longest }, (_, turn) => lists.flatMap(list => list.slice(turn, turn + 1))).flat();
}

function groups<Member>(members: readonly Member[], groupOf: (member: Member) => string): Map<string, Member[]> {
  const found = new Map<string, Member[]>();
  for (const member of members) {
    const group = found.get(groupOf(member));
    if (group === undefined) found.set(groupOf(member), [member]);
    else group.push(member);
  }
  return found;
}

/**
 * Patterns to choose from: the members in one grid, or the zones first and then in each zone its members. Only the second
 * keeps the zones in step when shares differ by one; only the first is sure to keep members apart.
 */
export function layouts(shares: readonly number[], partitions: number, zones: readonly string[]): Int32Array[] {
  const flat = layout(shares, partitions);
  const members = groups([...shares.keys()], member => zones[member] as string);
  if (members.size < 2) return [flat];
  const lists = [...members.values()];
  const zoneShares = lists.map(list => list.reduce((sum, member) => sum + (shares[member] as number), 0));
  return [
    flat,
    ...[layout(zoneShares, partitions), interleave(zoneShares)].map(pattern => fillZones(pattern, lists, shares)),
  ];
}

function fillZones(pattern: Int32Array, lists: readonly (readonly number[])[], shares: readonly number[]): Int32Array {
  const places = lists.map(list => {
    const own = list.map(member => shares[member] as number);
    const size = own.reduce((sum, share) => sum + share, 0);
    return size === 0 ? [] : Array.from(layout(own, size), at => list[at] as number);
  });
  const used = lists.map(() => 0);
  return pattern.map(zone => {
    const at = used[zone] as number;
    used[zone] = at + 1;
    return places[zone]?.[at] as number;
  });
}

/** Each as evenly over the circle as it goes: the i-th of s places lies near (i + 1/2) / s. */
function interleave(shares: readonly number[]): Int32Array {
  const places = shares.flatMap((share, zone) =>
    Array.from({ length: share }, (_, i) => ({ zone, at: (i + 0.5) / share })),
  );
  return Int32Array.from(
    places.sort((a, b) => a.at - b.at || a.zone - b.zone),
    ({ zone }) => zone,
  );
}

/** Members by number, `shares[i]` places for member i. */
export function layout(shares: readonly number[], partitions: number): Int32Array {
  const order = [...shares.keys()].sort((a, b) => (shares[b] as number) - (shares[a] as number) || a - b);
  const downwards = order.flatMap(member => new Array<number>(shares[member] as number).fill(member));
  const rows = Math.max(...shares);
  const longer = partitions % rows; // rows that are one place longer, the first ones
  const width = Math.floor(partitions / rows);
  const owners = new Int32Array(partitions);
  for (let at = 0; at < partitions; at++) {
    const row = at % rows;
    owners[row * width + Math.min(row, longer) + Math.floor(at / rows)] = downwards[at] as number;
  }
  return owners;
}

/**
 * The same pattern with members renamed and turned so that most partitions stay where they are. Only members with the
 * same share may trade names; of one zone and rack, or zones would come apart.
 */
export function relabel(
  pattern: Int32Array,
  before: Int32Array,
  members: readonly Placed[],
  shares: readonly number[],
): Int32Array {
  const kinds = members.map(({ zone, rack }, member) => JSON.stringify([shares[member], zone, rack]));
  const partitions = pattern.length;
  const turns = Math.min(partitions, members.length, turnsMax);
  let best = { kept: -1, owners: pattern };
  for (let turn = 0; turn < turns; turn++) {
    const turned = pattern.map((_, p) => pattern[(p + turn) % partitions] as number);
    const { names, kept } = rename(turned, before, kinds);
    if (kept > best.kept) best = { kept, owners: turned.map(label => names[label] as number) };
  }
  return best.owners;
}

/** Turns tried; past this the pattern repeats itself nearly. 16 of 8,192 partitions take some 20 ms. */
const turnsMax = 16;

/** Whoever overlaps most with a label gets it first: not the best matching, but near it, and quick. */
function rename(
  pattern: Int32Array,
  before: Int32Array,
  kinds: readonly string[],
): { names: Int32Array; kept: number } {
  const size = kinds.length;
  const overlaps = new Map<number, number>();
  for (let p = 0; p < pattern.length; p++) {
    const label = pattern[p] as number;
    const owner = before[p] as number;
    if (owner < 0 || kinds[label] !== kinds[owner]) continue;
    overlaps.set(label * size + owner, (overlaps.get(label * size + owner) ?? 0) + 1);
  }
  const names = new Int32Array(size).fill(-1);
  const taken = new Set<number>();
  let kept = 0;
  for (const [pair, overlap] of [...overlaps].sort(([a, most], [b, more]) => more - most || a - b)) {
    const label = Math.floor(pair / size);
    const owner = pair % size;
    if (names[label] !== -1 || taken.has(owner)) continue;
    names[label] = owner;
    taken.add(owner);
    kept += overlap;
  }
  const free = new Map<string, number[]>();
  for (const [member, kind] of kinds.entries()) {
    if (!taken.has(member)) free.set(kind, [...(free.get(kind) ?? []), member]);
  }
  for (const [label, kind] of kinds.entries())
    if (names[label] === -1) names[label] = free.get(kind)?.shift() as number;
  return { names, kept };
}
