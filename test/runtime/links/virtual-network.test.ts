// The simulated network promises what TCP promises, and has the faults that TCP has.

import { describe, expect, it } from 'vitest';
import type { Wire, WireEnd } from '../../../src/runtime/links/wire.ts';
import { type Faults, VirtualNetwork } from '../../../src/testing/virtual-network.ts';
import { seededRandom } from '../../../src/testing/virtual-world.ts';
import { HandClock } from './hand-clock.ts';

interface Heard {
  readonly wire: Wire;
  readonly bytes: number[];
  readonly chunks: number[];
  readonly ends: WireEnd[];
  drains: number;
}

function heard(wire: Wire): Heard {
  const all: Heard = { wire, bytes: [], chunks: [], ends: [], drains: 0 };
  wire.listen({
    onBytes: bytes => {
      all.bytes.push(...bytes);
      all.chunks.push(bytes.length);
    },
    onDrain: () => void all.drains++,
    onEnd: end => void all.ends.push(end),
  });
  return all;
}

async function pair(faults: Partial<Faults> = {}, seed = 1) {
  const clock = new HandClock();
  const network = new VirtualNetwork({ clock, random: seededRandom(seed), faults });
  const accepted: Heard[] = [];
  await network.transport('n2').listen('n2:7001', wire => void accepted.push(heard(wire)));
  const dialled = network.transport('n1').dial('n2:7001', { timeoutMs: 5_000 });
  await clock.run(10);
  return { clock, network, accepted, a: heard(await dialled), b: accepted[0] as Heard };
}

const numbers = (count: number): Uint8Array => Uint8Array.from({ length: count }, (_, i) => i & 255);

describe('a virtual network', () => {
  it('carries bytes in order, whatever the chunks and the jitter, and the same seed makes the same chunks', async () => {
    const run = async (seed: number): Promise<number[]> => {
      const { clock, a, b } = await pair({ chunkMax: 50, jitterMs: 20 }, seed);
      for (let i = 0; i < 40; i++) a.wire.write(numbers(100).fill(i));
      clock.advance(1_000);
      expect(b.bytes).toEqual(Array.from({ length: 4_000 }, (_, i) => Math.floor(i / 100)));
      return b.chunks;
    };
    expect(await run(3)).toEqual(await run(3));
    expect(await run(4)).not.toEqual(await run(3));
  });

  it.each([1, 2, 3, 4])(
    'gives a prefix of what was written, also when that goes on after a reset (seed %i)',
    async seed => {
      const { clock, network, a, b } = await pair({}, seed);
      network.set('n1', 'n2', { delayMs: 10 });
      for (let i = 0; i < 6; i++) {
        if (i === 3) network.cut('n1', 'n2');
        a.wire.write(numbers(10).fill(i));
        clock.advance(1);
      }
      clock.advance(100);
      expect(b.ends).toHaveLength(1);
      expect(b.bytes).toEqual(Array.from({ length: b.bytes.length }, (_, i) => Math.floor(i / 10)));
    },
  );

  it('fills the buffer of a sender whose reader has paused, and tells it when there is room', async () => {
    const { clock, a, b } = await pair({ bufferBytes: 1_000, windowBytes: 500 });
    b.wire.pause();
    let count = 1;
    while (a.wire.write(numbers(100))) count++;
    clock.advance(100);
    while (a.wire.write(numbers(100))) count++;
    clock.advance(1_000);
    expect([b.bytes.length, a.drains, a.wire.buffered()]).toEqual([0, 1, (count + 1) * 100 - 500]);
    b.wire.resume();
    clock.advance(1_000);
    expect([b.bytes.length, a.drains, a.wire.buffered()]).toEqual([(count + 1) * 100, 2, 0]);
  });

  it('keeps what a blocked way holds up until it is free, and loses an end of it when the connection is cut', async () => {
    const { clock, network, a, b } = await pair({ chunkMax: 10 });
    network.block('n1', 'n2');
    a.wire.write(numbers(100));
    b.wire.write(numbers(5));
    clock.advance(1_000);
    expect([b.bytes.length, a.bytes.length]).toEqual([0, 5]);
    network.free('n1', 'n2');
    clock.advance(10);
    expect(b.bytes).toEqual([...numbers(100)]);
    a.wire.write(numbers(200));
    clock.advance(0.5);
    expect(network.cut('n2', 'n1')).toBe(1);
    clock.advance(10);
    expect(b.bytes.length).toBeLessThan(300);
    expect(b.bytes.slice(100)).toEqual([...numbers(200).subarray(0, b.bytes.length - 100)]);
    expect([a.ends[0]?.why, b.ends[0]?.why, a.ends.length, b.ends.length]).toEqual(['error', 'error', 1, 1]);
    expect(network.connections()).toEqual([]);
  });

  it('says goodbye after what was written', async () => {
    const { clock, a, b } = await pair({ chunkMax: 7 });
    a.wire.write(numbers(300));
    a.wire.close();
    clock.advance(100);
    expect([b.bytes.length, b.ends[0]?.why, a.ends[0]?.why]).toEqual([300, 'ended', 'closed']);
  });

  it('leaves a half-open connection when a host dies silently, and resets it once the host is back', async () => {
    const { clock, network, a, b } = await pair();
    network.crash('n2', { silent: true });
    a.wire.write(numbers(10));
    clock.advance(60_000);
    expect([a.ends.length, b.ends.length, b.bytes.length]).toEqual([0, 0, 0]);
    network.wake('n2');
    clock.advance(100);
    expect(a.ends[0]?.error).toMatchObject({ code: 'ECONNRESET' });
  });

  it('lets no dial of a host come through that has crashed since', async () => {
    const { clock, network, accepted } = await pair();
    network.partition([['n1'], ['n2']]);
    void network.transport('n1').dial('n2:7001', { timeoutMs: 5_000 });
    await clock.run(300);
    network.crash('n1');
    network.heal();
    await clock.run(1_000);
    expect(accepted).toHaveLength(1);
  });

  it('refuses, times out and resets as TCP does', async () => {
    const { clock, network, a } = await pair();
    const dial = async (address: string, ms: number): Promise<unknown> => {
      const wire = network.transport('n1').dial(address, { timeoutMs: 500 });
      const outcome = wire.then(
        () => 'open',
        (error: { code: string }) => error.code,
      );
      await clock.run(ms);
      return outcome;
    };
    expect(await dial('n2:9', 10)).toBe('ECONNREFUSED');
    network.partition([['n1'], ['n2']]);
    expect(await dial('n2:7001', 600)).toBe('ETIMEDOUT');
    network.heal();
    expect(await dial('n2:7001', 10)).toBe('open');
    network.refuse('n2');
    expect(await dial('n2:7001', 10)).toBe('ECONNREFUSED');
    network.crash('n2');
    clock.advance(10);
    expect(a.ends[0]?.error).toMatchObject({ code: 'ECONNRESET' });
  });

  it('changes bytes when told to', async () => {
    const { clock, a, b } = await pair({ corrupt: 1 });
    a.wire.write(numbers(50));
    clock.advance(10);
    expect(b.bytes.filter((byte, i) => byte !== i).length).toBe(1);
  });
});
