// What a seed stands for: which faults, how many hosts, how slow. One family of runs in ten has no faults at all, since an
// excuse is hard to find there; the others bring each kind of trouble, and some bring two.

import type { Cores } from './relocation-cores.ts';
import type { SimOptions } from './relocation-sim.ts';

const families: readonly Pick<SimOptions, 'faults' | 'joins' | 'lossy' | 'refusals' | 'slow'>[] = [
  {},
  { lossy: true },
  { refusals: true, slow: true },
  { faults: ['tombstone', 'crash', 'crash'] },
  { faults: ['orphan', 'orphan', 'crash'], joins: 1 },
  { faults: ['pause', 'pause', 'crash'], joins: 2, slow: true },
  { faults: ['zombie', 'orphan-zombie'] },
  { faults: ['pause', 'orphan'], lossy: true, refusals: true },
  { faults: ['bystander', 'tombstone', 'bystander'], joins: 2 },
  { faults: ['late-source', 'late-source'], joins: 1 },
];

export const familyCount = families.length;

export function explore(seed: number, cores: Cores): SimOptions {
  const family = families[seed % families.length];
  const round = Math.floor(seed / families.length);
  return {
    seed,
    cores,
    hosts: 3 + (round % 3),
    units: 1 + (round % 2),
    messages: 12,
    moves: 6,
    learnsAll: round % 4 === 3,
    ...family,
  };
}
