// A node that leaves while it is talked to, on the simulated network: whoever hears that it has left ends the session with it, so nothing
// may be on its way through it by then.

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { TroupeError } from '../../../src/errors.ts';
import { Actor } from '../../../src/runtime/actor.ts';
import { defineActor } from '../../../src/runtime/define-actor.ts';
import { call, tell } from '../../../src/runtime/refs.ts';
import { ClusterKit } from '../../../src/testing/cluster-kit-host.ts';
import { TravellerT } from '../cluster/traveller.ts';
import { LogT } from '../gateway/actors.ts';

const gates: (() => void)[] = [];
class Gate extends Actor<object> {
  override initial(): object {
    return {};
  }
  pass(): Promise<string> {
    return new Promise(open => gates.push(() => open('passed')));
  }
}
const GateT = defineActor(import.meta.url, Gate, { type: 'gate' });

let kit: ClusterKit;

beforeEach(async () => {
  kit = new ClusterKit(3, { actors: [LogT, GateT, TravellerT], seed: 7 });
  await kit.start();
});
afterEach(() => kit.close());

/** One key of each partition of that node. */
function keysOf(name: string): string[] {
  const keys = Array.from({ length: 2_000 }, (_, i) => `k${i}`);
  const own = keys.filter(key => kit.node('n1').cluster.preference(key, 1)[0] === name);
  return own.slice(0, 12);
}

const statusAt = (name: string, of: string): string | undefined =>
  kit
    .node(name)
    .members()
    .find(each => each.name === of)?.status;

describe('a node that leaves', () => {
  it('stays, owning nothing, as long as an ask is open that has gone on through it', async () => {
    const [key = ''] = keysOf('n2');
    await kit.run(kit.node('n2').relocate(GateT, key, 'n3'));
    const asked = call(kit.node('n1').ref(GateT, key), { deadlineMs: 25_000 }).pass() as Promise<unknown>;
    asked.catch(() => undefined);
    await kit.clock.advance(100);
    expect(gates.length).toBe(1);
    const leaving = kit.node('n2').cluster.leave();
    await kit.clock.advance(10_000);
    expect(kit.node('n1').cluster.ring().owners).not.toContain('n2');
    expect(statusAt('n1', 'n2')).toBe('leaving');
    gates[0]?.();
    expect(await kit.run(asked)).toBe('passed');
    await kit.run(leaving);
    await kit.clock.advance(2_000);
    expect(statusAt('n1', 'n2')).toBe('left');
  });

  it('sends home the actors that are its guests: nobody would find them again', async () => {
    const [key = ''] = keysOf('n1');
    await kit.run(kit.node('n1').relocate(TravellerT, key, 'n2'));
    await kit.run(kit.node('n3').ref(TravellerT, key).hear('away'));
    await kit.run(kit.node('n2').cluster.leave());
    await kit.run(kit.node('n2').stop());
    expect(await kit.run(kit.node('n3').ref(TravellerT, key).all())).toEqual(['away']);
  });

  it('takes nothing along that is sent to it meanwhile', async () => {
    const keys = keysOf('n2');
    const senders = ['n1', 'n3'].map(name => kit.node(name));
    const troubles: string[] = [];
    const asks: Promise<unknown>[] = [];
    let [on, next] = [true, 0];
    const talk = (): void => {
      if (!on) return;
      const n = next++;
      for (const { name, ref } of senders.map(each => ({ name: each.name, ref: each.ref.bind(each) })))
        for (const key of keys) {
          tell(ref(LogT, key)).hear([name, 2 * n]);
          const ask = ref(LogT, key).hear([name, 2 * n + 1]) as Promise<unknown>;
          asks.push(ask.catch((error: TroupeError) => void troubles.push(`${error.code} ${error.message}`)));
        }
      kit.clock.timer(2, talk);
    };
    talk();
    await kit.run(kit.node('n2').cluster.leave());
    await kit.clock.advance(500);
    on = false;
    await kit.run(kit.node('n2').stop());
    await kit.clock.advance(10_000);
    await Promise.all(asks);
    expect(troubles).toEqual([]);
    const whole = Array.from({ length: 2 * next }, (_, n) => n);
    for (const key of keys) {
      const heard = (await kit.run(kit.node('n1').ref(LogT, key).all())) as [string, number][];
      for (const { name } of senders) expect(heard.filter(([by]) => by === name).map(([, n]) => n)).toEqual(whole);
    }
  });
});
