// Moves of actors whose home, or whose node, goes down meanwhile.

import { afterEach, beforeEach, expect, test } from 'vitest';
import { sessionKeepMs } from '../../../src/limits.ts';
import { ClusterKit } from '../../../src/testing/cluster-kit-host.ts';
import { LogT } from './actors.ts';

let kit: ClusterKit;

beforeEach(async () => {
  kit = new ClusterKit(3, { actors: [LogT], seed: 7 });
  await kit.start();
});
afterEach(() => kit.close());

function keyOf(name: string): string {
  const keys = Array.from({ length: 2_000 }, (_, i) => `k${i}`);
  return keys.find(key => kit.node('n1').cluster.preference(key, 1)[0] === name) ?? '';
}

const isDown = (name: string): boolean =>
  kit
    .node('n1')
    .members()
    .find(each => each.name === name)?.status === 'down';

/** How it ends, and after how many ms. */
async function endOf(move: Promise<unknown>): Promise<{ code: string; message: string; ms: number }> {
  const since = kit.clock.now();
  const error = await kit.run(
    move.then(
      () => ({ code: 'ok', message: '' }),
      why => why,
    ),
    2 * sessionKeepMs,
  );
  return { code: error.code, message: error.message, ms: kit.clock.now() - since };
}

for (const [what, home, to, why] of [
  ['its home', 'n2', 'n3', /node n2 went down while log\//],
  ['the node that has it', 'n1', 'n3', /node n2 went down while log\//],
  // Here the outcome is known: it stays where it is.
  ['the node that gets it', 'n1', 'n2', /node n2 did not answer 'guest-put'/],
] as const)
  test(`a move is over for who asked for it when ${what} is down`, async () => {
    const key = keyOf(home);
    if (what === 'the node that has it') await kit.run(kit.node('n1').relocate(LogT, key, 'n2'));
    await kit.crash('n2');
    const { code, message, ms } = await endOf(kit.node('n1').relocate(LogT, key, to));
    expect(code).toBe(to === 'n2' ? 'DEADLINE' : 'UNKNOWN_OUTCOME');
    expect(message).toMatch(why);
    expect(isDown('n2')).toBe(true);
    expect(ms).toBeLessThan(30_000);
    // And the next one is not begun.
    const next = await endOf(kit.node('n1').relocate(LogT, key, to));
    expect(next).toMatchObject({ code: 'OVERLOADED', ms: 0 });
    expect(next.message).toContain('node n2 is down');
    // Nothing is left of the move when the node is back.
    await kit.restart('n2');
    await kit.clock.advance(20_000);
    expect(await kit.run(kit.node('n1').relocate(LogT, key, to))).toMatchObject({ epoch: expect.any(Number) });
  });
