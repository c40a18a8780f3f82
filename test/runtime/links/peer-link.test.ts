// Links between processes over the simulated network: the contract of all links, and what only they meet: streams that break.

import { crc32 } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { ackDelayMs } from '../../../src/limits.ts';
import type { OnFrame } from '../../../src/runtime/link.ts';
import { kindAck, kindBeat, kindFrames, PacketReader, packetOf } from '../../../src/runtime/links/packet.ts';
import { PeerLink } from '../../../src/runtime/links/peer-link.ts';
import type { Remains } from '../../../src/runtime/links/remains.ts';
import type { Wire } from '../../../src/runtime/links/wire.ts';
import { type Faults, VirtualNetwork } from '../../../src/testing/virtual-network.ts';
import { seededRandom } from '../../../src/testing/virtual-world.ts';
import { type LinkPair, linkContract } from '../link-contract.ts';
import { HandClock } from './hand-clock.ts';

/** Joins a link to a wire, as peers.ts does after the greeting. */
function join(link: PeerLink, wire: Wire, other: PeerLink): void {
  const reader = new PacketReader(crc32, (kind, number, bytes, view, start, end) => {
    if (!link.onPacket(kind, number, bytes, view, start, end)) reader.stop();
  });
  const progress = other.progress();
  wire.listen({
    onBytes: bytes => {
      if (reader.push(bytes)) return;
      link.detach();
      wire.close(true);
    },
    onDrain: () => link.writable(),
    onEnd: () => link.detach(),
  });
  if (!link.attach(wire, progress)) throw new Error('refused to go on');
}

class Rig {
  readonly clock = new HandClock();
  readonly network: VirtualNetwork;
  readonly a: PeerLink;
  readonly b: PeerLink;
  connections = 0;

  constructor(options: {
    faults?: Partial<Faults>;
    seed?: number;
    bytesMax?: number;
    onA?: OnFrame;
    onB: OnFrame;
    delayed?: boolean;
  }) {
    const { clock } = this;
    const { faults = {}, seed = 1, bytesMax = 16_384, delayed = false } = options;
    const later = delayed ? { later: (fn: () => void) => void clock.timer(ackDelayMs, fn) } : {};
    this.network = new VirtualNetwork({ clock, random: seededRandom(seed), faults });
    const make = (onFrame: OnFrame): PeerLink =>
      new PeerLink({ from: 7, onFrame, crc32, bytesMax, soon: fn => clock.soon(fn), ...later });
    this.a = make(options.onA ?? (() => {}));
    this.b = make(options.onB);
  }

  async connect(): Promise<void> {
    if (this.connections++ === 0) await this.network.transport('n2').listen('n2:1', wire => join(this.b, wire, this.a));
    const dialled = this.network.transport('n1').dial('n2:1', { timeoutMs: 1_000 });
    await this.clock.run(10);
    join(this.a, await dialled, this.b);
  }
}

async function openPair(onFrame: OnFrame, bytesMax: number, faults: Partial<Faults>): Promise<LinkPair> {
  const rig = new Rig({ onB: onFrame, bytesMax, faults });
  await rig.connect();
  return {
    writer: rig.a,
    hold: () => rig.b.pause(),
    release: () => rig.b.resume(),
    settle: async () => rig.clock.advance(5_000),
    close: async () => void rig.a.finish(),
  };
}

linkContract('peer link', { open: onFrame => openPair(onFrame, 16_384, {}), bytesMax: 16_384, runs: 10 });
linkContract('peer link in chunks', {
  open: onFrame => openPair(onFrame, 8_192, { chunkMax: 3_000, jitterMs: 3, bufferBytes: 2_000, windowBytes: 5_000 }),
  bytesMax: 8_192,
  runs: 5,
});

const numbered = (number: number, bytes = 24): Uint8Array => {
  const frame = new Uint8Array(bytes).fill(number & 255);
  new DataView(frame.buffer).setUint32(0, number);
  return frame;
};

