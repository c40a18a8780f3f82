// Frames: laid out as drawn, whole or not at all, targets named before they are used, and nothing but BAD_MESSAGE or
// TOO_LARGE from whatever bytes.

import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TroupeError, type WireError } from '../../src/errors.ts';
import { argumentsMax, chainDepthMax, errorCharsMax, frameBytesMax, internedTargetsMax } from '../../src/limits.ts';
import { createCodec } from '../../src/runtime/codec.ts';
import {
  Envelope,
  type Frame,
  type FrameHandler,
  FrameReader,
  FrameWriter,
  frameAsk,
} from '../../src/runtime/frame.ts';
import type { LinkWriter } from '../../src/runtime/link.ts';
import { TargetTable } from '../../src/runtime/target-table.ts';
import { dice, fromHex, hex, mutate, SampleRef, sampleCodec, seed } from './codec-samples.ts';
import { allValues } from './codec-values.ts';

const codec = sampleCodec();

/** A link that keeps its frames, in memory that threads share, and can be told to be full. */
class KeptLink implements LinkWriter {
  readonly bytes: Uint8Array = new Uint8Array(new SharedArrayBuffer(8_192)).fill(0xaa);
  readonly view: DataView = new DataView(this.bytes.buffer);
  readonly windowMax: number = 4_096;
  readonly frames: Uint8Array[] = [];
  roomFor = Number.POSITIVE_INFINITY;
  private window = -1;
  private at = 0;

  begin(bytesMax: number): number {
    expect(this.window).toBe(-1);
    expect(bytesMax).toBeLessThanOrEqual(this.windowMax);
    if (this.roomFor <= 0) return -1;
    this.at = (this.at + 8) % 2_048;
    this.window = bytesMax;
    return this.at;
  }

  end(bytes: number): void {
    expect(this.window).toBeGreaterThanOrEqual(bytes);
    const beyond = this.at + this.window;
    expect(hex(this.bytes.subarray(beyond, beyond + 16))).toBe('aa'.repeat(16));
    this.window = -1;
    if (bytes > 0) this.keep(this.bytes.subarray(this.at, this.at + bytes));
    this.bytes.fill(0xaa, this.at, beyond);
  }

  send(frame: Uint8Array): boolean {
    expect(this.window).toBe(-1);
    if (this.roomFor <= 0) return false;
    this.keep(frame);
    return true;
  }

  private keep(frame: Uint8Array): void {
    this.roomFor--;
    this.frames.push(Uint8Array.from(frame));
  }

  onWritable(): void {}

  stats() {
    return { frames: this.frames.length, bytes: 0, refused: 0, pieces: 0 };
  }
}

type Place = { readonly type: string; readonly key: string };
type Event = Record<string, unknown> & { on: string };

/** Notes what it is called with, as plain copies. */
class Notes implements FrameHandler<Place> {
  readonly events: Event[] = [];

  onTell(frame: Frame<Place>): void {
    this.events.push({ on: 'tell', ...this.copy(frame) });
  }
  onAsk(frame: Frame<Place>): void {
    this.events.push({ on: 'ask', callId: frame.callId, ...this.copy(frame) });
  }
  onReply(from: number, callId: number, value: unknown): void {
    this.events.push({ on: 'reply', from, callId, value });
  }
  onError(from: number, callId: number, error: WireError): void {
    this.events.push({ on: 'error', from, callId, error });
  }
  onControl(from: number, name: string, payload: unknown): void {
    this.events.push({ on: 'control', from, name, payload });
  }
  onRefused(frame: Frame<Place>, error: unknown): void {
    this.events.push({ on: 'refused', callId: frame.callId, method: frame.method, target: frame.target, error });
  }

  private copy(frame: Frame<Place>): object {
    const { from, method, target, remainingMs, chain, trace, sender, sequence, epoch } = frame;
    const args = [frame.a0, frame.a1, frame.a2, ...(frame.rest ?? [])].slice(0, frame.argc);
    return { from, method, target, args, remainingMs, chain, trace, sender, sequence, epoch };
  }
}

