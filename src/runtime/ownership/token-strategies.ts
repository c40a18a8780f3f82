// The two older ways to cut a ring (Dynamo, section 6.2), for comparison; ring.ts is the third. Chance comes in.
//
//     1: T random tokens a node        ──A────B──A──────C─B──▶      a token owns (previous token, itself], so partitions are
//                                                                   as unequal as chance wants, and change with the members
//     2: the same tokens, but Q equal  ──A─│──B──│A─────│C─B─▶      partitions are fixed; the owner of one is the first token
//        partitions                                                 at or after its end, so it is placement that changes
//
// Invariant: tokens are ascending and no two are the same; what draws a token that is taken draws again.

export interface Token {
  readonly position: number;
  readonly node: string;
}

export type TokenRing = readonly Token[];

/** Positions are 32 bits: the first word of a key's MD5. */
export const positionsMax: number = 2 ** 32;

export function tokenRing(tokens: readonly Token[]): TokenRing {
  const ring = tokens.toSorted((a, b) => a.position - b.position);
  for (const [index, { position }] of ring.entries()) {
    if (index > 0 && ring[index - 1]?.position === position) throw new RangeError(`two tokens at ${position}`);
  }
  return ring;
}

export function addNode(ring: TokenRing, node: string, tokens: number, random: () => number): TokenRing {
  const taken = new Set(ring.map(({ position }) => position));
  const added: Token[] = [];
  while (added.length < tokens) {
    const position = Math.floor(random() * positionsMax);
    if (taken.has(position)) continue;
    taken.add(position);
    added.push({ position, node });
  }
  return tokenRing([...ring, ...added]);
}

export function removeNode(ring: TokenRing, node: string): TokenRing {
  return ring.filter(token => token.node !== node);
}

/** The index of the first token at or after a position, over the top if need be. -1 when there is none at all. */
export function tokenIndexOf(ring: TokenRing, position: number): number {
  let low = 0;
  let high = ring.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ring[middle] as Token).position < position) low = middle + 1;
    else high = middle;
  }
  return low === ring.length ? (ring.length === 0 ? -1 : 0) : low;
}

/** Strategy 1. */
export function tokenOwner(ring: TokenRing, position: number): string | undefined {
  return ring[tokenIndexOf(ring, position)]?.node;
}

/** At most n distinct nodes clockwise; further tokens of a node that is in already are skipped. */
export function tokenPreference(ring: TokenRing, position: number, n: number): string[] {
  const nodes = new Set<string>();
  const first = tokenIndexOf(ring, position);
  for (let step = 0; step < ring.length && nodes.size < n; step++) {
    nodes.add((ring[(first + step) % ring.length] as Token).node);
  }
  return [...nodes];
}

/** What part of the circle each node owns, 0 to 1, on a circle of `size` positions. */
export function tokenShares(ring: TokenRing, size: number = positionsMax): Map<string, number> {
  const shares = new Map<string, number>();
  for (const [index, { position, node }] of ring.entries()) {
    const previous = ring.at(index - 1) as Token; // the last one for the first
    const width = index === 0 ? position + size - previous.position : position - previous.position;
    shares.set(node, (shares.get(node) ?? 0) + width / size);
  }
  return shares;
}

/** Strategy 2: owners of the Q equal partitions. Which partition a key is in no longer depends on the tokens. */
export function partitionOwners(ring: TokenRing, partitions: number, size: number = positionsMax): string[] {
  return Array.from({ length: partitions }, (_, partition) => {
    const last = Math.floor(((partition + 1) * size) / partitions) - 1;
    return tokenOwner(ring, last) ?? '';
  });
}
