// Members, rings and the plain questions about them that these tests share, each in its most obvious form.

import type { Claimer } from '../../../src/runtime/ownership/claim.ts';
import {
  emptyRing,
  type Ring,
  type RingMember,
  ringHash,
  type SeenRings,
} from '../../../src/runtime/ownership/ring.ts';

export const member = (name: string, more: Partial<RingMember> = {}): RingMember => ({
  name,
  status: 'valid',
  weight: 1,
  zone: '',
  rack: '',
  ...more,
});

/** n01, n02 ..., in zones z0, z1 ... in turn. */
export const members = (count: number, zones = 1): RingMember[] =>
  Array.from({ length: count }, (_, i) =>
    member(`n${String(i + 1).padStart(2, '0')}`, zones > 1 ? { zone: `z${i % zones}` } : {}),
  );

export const weighted = (weights: Record<string, number>): Claimer[] =>
  Object.entries(weights).map(([name, weight]) => member(name, { weight }));

export const unowned = (partitions: number): string[] => new Array<string>(partitions).fill('');

/** 'a b c a b c' as a ring. */
export function ringOf(text: string, more: Partial<Ring> = {}): Ring {
  const owners = text.split(' ');
  const names = [...new Set(owners)].sort();
  const base = emptyRing({ cluster: 'test', partitions: 1, claimant: names[0] as string });
  return { ...base, owners, epoch: 1, members: names.map(name => member(name)), ...more };
}

export const seenByAll = (ring: Ring): SeenRings => new Map(ring.members.map(({ name }) => [name, ringHash(ring)]));

export function counts(owners: readonly string[]): number[] {
  const found = new Map<string, number>();
  for (const owner of owners) found.set(owner, (found.get(owner) ?? 0) + 1);
  return [...found.values()].sort((a, b) => b - a);
}

export const countOf = (owners: readonly string[], name: string): number => owners.filter(o => o === name).length;

/** Partitions that changed hands. */
export const moved = (before: readonly string[], after: readonly string[]): number[] =>
  before.flatMap((owner, p) => (owner === after[p] ? [] : [p]));

/** Starts of runs of `length`, over the wrap, in which somebody is there twice. */
export const crowded = (owners: readonly string[], length: number): number[] =>
  owners.flatMap((_, p) => {
    const run = Array.from({ length }, (_, step) => owners[(p + step) % owners.length]);
    return new Set(run).size < length ? [p] : [];
  });