/** What a message without an envelope arrives with. */
const bare = {
  remainingMs: Number.POSITIVE_INFINITY,
  chain: null,
  trace: null,
  sender: null,
  sequence: 0,
  epoch: -1,
};

function pair(trusted = true, resolve = (type: string, key: string): Place => ({ type, key })) {
  const link = new KeptLink();
  const writer = new FrameWriter(link, codec);
  const notes = new Notes();
  const reader = new FrameReader<Place>(codec, resolve, notes, trusted);
  const read = (bytes: Uint8Array): void => {
    // Not at the beginning of its memory, and not at its end.
    const around = new Uint8Array(bytes.length + 24).fill(0x5a);
    around.set(bytes, 16);
    reader.read(3, around, new DataView(around.buffer), 16, 16 + bytes.length);
  };
  const arrived = (): Event[] => {
    for (const frame of link.frames.splice(0)) read(frame);
    return notes.events.splice(0);
  };
  const tell = (key: string, args: readonly unknown[], envelope: Envelope | null = null, hint = -1): boolean =>
    writer.encodeTell('cart', key, hint, 9, args.length, args[0], args[1], args[2], restOf(args), envelope);
  const ask = (key: string, callId: number, args: readonly unknown[], envelope: Envelope | null = null): boolean =>
    writer.encodeAsk('cart', key, -1, 9, callId, args.length, args[0], args[1], args[2], restOf(args), envelope);
  return { link, writer, reader, read, arrived, tell, ask };
}

const restOf = (args: readonly unknown[]): unknown[] | null => (args.length > 3 ? args.slice(3) : null);

function codeOf(run: () => unknown): string | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    if (!(error instanceof TroupeError)) throw error;
    return error.code;
  }
}

const fullEnvelope = (): Envelope =>
  Object.assign(new Envelope(), {
    remainingMs: 1_000.5,
    chain: ['cart/a', 'order/é'],
    trace: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    sender: 'n1/2',
    sequence: 2 ** 40 + 5,
    epoch: 7,
  });