describe('a peer link whose streams break', () => {
  it.each([1, 2, 3, 4, 5, 6])('loses and doubles nothing, in either direction (seed %i)', async seed => {
    const got: number[][] = [[], []];
    const take =
      (to: number): OnFrame =>
      (_from, _bytes, view, start, end) => {
        expect(view.getUint8(end - 1)).toBe(view.getUint32(start) & 255);
        (got[to] as number[]).push(view.getUint32(start));
      };
    const faults = { chunkMax: 700, jitterMs: 2, corrupt: 0.0005, bufferBytes: 3_000, windowBytes: 4_000 };
    const rig = new Rig({ seed, faults, onA: take(0), onB: take(1) });
    const random = seededRandom(seed);
    const sent = [0, 0];
    await rig.connect();
    const total = 4_000;
    for (let round = 0; (got[0] as number[]).length < total || (got[1] as number[]).length < total; round++) {
      if (round > 5_000) throw new Error('it does not come to an end');
      for (const [i, link] of [rig.b, rig.a].entries()) {
        for (let count = random.u32() % 60; count > 0 && (sent[i] as number) < total; count--) {
          const size = random.u32() % 200 === 0 ? 20_000 : 8 + (random.u32() % 100);
          if (!link.send(numbered(sent[i] as number, size))) break;
          (sent[i] as number)++;
        }
      }
      if (random.u32() % 12 === 0) rig.b.pause();
      if (random.u32() % 3 === 0) rig.b.resume();
      if (random.u32() % 15 === 0) rig.network.cut('n1', 'n2');
      rig.clock.advance(random.u32() % 20);
      if (rig.network.connections().length === 0) {
        rig.a.detach();
        rig.b.detach();
        await rig.connect();
      }
    }
    rig.clock.advance(1_000);
    expect(rig.connections).toBeGreaterThan(5);
    expect(rig.a.describe()).toMatchObject({ resent: expect.any(Number), unackedPackets: 0 });
    for (const numbers of got) expect(numbers).toEqual(Array.from({ length: total }, (_, i) => i));
  });

  it('says at its end which frames may have arrived and which never left', async () => {
    const rig = new Rig({ onB: () => {} });
    await rig.connect();
    rig.network.block('n1', 'n2');
    for (let i = 0; i < 3; i++) rig.a.send(numbered(i));
    rig.clock.advance(10);
    rig.network.cut('n1', 'n2');
    rig.clock.advance(10);
    for (let i = 3; i < 5; i++) rig.a.send(numbered(i));
    rig.a.send(numbered(5, 30_000));
    const numbersOf = (frames: Uint8Array[]): number[] => frames.map(frame => frame[3] as number);
    const { unknown, unsent }: Remains = rig.a.finish();
    expect([numbersOf(unknown), numbersOf(unsent)]).toEqual([
      [0, 1, 2],
      [3, 4, 5],
    ]);
    expect(unsent[2]).toEqual(numbered(5, 30_000));
    expect([rig.a.send(numbered(6)), rig.a.begin(8)]).toEqual([false, -1]);
  });

  it('acknowledges what was handed out, not what is held for a reader that has paused', async () => {
    const seen: number[] = [];
    const rig = new Rig({ onB: (_from, _bytes, view, start) => void seen.push(view.getUint32(start)) });
    await rig.connect();
    rig.b.pause();
    for (let i = 0; i < 3; i++) {
      rig.a.send(numbered(i));
      rig.clock.advance(10);
    }
    expect(rig.b.describe()).toMatchObject({ received: 3, heldBytes: 3 * 48 });
    expect(rig.a.describe()).toMatchObject({ unackedPackets: 3 });
    rig.network.cut('n1', 'n2');
    rig.clock.advance(10);
    await rig.connect(); // and they are sent again, and known
    rig.clock.advance(10);
    rig.b.resume();
    rig.clock.advance(10);
    expect([seen, rig.b.describe(), rig.a.describe()]).toMatchObject([
      [0, 1, 2],
      { duplicates: 3 },
      { unackedPackets: 0, resent: 3 },
    ]);
    rig.b.pause();
    rig.a.send(numbered(3));
    rig.clock.advance(10);
    expect(rig.a.finish().unknown).toEqual([numbered(3)]);
  });

  it('is not moved by acknowledgements, numbers and lengths that no sane peer sends', async () => {
    let frames = 0;
    const rig = new Rig({ onB: () => void frames++ });
    await rig.connect();
    const give = (kind: number, number: number, body: Uint8Array): boolean =>
      rig.b.onPacket(kind, number, body, new DataView(body.buffer), 0, body.length);
    const ack = (received: number, granted: number): Uint8Array => {
      const body = new Uint8Array(16);
      new DataView(body.buffer).setUint32(0, received, true);
      new DataView(body.buffer).setFloat64(8, granted, true);
      return body;
    };
    const lying = new Uint8Array(16);
    new DataView(lying.buffer).setUint32(0, 4_000_000_000, true);
    expect([
      give(6, 0, ack(1, 100_000)), // acknowledges what was never sent
      give(6, 0, ack(0, Number.NaN)),
      give(6, 0, new Uint8Array(3)),
      give(2, 2, new Uint8Array(16)), // a gap
      give(2, 1, lying), // a frame longer than its packet
      give(2, 1, new Uint8Array(0)),
      give(2, 1, new Uint8Array(20_000)), // beyond what was granted
      give(3, 1, lying), // a frame of 4 GB
      give(4, 1, new Uint8Array(8)), // a piece of nothing
      give(99, 1, new Uint8Array(8)),
    ]).toEqual(new Array(10).fill(false));
    expect(frames).toBe(0);
    rig.b.detach();
    rig.b.send(numbered(1));
    rig.clock.advance(10);
    expect(give(6, 0, ack(1, 100_000))).toBe(false); // acknowledges what no stream was given
    expect(rig.b.finish().unsent).toEqual([numbered(1)]);
  });

  it('takes a number once', async () => {
    let frames = 0;
    const rig = new Rig({ onB: () => void frames++ });
    await rig.connect();
    const give = (kind: number, number: number, body: Uint8Array): boolean =>
      rig.b.onPacket(kind, number, body, new DataView(body.buffer), 0, body.length);
    expect(give(2, 1, new Uint8Array(8))).toBe(true);
    expect(give(2, 1, new Uint8Array(8))).toBe(true); // a duplicate
    expect(frames).toBe(1);
  });
});

