// A connection: the greeting's packets, then a link's; beats, silence, packets that do not end, handlers that throw.

import { crc32 } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { OnFrame } from '../../../src/runtime/link.ts';
import { kindBeat, kindFrames, kindGreeting, packetOf, sealPacket } from '../../../src/runtime/links/packet.ts';
import { type DriverEnd, PeerDriver } from '../../../src/runtime/links/peer-driver.ts';
import { PeerLink } from '../../../src/runtime/links/peer-link.ts';
import type { Wire } from '../../../src/runtime/links/wire.ts';
import { type Faults, VirtualNetwork } from '../../../src/testing/virtual-network.ts';
import { seededRandom } from '../../../src/testing/virtual-world.ts';
import { HandClock } from './hand-clock.ts';

interface End {
  readonly driver: PeerDriver;
  readonly link: PeerLink;
  readonly greetings: string[];
  readonly ends: DriverEnd[];
  readonly thrown: unknown[];
}

class Rig {
  readonly clock = new HandClock();
  readonly network: VirtualNetwork;
  a!: End;
  b!: End;
  wires!: [Wire, Wire];

  constructor(faults: Partial<Faults> = {}) {
    this.network = new VirtualNetwork({ clock: this.clock, random: seededRandom(1), faults });
  }

  async open(onFrame: OnFrame = () => {}): Promise<this> {
    let accepted: Wire | undefined;
    await this.network.transport('n2').listen('n2:1', wire => {
      accepted = wire;
    });
    const dialled = this.network.transport('n1').dial('n2:1', { timeoutMs: 1_000 });
    await this.clock.run(10);
    this.wires = [await dialled, accepted as Wire];
    this.a = this.end(this.wires[0], () => {});
    this.b = this.end(this.wires[1], onFrame);
    return this;
  }

  joined(): this {
    const fresh = this.a.link.progress();
    expect([this.a.driver.join(this.a.link, fresh), this.b.driver.join(this.b.link, fresh)]).toEqual([true, true]);
    return this;
  }

  private end(wire: Wire, onFrame: OnFrame): End {
    const { clock } = this;
    const link = new PeerLink({ from: 0, onFrame, crc32, soon: fn => clock.soon(fn) });
    const rest = { link, greetings: [] as string[], ends: [] as DriverEnd[], thrown: [] as unknown[] };
    const driver = new PeerDriver({
      wire,
      clock,
      crc32,
      onGreeting: body => rest.greetings.push(Buffer.from(body).toString()),
      onEnd: why => rest.ends.push(why),
      onThrown: error => rest.thrown.push(error),
    });
    return { ...rest, driver };
  }
}

const attached = (end: End): unknown => (end.link.describe() as { attached: boolean }).attached;