describe('a frame', () => {
  it('looks as it is drawn', () => {
    const { link, writer, tell, ask } = pair();
    tell('user-7', [1, 'a']);
    const slot = hex(Uint8Array.from(new Uint8Array(Uint32Array.of(writer.slot).buffer)));
    ask('user-7', 2 ** 33 + 1, [7], fullEnvelope());
    writer.encodeReply(5, 'ok');
    writer.encodeReply(5, undefined);
    writer.encodeError(6, ['REMOTE', 'no', {}, 'failed', false]);
    writer.encodeControl('stop', [1]);
    const text = (value: string): string => hex(Buffer.from(value));
    expect(link.frames.map(hex)).toEqual(
      [
        `01 05 00 00 ${slot} 04 ${text('cart')} ${text('user-7')}`,
        `01 01 00 09 ${slot} 92 01 a161`,
        `01 02 1f 09 ${slot} 01000000 02000000 07000000 00000000 883e0000 05000000 00010000 04 ${text('n1/2')}
       37 ${text(fullEnvelope().trace as string)} 02 0600 ${text('cart/a')} 0800 ${text('order/é')} 91 07`,
        '01 03 00 00 00000000 05000000 00000000 91 a26f6b',
        '01 03 00 00 00000000 05000000 00000000 90',
        `01 04 00 00 00000000 06000000 00000000 91 95 a6${text('REMOTE')} a26e6f 80 a6${text('failed')} c2`,
        `01 06 00 00 00000000 92 a4${text('stop')} 91 01`,
      ].map(each => each.replaceAll(/\s/g, '')),
    );
  });

  it('arrives with what was put into it, whatever that is', () => {
    const text = fc.string({ maxLength: 40 });
    const envelopes = fc.record({
      remainingMs: fc.oneof(
        fc.constant(Number.POSITIVE_INFINITY),
        fc.integer({ min: 0, max: 1e9 }).map(ms => ms / 16),
      ),
      chain: fc.option(fc.array(text, { maxLength: 5 })),
      trace: fc.option(fc.string({ maxLength: 18 })),
      sender: fc.option(text),
      sequence: fc.maxSafeInteger().map(Math.abs),
      epoch: fc.oneof(fc.constant(-1), fc.maxSafeInteger().map(Math.abs)),
    });
    const { arrived, tell, ask } = pair(false);
    fc.assert(
      fc.property(
        fc.array(allValues, { maxLength: 6 }),
        text,
        envelopes,
        fc.maxSafeInteger(),
        (args, key, some, id) => {
          const envelope = Object.assign(new Envelope(), some);
          const sequence = some.sender === null ? 0 : some.sequence;
          const common = { from: 3, method: 9, target: { type: 'cart', key }, args };
          tell(key, args);
          ask(key, Math.abs(id), args, envelope);
          return isDeepStrictEqual(arrived(), [
            { on: 'tell', ...common, ...bare },
            { on: 'ask', callId: Math.abs(id), ...common, ...some, sequence },
          ]);
        },
      ),
      { seed, numRuns: 120 },
    );
  });

  it('carries up to the most arguments', () => {
    const { arrived, tell } = pair();
    const args = Array.from({ length: argumentsMax }, (_, i) => i);
    tell('a', args);
    expect(arrived()[0]?.args).toEqual(args);
    expect(codeOf(() => tell('a', [...args, 1]))).toBe('TOO_LARGE');
  });

  it('carries answers, errors and words between hosts', () => {
    const { writer, arrived } = pair(false);
    const error: WireError = ['QUORUM', 'two of three', { needed: 3, got: 2 }, 'unknown', true];
    writer.encodeReply(2 ** 52, { a: [1, null] });
    writer.encodeReply(1, undefined);
    writer.encodeError(2, error);
    writer.encodeControl('relocate', { unit: 'cart/a', epoch: 4 });
    expect(arrived()).toEqual([
      { on: 'reply', from: 3, callId: 2 ** 52, value: { a: [1, null] } },
      { on: 'reply', from: 3, callId: 1, value: undefined },
      { on: 'error', from: 3, callId: 2, error },
      { on: 'control', from: 3, name: 'relocate', payload: { unit: 'cart/a', epoch: 4 } },
    ]);
  });

  it('never arrives with less time than it had, nor with more than its field holds', () => {
    const { arrived, ask } = pair();
    for (const [sent, got] of [
      [0.01, 0.0625],
      [0, 0],
      [-3, 0],
      [12.5, 12.5],
      [1e12, 2 ** 28 - 0.0625],
    ]) {
      ask('a', 1, [], Object.assign(new Envelope(), { remainingMs: sent }));
      expect(arrived()[0]?.remainingMs).toBe(got);
    }
  });

  it('does not hold what it carried once it has been handed over', () => {
    const { link, reader, tell } = pair();
    tell('a', [{ large: 1 }, { large: 2 }, { large: 3 }, { large: 4 }]);
    for (const frame of link.frames) reader.read(0, frame, new DataView(frame.buffer), 0, frame.length);
    const inside = (reader as unknown as { frame: Frame<Place> }).frame;
    expect([inside.a0, inside.a1, inside.a2, inside.rest]).toEqual([undefined, undefined, undefined, null]);
  });
});