describe('an acknowledgement that may wait', () => {
  const open = async () => {
    const rig = new Rig({ onB: () => {}, delayed: true, faults: { delayMs: ackDelayMs / 50 } });
    await rig.connect();
    rig.clock.advance(100);
    const back = (): number => rig.network.connections()[0]?.carried[1] as number;
    const unacked = (): number => (rig.a.describe() as { unackedPackets: number }).unackedPackets;
    return { rig, back, unacked, before: back() };
  };

  it('alone waits a little, and is then one for all', async () => {
    const { rig, back, unacked, before } = await open();
    for (let i = 0; i < 5; i++) {
      rig.a.send(numbered(i));
      rig.clock.advance(ackDelayMs / 10);
    }
    expect([back() - before, unacked()]).toEqual([0, 5]);
    rig.clock.advance(ackDelayMs);
    expect([back() - before, unacked()]).toEqual([32, 0]);
    rig.clock.advance(1_000);
    expect(back() - before).toBe(32);
  });

  it('goes with an answer at once, and then not again', async () => {
    const { rig, back, unacked, before } = await open();
    rig.a.send(numbered(1));
    rig.clock.advance(ackDelayMs / 10);
    rig.b.send(numbered(2));
    rig.clock.advance(ackDelayMs / 10);
    expect([back() - before, unacked()]).toEqual([48 + 32, 0]);
    rig.clock.advance(1_000);
    expect(back() - before).toBe(48 + 32);
  });

  it('does not wait when a quarter of the window has been used', async () => {
    const { rig, unacked } = await open();
    for (let i = 0; i < 4; i++) {
      rig.a.send(numbered(i, 1_100));
      rig.clock.advance(ackDelayMs / 10);
      expect(unacked()).toBe(i < 3 ? i + 1 : 0);
    }
  });
});