describe('a connection before its greeting is over', () => {
  it('carries the greeting, and ends when that takes too long, however busy the other end is', async () => {
    const rig = await new Rig().open();
    rig.a.driver.greet(Buffer.from('hello'));
    for (let second = 0; second < 4; second++) {
      rig.clock.advance(1_000);
      rig.a.driver.greet(Buffer.from('more'));
    }
    expect(rig.b.greetings).toEqual(['hello', 'more', 'more', 'more']);
    rig.clock.advance(1_000);
    expect(rig.b.ends).toEqual(['late']);
    expect(rig.a.ends).toEqual(['late']); // opened at the same moment
  });

  it.each<[string, DriverEnd, Uint8Array]>([
    ['a packet of a session', 'senseless', packetOf(kindBeat, new Uint8Array(0), crc32)],
    ['more than a greeting can be', 'damaged', packetOf(kindGreeting, new Uint8Array(1_025), crc32)],
    ['what is no packet', 'damaged', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
  ])('ends by %s', async (_what, why, bytes) => {
    const rig = await new Rig().open();
    rig.wires[0].write(bytes);
    rig.clock.advance(10);
    expect([rig.b.ends, rig.a.ends, rig.b.greetings]).toEqual([[why], ['ended'], []]);
  });

  it('says its last word before it closes', async () => {
    const rig = await new Rig({ bufferBytes: 10, bytesPerMs: 1 }).open();
    rig.b.driver.greet(Buffer.from('no'));
    rig.b.driver.close();
    rig.clock.advance(100);
    expect([rig.a.greetings, rig.a.ends, rig.b.ends]).toEqual([['no'], ['ended'], ['closed']]);
  });
});

describe('a joined connection', () => {
  it('lives for ever on one beat a second each way, and needs none while it has other things to say', async () => {
    const rig = (await new Rig().open()).joined();
    rig.clock.advance(100_500);
    const idle = rig.network.connections()[0]?.carried as [number, number];
    for (const bytes of idle) expect(bytes).toBe(100 * 16);
    for (let i = 0; i < 100; i++) {
      rig.a.link.send(new Uint8Array(8));
      rig.b.link.send(new Uint8Array(8));
      rig.clock.advance(500);
    }
    const busy = rig.network.connections()[0]?.carried as [number, number];
    for (const [i, bytes] of busy.entries()) expect(bytes - (idle[i] as number)).toBe(100 * (32 + 32));
    expect([rig.a.ends, rig.b.ends]).toEqual([[], []]);
  });

  it('is given up after five seconds of silence, by both ends', async () => {
    const rig = (await new Rig().open()).joined();
    rig.clock.advance(10_000);
    rig.network.block('n1', 'n2');
    rig.network.block('n2', 'n1');
    rig.clock.advance(4_500);
    expect([rig.a.ends, rig.b.ends]).toEqual([[], []]);
    rig.clock.advance(1_500);
    expect([rig.a.ends, rig.b.ends]).toEqual([['silent'], ['silent']]);
    expect([attached(rig.a), attached(rig.b)]).toEqual([false, false]);
  });

  it('is given up when a packet does not end, though bytes keep coming', async () => {
    const rig = (await new Rig().open()).joined();
    const packet = packetOf(kindFrames, new Uint8Array(1_000), crc32);
    for (let i = 0; i < 13; i++) {
      expect(rig.b.ends).toEqual([]);
      rig.wires[0].write(packet.subarray(i * 20, i * 20 + 20));
      rig.clock.advance(490);
    }
    expect(rig.b.ends).toEqual(['stuck']);
  });

  it('forgives a silence through which this process has slept itself', async () => {
    const rig = (await new Rig().open()).joined();
    rig.clock.advance(3_000);
    // A process that is stopped runs no timers; its clock goes on. What the other end said lies unread.
    rig.wires[1].pause();
    rig.clock.sleep(20_000);
    rig.clock.advance(1_000);
    expect(rig.b.ends).toEqual([]);
    rig.wires[1].resume();
    rig.clock.advance(4_000);
    expect(rig.b.ends).toEqual([]);
    rig.wires[1].pause();
    rig.clock.advance(6_000);
    expect(rig.b.ends).toEqual(['silent']);
  });

  it('stops writing when the stream is full, and goes on when it has drained', async () => {
    let frames = 0;
    const rig = (await new Rig({ bufferBytes: 5_000, windowBytes: 5_000 }).open(() => void frames++)).joined();
    rig.network.block('n1', 'n2');
    const sent = 60;
    for (let i = 0; i < sent; i++) {
      rig.a.link.send(new Uint8Array(1_000));
      rig.clock.advance(1);
    }
    expect(rig.wires[0].buffered()).toBeLessThan(7_000);
    expect(rig.a.link.describe()).toMatchObject({ unackedPackets: sent });
    rig.network.free('n1', 'n2');
    rig.clock.advance(100);
    expect(frames).toBe(sent);
    expect(rig.a.link.describe()).toMatchObject({ unackedPackets: 0 });
  });

  it('loses nothing when a handler throws in the middle of a chunk', async () => {
    const seen: number[] = [];
    const rig = await new Rig({ bufferBytes: 1_000_000 }).open((_from, bytes, _view, start) => {
      seen.push(bytes[start] as number);
      if (bytes[start] === 2) throw new Error('of a handler');
    });
    rig.joined();
    rig.network.block('n1', 'n2');
    for (let i = 1; i <= 5; i++) {
      rig.a.link.send(new Uint8Array(8).fill(i));
      rig.clock.advance(10); // each a packet of its own
    }
    rig.network.free('n1', 'n2');
    rig.clock.advance(10);
    expect(seen).toEqual([1, 2, 3, 4, 5]);
    expect(rig.b.thrown).toEqual([new Error('of a handler')]);
    expect(rig.b.ends).toEqual([]);
  });

  it('can be closed from within a frame: nothing of the same chunk is handed out after it', async () => {
    let frames = 0;
    const rig = await new Rig().open(() => {
      if (++frames === 2) rig.b.driver.close(true);
    });
    rig.joined();
    const packets = [1, 2, 3].map(number => {
      const packet = packetOf(kindFrames, Uint8Array.of(8, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8), crc32);
      sealPacket(packet, kindFrames, number, crc32);
      return packet;
    });
    rig.wires[0].write(Buffer.concat(packets));
    rig.clock.advance(10);
    expect([frames, rig.b.ends, rig.a.ends.length]).toEqual([2, ['closed'], 1]);
    expect(rig.b.link.describe()).toMatchObject({ received: 2 });
  });

  it.each<[string, DriverEnd, Uint8Array]>([
    ['a greeting', 'senseless', packetOf(kindGreeting, new Uint8Array(4), crc32)],
    ['an unknown kind', 'senseless', packetOf(99, new Uint8Array(8), crc32)],
    ['a damaged packet', 'damaged', packetOf(kindFrames, new Uint8Array(8), crc32).fill(1, 20)],
  ])('ends by %s', async (_what, why, bytes) => {
    const rig = (await new Rig().open()).joined();
    rig.wires[0].write(bytes);
    rig.clock.advance(10);
    expect([rig.b.ends, attached(rig.b)]).toEqual([[why], false]);
  });

  it('says goodbye behind what was sent', async () => {
    let frames = 0;
    const rig = (await new Rig().open(() => void frames++)).joined();
    rig.a.link.send(new Uint8Array(8));
    rig.clock.advance(0);
    rig.a.driver.goodbye();
    rig.clock.advance(10);
    expect([frames, rig.a.ends, rig.b.ends]).toEqual([1, ['closed'], ['goodbye']]);
  });
});