describe('the names of targets', () => {
  it('are sent once, before the first frame that uses them, with or without a hint', () => {
    const { link, writer, arrived, tell } = pair();
    tell('a', [1]);
    const slot = writer.slot;
    tell('a', [2], null, slot);
    tell('a', [3]);
    tell('b', [4], null, slot); // a hint that is wrong
    expect(link.frames.map(frame => frame[1])).toEqual([5, 1, 1, 1, 5, 1]);
    expect(arrived().map(({ target, args }) => [(target as Place).key, args])).toEqual([
      ['a', [1]],
      ['a', [2]],
      ['a', [3]],
      ['b', [4]],
    ]);
  });

  it('lead to the right actor however many there are and however they displace each other', () => {
    const { arrived, tell } = pair();
    const roll = dice(seed);
    const slots = new Map<string, number>();
    const { writer } = pair();
    expect(writer.slot).toBe(-1);
    for (let run = 0; run < 4_000; run++) {
      const key = `user-${roll(run % 3 === 0 ? 30_000 : 400)}`;
      tell(key, [key], null, roll(2) === 0 ? -1 : (slots.get(key) ?? roll(internedTargetsMax)));
      for (const event of arrived()) expect((event.target as Place).key).toBe((event.args as unknown[])[0]);
    }
  });

  it('stay below the size of the table, and are few as long as few are used', () => {
    const table = new TargetTable();
    let binds = 0;
    let highest = 0;
    const say = (key: string): void => {
      const slot = table.slotOf('t', key, -1);
      if (slot >= 0) return;
      highest = Math.max(highest, ~slot);
      table.bind(~slot, 't', key);
      binds++;
    };
    for (let i = 0; i < 100; i++) say(`k${i}`);
    binds = 0;
    for (let round = 0; round < 50; round++) for (let i = 0; i < 100; i++) say(`k${i}`);
    expect(binds).toBeLessThan(1_500); // pairs that share a slot displace each other, until the table has doubled
    for (let i = 0; i < 200_000; i++) say(`k${i}`);
    binds = 0;
    for (let round = 0; round < 3; round++) for (let i = 0; i < 100; i++) say(`k${i}`);
    expect(binds).toBeLessThan(150);
    expect(highest).toBeLessThan(internedTargetsMax);
    expect(highest).toBeGreaterThan(internedTargetsMax / 2);
  });

  it('tell an empty address from an empty slot', () => {
    const table = new TargetTable();
    const slot = table.slotOf('', '', -1);
    expect(slot).toBeLessThan(0);
    table.bind(~slot, '', '');
    expect(table.slotOf('', '', ~slot)).toBe(~slot);
  });

  it('are unknown to a link that took the place of another', () => {
    const first = pair();
    first.tell('a', [1]);
    const frames = first.link.frames.splice(0);
    const second = pair();
    expect(codeOf(() => second.read(frames[1] as Uint8Array))).toBe('BAD_MESSAGE');
    second.tell('a', [1], null, first.writer.slot);
    expect(second.link.frames.map(frame => frame[1])).toEqual([5, 1]);
  });

  it('cannot reach beyond the table', () => {
    const { read } = pair();
    expect(codeOf(() => read(fromHex('01 05 00 00 00400000 01 61 62')))).toBe('BAD_MESSAGE');
    expect(codeOf(() => read(fromHex('01 05 00 00 ffffffff 01 61 62')))).toBe('BAD_MESSAGE');
    expect(codeOf(() => read(fromHex('01 05 00 00 ff3f0000 01 61 62')))).toBeUndefined();
  });
});