describe('what a link has to say in a turn', () => {
  /** Two links and what each writes; nothing of it has arrived until it is handed over. */
  function writing() {
    const clock = new HandClock();
    const make = () => {
      const writes: Uint8Array[] = [];
      const stream = { takes: true, write: (bytes: Uint8Array) => writes.push(bytes.slice()) > 0 && stream.takes };
      const link = new PeerLink({ from: 7, onFrame: () => {}, crc32, bytesMax: 16_384, soon: fn => clock.soon(fn) });
      return { link, writes, stream };
    };
    const [a, b] = [make(), make()];
    a.link.attach(a.stream, b.link.progress());
    b.link.attach(b.stream, a.link.progress());
    const kinds = (writes: readonly Uint8Array[]): number[][] =>
      writes.map(bytes => {
        const seen: number[] = [];
        expect(new PacketReader(crc32, kind => seen.push(kind)).push(bytes)).toBe(true);
        return seen;
      });
    const handOver = (from: typeof a, to: typeof b): void => {
      const reader = new PacketReader(crc32, (...packet) => expect(to.link.onPacket(...packet)).toBe(true));
      for (const bytes of from.writes.splice(0)) reader.push(bytes);
    };
    return { clock, a, b, kinds, handOver };
  }

  it('leaves in one piece: frames, and behind them how far it has read', async () => {
    const { clock, a, b, kinds, handOver } = writing();
    a.link.send(numbered(1));
    await clock.run(1);
    handOver(a, b);
    b.link.send(numbered(2));
    await clock.run(1);
    expect(kinds(b.writes)).toEqual([[kindFrames, kindAck]]);
    handOver(b, a);
    await clock.run(1);
    expect(kinds(a.writes)).toEqual([[kindAck]]);
    expect(a.link.isQuiet).toBe(true);
  });

  it('is said also when the stream takes no more packets, and is not sent again with them', async () => {
    const { clock, a, b, kinds, handOver } = writing();
    a.link.send(numbered(1));
    await clock.run(1);
    handOver(a, b);
    b.stream.takes = false;
    for (let i = 0; i < 2; i++) b.link.send(new Uint8Array(900));
    b.link.send(new Uint8Array(2_000));
    await clock.run(1);
    const said = kinds(b.writes).flat();
    expect(said.filter(kind => kind === kindAck)).toHaveLength(1);
    b.link.detach();
    b.writes.length = 0;
    b.stream.takes = true;
    b.link.attach(b.stream, a.link.progress());
    await clock.run(1);
    expect(kinds(b.writes).flat()).not.toContain(kindAck);
  });

  it('stays in order over many turns, however the pieces fall in memory', async () => {
    const { clock, a, b, kinds, handOver } = writing();
    for (let turn = 0; turn < 2_000; turn++) {
      if (turn % 3 !== 2) expect(a.link.send(numbered(turn, 8 + (turn % 700)))).toBe(true);
      if (turn % 5 === 0) expect(b.link.send(numbered(turn))).toBe(true);
      await clock.run(1);
      for (const seen of [...kinds(a.writes), ...kinds(b.writes)]) expect(seen.length).toBeGreaterThan(0);
      handOver(a, b);
      handOver(b, a);
    }
    await clock.run(1);
    handOver(b, a);
    expect([a.link.isQuiet, b.link.describe()]).toMatchObject([true, { duplicates: 0, heldBytes: 0 }]);
  });
});

