// Random worlds: moves, moves back, moves while the last tombstone stands, with every kind of trouble. The oracles are in
// relocation-sim.ts; a seed that fails is replayed with `trace: true`, which prints its last 200 lines.

import { expect, test } from 'vitest';
import { cores } from './relocation-cores.ts';
import { explore, familyCount } from './relocation-explore.ts';
import { Sim } from './relocation-sim.ts';

const seeds = 2_250;

/** Every way a move can end, a wait can time out and a death can be mended: nothing of it may go unvisited. */
const marks = [
  ...['moved shipped', 'moved disk', 'granted', 'late', 'thaw', 'discard', 'retire', 'lost', 'doubt', 'hang-up'],
  ...['outcome moved', 'outcome aborted', 'outcome refused', 'moved in line', 'marker', 'forward', 'passed', 'parted'],
  ...['busy', 'same-host', 'target-down', 'stale', 'owner-died'],
  ...['no-room', 'version', 'decode', 'damaged', 'pack-failed', 'source-died', 'target-died', 'watchdog', 'silent'].map(
    reason => `aborted ${reason}`,
  ),
  ...['turn-timeout', 'pack-timeout', 'ship-timeout', 'install-timeout'].map(reason => `aborted ${reason}`),
];

test(`nothing is lost, doubled or reordered and no unit runs twice in ${seeds} random worlds`, () => {
  const seen = new Set<string>();
  const sums = { started: 0, committed: 0, forwarded: 0, held: 0, parked: 0, shipped: 0 };
  for (let seed = 0; seed < seeds; seed++) {
    const sim = new Sim(explore(seed, cores)).run();
    for (const mark of sim.seen) seen.add(mark);
    const directory = sim.directory.describe();
    sums.started += directory.started;
    sums.committed += directory.committed;
    for (const { route } of sim.hosts) {
      const { forwarded, held, parked, shipped } = route.describe();
      sums.forwarded += forwarded;
      sums.held += held;
      sums.parked += parked;
      sums.shipped += shipped;
    }
  }
  expect(marks.filter(mark => !seen.has(mark))).toEqual([]);
  // The worlds are about moves under traffic: were they not, the line above would prove little.
  expect(sums.committed).toBeGreaterThan(seeds / 2);
  for (const sum of [sums.forwarded, sums.held, sums.parked, sums.shipped]) expect(sum).toBeGreaterThan(100);
});

test('without faults nothing at all is excused: each message is processed', () => {
  for (let seed = 0; seed < 30 * familyCount; seed += familyCount) {
    const sim = new Sim(explore(seed, cores)).run();
    expect(sim.ledger.messages.every(({ fate }) => fate === 'processed')).toBe(true);
  }
});

test('the same seed makes the same trace', () => {
  const traceOf = (seed: number) => new Sim({ ...explore(seed, cores), trace: true }).run().trace;
  for (let seed = 0; seed < 2 * familyCount; seed++) expect(traceOf(seed)).toEqual(traceOf(seed));
  expect(traceOf(0)).not.toEqual(traceOf(familyCount));
});