describe('a link', () => {
  it('that is full takes nothing, and the name it took before is not sent again', () => {
    const { link, arrived, tell } = pair();
    link.roomFor = 0;
    expect(tell('a', [1])).toBe(false);
    expect(link.frames).toHaveLength(0);
    link.roomFor = 1;
    expect(tell('a', [1])).toBe(false);
    expect(link.frames.map(frame => frame[1])).toEqual([5]);
    link.roomFor = 9;
    expect(tell('a', [1])).toBe(true);
    expect(link.frames.map(frame => frame[1])).toEqual([5, 1]);
    expect(arrived()).toHaveLength(1);
  });

  it('gets frames beyond its first guess, and those beyond its window in one piece', () => {
    const { arrived, tell, link } = pair(false);
    const list = (length: number): object => ({ list: Array.from({ length }, (_, i) => `item-${i}`) });
    for (const length of [10, 100, 400, 500, 5_000, 50_000]) {
      tell('a', [list(length), 'x'.repeat(length)]);
      expect(arrived().at(-1)?.args).toEqual([list(length), 'x'.repeat(length)]);
    }
    link.roomFor = 0;
    expect(tell('a', [list(50_000)])).toBe(false);
  });

  it('gets no frame above the largest', () => {
    const { tell, link } = pair();
    tell('a', []);
    expect(codeOf(() => tell('a', [new Uint8Array(frameBytesMax)]))).toBe('TOO_LARGE');
    expect(tell('a', [new Uint8Array(frameBytesMax - 64)])).toBe(true);
    expect((link.frames.at(-1) as Uint8Array).length).toBeLessThanOrEqual(frameBytesMax);
  });

  it('has its window back when a message is refused, and serves the next', () => {
    const { link, arrived, tell, writer } = pair();
    expect(codeOf(() => tell('a', [{ fn: () => 1 }]))).toBe('BAD_MESSAGE');
    expect(codeOf(() => writer.encodeReply(1, Symbol('s')))).toBe('BAD_MESSAGE');
    for (const bad of [{ sender: 's'.repeat(256) }, { trace: 't'.repeat(56) }]) {
      expect(codeOf(() => tell('a', [1], Object.assign(new Envelope(), bad)))).toBe('BAD_MESSAGE');
    }
    const chain = new Array<string>(chainDepthMax + 1).fill('a');
    expect(codeOf(() => tell('a', [1], Object.assign(new Envelope(), { chain })))).toBe('TOO_LARGE');
    expect(link.frames.map(frame => frame[1])).toEqual([5]);
    tell('a', [2]);
    expect(arrived()[0]?.args).toEqual([2]);
  });

  it('refuses a message that a getter sends while another is being written, and only that', () => {
    const { arrived, tell } = pair();
    let inner: string | undefined;
    const sly = {
      get now(): number {
        inner = codeOf(() => tell('b', ['inner']));
        return 1;
      },
    };
    tell('a', [sly, 'outer']);
    expect(inner).toBe('BAD_MESSAGE');
    expect(arrived().map(event => event.args)).toEqual([[{ now: 1 }, 'outer']]);
  });

  it('always takes an error: without the details that cannot be sent, and the end of a long message', () => {
    const { writer, arrived } = pair(false);
    writer.encodeError(1, ['REMOTE', 'x'.repeat(1 << 20), { name: 'E', n: 1, fn: () => 1, deep: {} }, 'failed', false]);
    expect(arrived()).toEqual([
      {
        on: 'error',
        from: 3,
        callId: 1,
        error: ['REMOTE', 'x'.repeat(errorCharsMax), { name: 'E', n: 1 }, 'failed', false],
      },
    ]);
  });
});

