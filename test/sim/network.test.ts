// The network as a simulated process sees it: bytes are its own events, kept while it is paused, gone when it has crashed.

import { describe, expect, it } from 'vitest';
import type { Wire, WireEnd } from '../../src/runtime/links/wire.ts';
import { explore } from '../../src/testing/sim/explore.ts';
import { links } from '../../src/testing/sim/links.ts';
import type { SimProcess } from '../../src/testing/sim/process.ts';
import { Simulation } from '../../src/testing/sim/simulation.ts';

interface Heard {
  readonly wire: Wire;
  readonly bytes: number[];
  readonly ends: WireEnd['why'][];
}

function heard(wire: Wire): Heard {
  const all: Heard = { wire, bytes: [], ends: [] };
  wire.listen({
    onBytes: bytes => void all.bytes.push(...bytes),
    onDrain: () => undefined,
    onEnd: ({ why }) => void all.ends.push(why),
  });
  return all;
}

/** n1 dials n2, which listens. */
async function pair(): Promise<{ sim: Simulation; a: Heard; b: Heard; n1: SimProcess; n2: SimProcess }> {
  const sim = new Simulation({ seed: 1, traceLength: 50, eventsMax: 100_000 });
  const [dialled, accepted]: Heard[][] = [[], []];
  const n2 = sim.addProcess('n2', async ({ wires }) => {
    await wires.listen('n2:1', wire => void accepted?.push(heard(wire)));
    return {};
  });
  const n1 = sim.addProcess('n1', ({ wires, clock }) => {
    clock.timer(5, () => {
      wires.dial('n2:1', { timeoutMs: 100 }).then(
        wire => void dialled?.push(heard(wire)),
        () => undefined,
      );
    });
    return {};
  });
  n2.start();
  n1.start();
  await sim.runTo(50);
  return { sim, a: dialled?.[0] as Heard, b: accepted?.[0] as Heard, n1, n2 };
}

describe('a process on the network', () => {
  it.each([false, true])(
    'finds what came while it stood still, in order, when it goes on (suspended: %s)',
    async suspended => {
      const { sim, a, b, n2 } = await pair();
      n2.pause(suspended);
      for (let part = 0; part < 4; part++) {
        a.wire.write(Uint8Array.of(2 * part, 2 * part + 1));
        await sim.runTo(sim.now + 50);
      }
      expect(b.bytes).toEqual([]);
      n2.resume();
      a.wire.write(Uint8Array.of(8));
      await sim.runTo(sim.now + 5);
      expect(b.bytes).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    },
  );

  it('takes no more than a buffer full while it stands still', async () => {
    const { sim, a, b, n2 } = await pair();
    n2.pause(false);
    let taken = 0;
    while (a.wire.write(new Uint8Array(10_000)) && taken < 200) {
      taken++;
      await sim.runTo(sim.now + 20);
    }
    expect(taken).toBeLessThan(60);
    n2.resume();
    await sim.runTo(sim.now + 1_000);
    expect(b.bytes).toHaveLength(10_000 * (taken + 1));
  });

  it.each([
    [false, ['error']],
    [true, []],
  ])(
    'that crashes hears nothing more, and the other end is reset unless its machine is gone too (%s)',
    async (silent, ends) => {
      const { sim, a, b, n2 } = await pair();
      a.wire.write(Uint8Array.of(1));
      n2.crash('test', { silent });
      await sim.runTo(sim.now + 1_000);
      expect([b.bytes, b.ends, a.ends]).toEqual([[], [], ends]);
      n2.start();
      a.wire.write(Uint8Array.of(2));
      await sim.runTo(sim.now + 1_000);
      expect([b.bytes, a.ends]).toEqual([[], ['error']]);
    },
  );

  it('is given bytes for the time of the call only', async () => {
    const sim = new Simulation({ seed: 1, traceLength: 50, eventsMax: 100_000 });
    const kept: Uint8Array[] = [];
    const alone = sim.addProcess('n3', async ({ wires }) => {
      await wires.listen('n3:1', wire =>
        wire.listen({ onBytes: bytes => void kept.push(bytes), onDrain: () => undefined, onEnd: () => undefined }),
      );
      (await wires.dial('n3:1', { timeoutMs: 100 })).write(Uint8Array.of(7));
      return {};
    });
    alone.start();
    await sim.runTo(sim.now + 100);
    expect(kept).toEqual([Uint8Array.of(0xdd)]);
  });

  it('hears nothing on a wire it has closed but that it is closed', async () => {
    const { sim, a, b } = await pair();
    b.wire.write(Uint8Array.of(5));
    a.wire.close(true);
    await sim.runTo(sim.now + 50);
    expect([a.bytes, a.ends]).toEqual([[], ['closed']]);
  });
});

describe('the links scenario', () => {
  it('finds nothing in 60 seeds, each the same twice', { timeout: 60_000 }, async () => {
    let ok = 0;
    const found = await explore(links, {
      from: 1,
      seeds: 60,
      twiceEvery: 6,
      onSeed: ({ told }) => {
        ok += told.ok;
      },
    });
    expect(found.failed.flatMap(({ seed, violations }) => violations.map(each => `${seed}: ${each}`))).toEqual([]);
    expect(found.unrepeatable).toEqual([]);
    expect(ok).toBeGreaterThan(3_000);
  });
});