describe('a packet reader', () => {
  const reading = () => {
    const got: string[] = [];
    const reader = new PacketReader(crc32, (kind, _number, bytes, _view, start, end) => {
      got.push(`${kind}:${Buffer.from(bytes.subarray(start, end)).toString()}`);
    });
    return { reader, got };
  };
  const three = Buffer.concat(
    ['one', '', 'three'.repeat(500)].map((text, i) => packetOf(i + 1, Buffer.from(text), crc32)),
  );
  const expected = ['1:one', '2:', `3:${'three'.repeat(500)}`];

  it('takes packets whole however the stream is cut', () => {
    for (const size of [1, 2, 15, 16, 17, 100, 3_000]) {
      const { reader, got } = reading();
      for (let at = 0; at < three.length; at += size) expect(reader.push(three.subarray(at, at + size))).toBe(true);
      expect(got).toEqual(expected);
      expect(reader.midway).toBe(false);
    }
  });

  it('refuses a length above the bound before it has the bytes', () => {
    const { reader } = reading();
    reader.bodyMax = 100;
    expect(reader.push(packetOf(1, new Uint8Array(101), crc32).subarray(0, 16))).toBe(false);
    expect(reader.trouble).toBe('too-long');
  });

  it('hands out nothing false of ten thousand mutated streams', () => {
    const random = seededRandom(99);
    const troubles = new Map<string | undefined, number>();
    for (let i = 0; i < 10_000; i++) {
      const bytes = new Uint8Array(three);
      for (let count = 1 + (random.u32() % 3); count > 0; count--) {
        const at = random.u32() % bytes.length;
        bytes[at] = (bytes[at] as number) ^ (1 << (random.u32() % 8));
      }
      const { reader, got } = reading();
      for (let at = 0; at < bytes.length; ) {
        const next = at + 1 + (random.u32() % 900);
        if (!reader.push(bytes.slice(at, next))) break;
        at = next;
      }
      for (const [n, text] of got.entries()) if (text !== expected[n]) expect(text).toBe(expected[n]);
      if (got.length === 3 && Buffer.compare(bytes, three) !== 0) throw new Error('a changed stream passed');
      troubles.set(reader.trouble, (troubles.get(reader.trouble) ?? 0) + 1);
    }
    expect(troubles.get('bad-check')).toBeGreaterThan(1_000);
    expect(troubles.get('bad-header')).toBeGreaterThan(50);
  });

  it('takes garbage for what it is', () => {
    const random = seededRandom(5);
    for (let i = 0; i < 2_000; i++) {
      const { reader, got } = reading();
      reader.push(random.bytes(64));
      expect([got, reader.trouble]).toEqual([[], 'bad-header']);
    }
    expect(packetOf(kindBeat, new Uint8Array(0), crc32).length).toBe(16);
  });
});

describe('a reader that pauses and goes on from within a frame', () => {
  it('gets every frame once, in order', async () => {
    const seen: number[] = [];
    const rig = new Rig({
      onB: (_from, _bytes, view, start) => {
        seen.push(view.getUint32(start, true));
        if (seen.length % 3 !== 0) return;
        rig.b.pause();
        rig.b.resume();
      },
    });
    await rig.connect();
    const sent: number[] = [];
    const send = (count: number): void => {
      for (let n = 0; n < count; n++) {
        const frame = new Uint8Array(8);
        new DataView(frame.buffer).setUint32(0, sent.length, true);
        sent.push(sent.length);
        expect(rig.a.send(frame)).toBe(true);
      }
    };
    rig.b.pause();
    for (let packet = 0; packet < 5; packet++) {
      send(4);
      await rig.clock.advance(10);
    }
    expect(seen).toEqual([]);
    rig.b.resume();
    await rig.clock.advance(10);
    expect(seen).toEqual(sent);
  });

  it('may pause for good in the middle: what is held waits', async () => {
    let count = 0;
    const rig = new Rig({
      onB: () => {
        if (++count === 1) rig.b.pause();
      },
    });
    await rig.connect();
    rig.b.pause();
    for (let packet = 0; packet < 3; packet++) {
      rig.a.send(new Uint8Array(8));
      await rig.clock.advance(10);
    }
    rig.b.resume();
    expect(count).toBe(1);
    rig.b.resume();
    expect(count).toBe(3);
  });

  it('that throws loses nothing of what is held behind', async () => {
    let count = 0;
    const rig = new Rig({
      onB: () => {
        if (++count === 1) throw new Error('of a handler');
      },
    });
    await rig.connect();
    rig.b.pause();
    for (let packet = 0; packet < 3; packet++) {
      rig.a.send(new Uint8Array(8));
      await rig.clock.advance(10);
    }
    expect(() => rig.b.resume()).toThrow('of a handler');
    expect(count).toBe(3);
  });
});
