// Random messages to an actor that moves, sleeps, stashes and is busy, in random order: nothing is lost, doubled or reordered,
// every ask is answered, and timers come when they are due. DESIGN.md section 5; research/reliability.md A1, A2, A5.

import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { tell } from '../../../src/runtime/refs.ts';
import { createTestKit } from '../../../src/testing.ts';
import { GateT } from './gate.ts';
import { ExplicitMoverT, journeys, Mover, MoverT, StoredMoverT } from './mover.ts';
import { outcome } from './outcome.ts';

const action = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('tell', 'ask') },
  { weight: 3, arbitrary: fc.constantFrom('shut', 'open') },
  { weight: 3, arbitrary: fc.constantFrom('hold', 'let go') },
  { weight: 4, arbitrary: fc.constantFrom('move', 'move and go on') },
  { weight: 2, arbitrary: fc.constantFrom('timer', 'some time', 'sleep', 'settle') },
);

beforeEach(() => journeys.clear());

describe.each([MoverT, StoredMoverT, ExplicitMoverT])('an actor on the move ($type)', type => {
  it('loses nothing, doubles nothing, and keeps the order', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 50, size: 'max' }), async actions => {
        journeys.clear();
        const kit = createTestKit({ actors: [type] });
        Mover.clock = () => kit.clock.mono();
        const gate = kit.probe(GateT, 'gate');
        const [a, id] = [kit.ref(type, 'a'), `${type.type}/a`];
        const names: string[] = [];
        const open: Promise<unknown>[] = [];
        const lapsed = new Set<string>();
        const due: number[] = [];
        const letGo = async (): Promise<void> => {
          await kit.settle();
          while (gate.received.length > 0) {
            await gate.expect('pass').reply();
            await kit.settle();
          }
        };
        for (const each of actions) {
          const name = String(names.length);
          if (each === 'tell') tell(a).note(names[names.push(name) - 1] as string);
          else if (each === 'ask') {
            const noted = outcome(a.note(names[names.push(name) - 1] as string));
            void noted.then(({ code }) => (code === undefined ? undefined : lapsed.add(name)));
            open.push(noted);
          } else if (each === 'shut') tell(a).shut();
          else if (each === 'open') tell(a).open();
          else if (each === 'hold') open.push(outcome(a.hold()));
          else if (each === 'let go') await letGo();
          else if (each === 'move') await outcome(kit.relocate(id));
          else if (each === 'move and go on') open.push(outcome(kit.relocate(id)));
          else if (each === 'settle') await kit.settle();
          else if (each === 'some time') await kit.clock.advance(100);
          else if (each === 'sleep') {
            await letGo();
            await kit.clock.advance(61_000);
          } else {
            await letGo();
            await a.named(500);
            due.push(kit.clock.mono() + 500);
          }
        }
        tell(a).open();
        await letGo();
        await kit.clock.advance(1_000);
        await letGo();
        const log = await a.log();
        await Promise.all(open);
        // An ask whose deadline passed while it was set aside has not run, and has been told so.
        expect(log).toEqual(names.filter(each => !lapsed.has(each)));
        for (const each of await Promise.all(open)) {
          // A turn that held for more than its deadline, or a move that met one: nothing else may fail here.
          const { code } = each as { code?: string };
          expect([undefined, 'DEADLINE', 'UNKNOWN_OUTCOME', 'REMOTE']).toContain(code);
        }
        const ticks = (journeys.get('a') ?? [])
          .filter(each => each.endsWith('tick'))
          .map(each => Number.parseInt(each, 10));
        expect(ticks).toHaveLength(due.length);
        for (const [n, at] of due.entries()) expect(ticks[n]).toBeGreaterThanOrEqual(at);
        expect(kit.events.filter(event => event.name === 'dead-letter')).toEqual([]);
        await kit.close();
      }),
      { seed: 20_261_120, numRuns: 40 },
    );
  });
});