describe('a receiver', () => {
  it('refuses messages to what it does not know, one by one, and the link goes on', () => {
    const gone = new TroupeError('NO_ACTOR_TYPE', 'no cart here');
    const { arrived, ask, tell, writer } = pair(true, (type, key) => {
      if (key === 'unknown') throw gone;
      return { type, key };
    });
    ask('unknown', 4, [1]);
    tell('unknown', [1]);
    tell('known', [1]);
    writer.encodeReply(8, 'fine');
    expect(arrived()).toMatchObject([
      { on: 'refused', callId: 4, method: 9, target: undefined, error: gone },
      { on: 'refused', callId: 0, error: gone },
      { on: 'tell' },
      { on: 'reply' },
    ]);
  });

  it('refuses a message with a ref it cannot resolve, and fails an answer with one', () => {
    const failing = createCodec({
      isRef: value => value instanceof SampleRef,
      encodeRef: (ref: SampleRef) => [ref.type, ref.key],
      decodeRef: type => {
        throw new TroupeError('BAD_MESSAGE', `no type ${type}`);
      },
    });
    const { link, writer, ask } = pair();
    ask('a', 4, ['x', new SampleRef('gone', 'k')]);
    writer.encodeReply(5, new SampleRef('gone', 'k'));
    const notes = new Notes();
    const reader = new FrameReader<Place>(failing, (type, key) => ({ type, key }), notes, false);
    for (const frame of link.frames) reader.read(1, frame, new DataView(frame.buffer), 0, frame.length);
    expect(notes.events).toMatchObject([
      { on: 'refused', callId: 4, target: { key: 'a' }, error: { code: 'BAD_MESSAGE', message: 'no type gone' } },
      { on: 'error', callId: 5, error: ['BAD_MESSAGE', 'no type gone', {}, 'failed', false] },
    ]);
  });

  it.each([
    ['less than a header', '01 01 00'],
    ['another version', '02 01 00 00 00000000 90'],
    ['no kind', '01 00 00 00 00000000 90'],
    ['a kind of the future', '01 07 00 00 00000000 90'],
    ['an unknown flag', '01 01 20 00 00000000 90'],
    ['the flag of the CRC', '01 01 80 00 00000000 90'],
    ['a slot that was never bound', '01 01 00 00 05000000 90'],
    ['an answer without its call', '01 03 00 00 00000000 01'],
    ['a call id beyond 2^53', '01 03 00 00 00000000 00000000 00002000 90'],
    ['arguments that are no array', '01 03 00 00 00000000 01000000 00000000 01'],
    ['no payload', '01 03 00 00 00000000 01000000 00000000'],
    ['an error that is none', '01 04 00 00 00000000 01000000 00000000 91 93 01 02 03'],
    ['a control message without a name', '01 06 00 00 00000000 92 01 02'],
    ['a control message with too much', '01 06 00 00 00000000 93 a161 02 03'],
    ['a name longer than its frame', '01 05 00 00 00000000 09 61 62'],
    ['a chain longer than any', `01 02 02 00 00000000 01000000 00000000 41 ${'0000'.repeat(65)} 90`],
    ['a trace longer than one is', `01 01 04 00 00000000 38 ${'61'.repeat(56)} 90`],
  ])('closes the link on %s', (_name, bytes) => {
    for (const trusted of [true, false]) expect(codeOf(() => pair(trusted).read(fromHex(bytes)))).toBe('BAD_MESSAGE');
  });

  it('closes the link on a frame that ends anywhere before its end', () => {
    for (const trusted of [true, false]) {
      const { link, read, ask } = pair(trusted);
      ask('a', 1, [{ a: 1 }, 'x'], fullEnvelope());
      const [bind, whole] = link.frames as [Uint8Array, Uint8Array];
      read(bind);
      for (let length = 0; length < whole.length; length++) {
        expect(codeOf(() => read(whole.subarray(0, length)))).toBe('BAD_MESSAGE');
      }
    }
  });

  it('takes or refuses frames after twenty thousand accidents, and nothing else comes out', () => {
    const roll = dice(seed);
    Error.stackTraceLimit = 0;
    const sender = pair();
    sender.tell('a', [1, 'x', { a: [1.5] }]);
    sender.ask('b', 7, [new Uint8Array(9), new SampleRef('cart', 'k')], fullEnvelope());
    sender.writer.encodeReply(3, new Map([[1, 2]]));
    sender.writer.encodeError(3, ['REMOTE', 'no', { a: 1 }, 'failed', false]);
    sender.writer.encodeControl('stop', { a: 1 });
    const frames = sender.link.frames;
    expect(frames.some(frame => frame[1] === frameAsk)).toBe(true);
    const receiver = pair(false);
    for (const frame of frames) receiver.read(frame);
    let taken = 0;
    for (let run = 0; run < 20_000; run++) {
      const code = codeOf(() => receiver.read(mutate(frames[run % frames.length] as Uint8Array, roll)));
      if (code === undefined) taken++;
      else if (code !== 'BAD_MESSAGE' && code !== 'TOO_LARGE') throw new Error(code);
    }
    expect(taken).toBeGreaterThan(1_000);
    expect(taken).toBeLessThan(15_000);
    expect(({} as { x?: unknown }).x).toBeUndefined();
  });
});
