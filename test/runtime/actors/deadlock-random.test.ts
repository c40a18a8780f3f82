// Random chains of asks. One chain alone is refused exactly when a hop must wait for a turn the chain itself holds open; of
// many at once every one ends without time passing, which is what a deadlock nobody noticed would need.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createTestKit } from '../../../src/testing.ts';
import { GateT } from './gate.ts';
import { outcome } from './outcome.ts';
import { plainHost } from './plain-host.ts';
import { type Hop, OpenT, RelayT } from './relay.ts';

const types = [RelayT, OpenT, GateT];
const hop = fc
  .tuple(fc.constantFrom('go', 'read', 'mingle'), fc.constantFrom('a', 'b', 'c', 'd'))
  .map(([how, key]) => `${how} ${key}` as Hop);
/** Some hops wait for something else first, so that chains get into each other's way after an await, too. */
const path = fc.array(fc.oneof({ weight: 4, arbitrary: hop }, { weight: 1, arbitrary: fc.constant('gate g' as Hop) }), {
  maxLength: 6,
  size: 'max',
});

/** May a message of this mode start beside that open turn? */
const goTogether = (message: string, turn: string): boolean =>
  message === 'mingle' || turn === 'mingle' || (message === 'read' && turn === 'read');

/** The hop at which a chain that begins with a.go() must be refused; -1 when it must not. */
function refusedAt(hops: readonly Hop[]): number {
  const open = [{ key: 'a', mode: 'go' }];
  for (const [n, each] of hops.entries()) {
    const [mode, key] = each.split(' ') as [string, string];
    if (mode === 'gate') continue;
    if (open.some(turn => turn.key === key && !goTogether(mode, turn.mode))) return n;
    open.push({ key, mode });
  }
  return -1;
}

describe.each([
  ['in the kit', () => createTestKit({ actors: types })],
  ['as in production', () => plainHost(types)],
])('%s', (_, start) => {
  it('one chain is refused exactly when it waits for itself', async () => {
    await fc.assert(
      fc.asyncProperty(path, async hops => {
        const { code, value } = await outcome(start().ref(RelayT, 'a').go(hops));
        if (refusedAt(hops) < 0) expect(value).toHaveLength(hops.length + 1);
        else expect(code).toBe('DEADLOCK');
      }),
      { seed: 20_261_120, numRuns: 150 },
    );
  });

  it('one chain may come back to itself where its type is open to it', async () => {
    await fc.assert(
      fc.asyncProperty(path, async hops => {
        expect(await start().ref(OpenT, 'a').go(hops)).toHaveLength(hops.length + 1);
      }),
      { seed: 20_261_120, numRuns: 100 },
    );
  });

  it.each([RelayT, OpenT] as (typeof RelayT)[])('of many chains every one ends, now ($type)', async type => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c', 'd'), path), { maxLength: 8, size: 'max' }),
        async all => {
          const kit = start();
          const ends: (string | undefined)[] = all.map(() => 'open');
          for (const [n, [key, hops]] of all.entries())
            void outcome(kit.ref(type, key).go(hops)).then(({ code }) => {
              ends[n] = code;
            });
          await kit.settle();
          for (const each of ends) expect([undefined, 'DEADLOCK']).toContain(each);
          // Whoever held something up has let go of it.
          for (const key of ['a', 'b', 'c', 'd']) expect(await kit.ref(type, key).mark('free')).toBe('free');
        },
      ),
      { seed: 20_261_120, numRuns: 150 },
    );
  });
});
