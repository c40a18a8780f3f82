// What it costs to put arguments, whole frames and large values into bytes and take them out again, all in one thread:
// our codec in private and in shared memory, msgpackr, and V8's structured clone.

import { isDeepStrictEqual } from 'node:util';
import v8 from 'node:v8';
import { Packr, Unpackr } from 'msgpackr';
import { type Arguments, type Codec, createCodec } from '../../src/runtime/codec.ts';
import { type Frame, FrameReader, FrameWriter } from '../../src/runtime/frame.ts';
import type { LinkWriter } from '../../src/runtime/link.ts';
import { type BenchDefinition, type Contender, type Done, defineBench, type Workload } from '../harness.ts';

/** One encoding and decoding, told whether as much came out as went in; and what came out last. */
interface Trip {
  once(): boolean;
  back(): unknown;
}

/** What comes back is compared with what went in before anything is measured; a trip that brings less does not count. */
function contender(name: string, expected: unknown, make: () => Trip): Contender {
  let trip: Trip | undefined;
  return {
    name,
    setup() {
      trip = make();
      const whole = trip.once() && isDeepStrictEqual(trip.back(), expected);
      if (!whole) throw new Error('what came back is not what went in');
    },
    async run(n): Promise<Done> {
      const { once } = trip as Trip;
      let done = 0;
      for (let i = 0; i < n; i++) if (once()) done++;
      return { done };
    },
  };
}

const plainCodec = (): Codec =>
  createCodec({ isRef: () => false, encodeRef: () => ['', ''], decodeRef: (type, key) => ({ type, key }) });

const memoryBytes = 8_192;

/** What of a trip is measured; the other half is done beforehand, or only to compare what came back. */
type Half = 'both' | 'encode' | 'decode';

function argumentsOfOurs(args: readonly unknown[], memory: ArrayBuffer | SharedArrayBuffer, half: Half = 'both'): Trip {
  const codec = plainCodec();
  const bytes = new Uint8Array(memory);
  const view = new DataView(memory);
  const out: Arguments = { argc: 0, a0: undefined, a1: undefined, a2: undefined, rest: null };
  const [a0, a1, a2] = args;
  const argc = args.length;
  const encode = (): number => codec.encodeArgs(argc, a0, a1, a2, null, bytes, view, 8);
  const encoded = encode();
  const decode = (end: number): boolean => {
    codec.decodeArgs(bytes, view, 8, end, out);
    return out.argc === argc;
  };
  const once = {
    both: () => decode(encode()),
    encode: () => encode() === encoded,
    decode: () => decode(encoded),
  };
  return {
    once: once[half],
    back: () => (decode(encoded) ? [out.a0, out.a1, out.a2].slice(0, argc) : undefined),
  };
}

function argumentsOfMsgpackr(args: readonly unknown[], half: Half = 'both'): Trip {
  const packr = new Packr({ useRecords: false });
  const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true });
  const memory = Buffer.alloc(memoryBytes);
  const encode = (): Buffer => {
    packr.useBuffer(memory);
    return packr.pack(args);
  };
  const encoded = Buffer.from(encode());
  const decode = (bytes: Uint8Array): unknown[] => unpackr.unpack(bytes) as unknown[];
  const once = {
    both: () => decode(encode()).length === args.length,
    encode: () => encode().length === encoded.length,
    decode: () => decode(encoded).length === args.length,
  };
  return {
    once: once[half],
    // It hands out views of the message where we hand out copies.
    back: () => decode(encoded).map(each => (each instanceof Uint8Array ? Uint8Array.from(each) : each)),
  };
}

function argumentsOfV8(args: readonly unknown[], half: Half = 'both'): Trip {
  const encode = (): Buffer => v8.serialize(args);
  const encoded = encode();
  const decode = (bytes: Uint8Array): unknown[] => v8.deserialize(bytes) as unknown[];
  const once = {
    both: () => decode(encode()).length === args.length,
    encode: () => encode().length === encoded.length,
    decode: () => decode(encoded).length === args.length,
  };
  return { once: once[half], back: () => decode(encoded) };
}

/** Memory in which each frame is written over the one before. */
class OneFrameLink implements LinkWriter {
  readonly bytes: Uint8Array = new Uint8Array(memoryBytes);
  readonly view: DataView = new DataView(this.bytes.buffer);
  readonly windowMax: number = memoryBytes;
  readonly onFrame: (link: OneFrameLink, bytes: number) => void;
  constructor(onFrame: (link: OneFrameLink, bytes: number) => void) {
    this.onFrame = onFrame;
  }
  begin(): number {
    return 0;
  }
  end(bytes: number): void {
    this.onFrame(this, bytes);
  }
  send(): boolean {
    return false;
  }
  onWritable(): void {}
  stats() {
    return { frames: 0, bytes: 0, refused: 0, pieces: 0 };
  }
}

/** A tell of ('abcdefgh', 7) to one of 64 actors the link has spoken to before. */
function framesOfOurs(reads: boolean): Trip {
  const codec = plainCodec();
  const ignore = (): void => undefined;
  let told = 0;
  let lastTarget = '';
  const onTell = (frame: Frame<string>): void => {
    told += frame.argc;
    lastTarget = frame.target as string;
  };
  const handler = { onTell, onAsk: ignore, onReply: ignore, onError: ignore, onControl: ignore, onRefused: ignore };
  const reader = new FrameReader<string>(codec, (_type, key) => key, handler, true);
  let written = 0;
  let reading = true;
  const link = new OneFrameLink(({ bytes, view }, length) => {
    written += length;
    if (reading) reader.read(0, bytes, view, 0, length);
  });
  const writer = new FrameWriter(link, codec);
  const keys = Array.from({ length: 64 }, (_, i) => `user-${i}`);
  const tell = (i: number, hint: number): boolean =>
    writer.encodeTell('cart', keys[i] as string, hint, 3, 2, 'abcdefgh', 7, undefined, null, null);
  const slots = keys.map((_, i) => (tell(i, -1) ? writer.slot : -1));
  reading = reads;
  let at = 0;
  return {
    once() {
      at = (at + 1) & 63;
      const before = reads ? told : written;
      tell(at, slots[at] as number);
      return (reads ? told : written) > before;
    },
    back: () => (reads ? lastTarget : keys[at]),
  };
}

/** The same as one msgpack array: slot, method, arguments. */
function framesOfMsgpackr(): Trip {
  const packr = new Packr({ useRecords: false });
  const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true });
  const memory = Buffer.alloc(memoryBytes);
  const keys = Array.from({ length: 64 }, (_, i) => `user-${i}`);
  let at = 0;
  let lastTarget = '';
  return {
    once() {
      at = (at + 1) & 63;
      packr.useBuffer(memory);
      const [slot, , args] = unpackr.unpack(packr.pack([at, 3, ['abcdefgh', 7]])) as [number, number, unknown[]];
      lastTarget = keys[slot] as string;
      return args.length === 2;
    },
    back: () => lastTarget,
  };
}

function largeOfOurs(value: object, trusted: boolean): Trip {
  const codec = plainCodec();
  let back: unknown;
  return {
    once() {
      back = codec.decode(codec.encode(value), trusted);
      return back !== undefined;
    },
    back: () => back,
  };
}

function largeOfMsgpackr(value: object): Trip {
  const packr = new Packr({ useRecords: false, variableMapSize: true });
  const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true });
  let back: unknown;
  return {
    once() {
      back = unpackr.unpack(packr.pack(value));
      return back !== undefined;
    },
    back: () => back,
  };
}

const payloads: Record<string, readonly unknown[]> = {
  '()': [],
  '(1)': [1],
  "('abcdefgh', 7)": ['abcdefgh', 7],
  "({ id, name: 'x', tags: ['a', 'b'] })": [{ id: 7, name: 'x', tags: ['a', 'b'] }],
  'text of 1 KiB': ['x'.repeat(1_024)],
  'bytes of 1 KiB': [new Uint8Array(1_024).fill(7)],
};

const definition: BenchDefinition = defineBench({
  name: 'codec',
  about: 'Arguments, frames and large values into bytes and out again, on one thread.',
  workloads(context) {
    const items = context.param('items of a large value', 100, 1_000);
    const rate = { opsMin: 500, opsMax: 4_000_000 };
    const users = Array.from({ length: items }, (_, i) => ({
      id: i,
      name: `user-${i}`,
      city: 'Paris',
      tags: ['a', 'b'],
    }));
    const texts = Array.from({ length: items * 4 }, (_, i) => `item-${i}-of-a-list-of-text`);
    return [
      ...Object.entries(payloads).map(([name, args]): Workload => {
        const make = (side: string, trip: () => Trip): Contender => contender(side, args, trip);
        return {
          ...rate,
          name: `arguments ${name}`,
          about: 'Encoded into memory that is there, and decoded.',
          contenders: [
            make('troupe', () => argumentsOfOurs(args, new ArrayBuffer(memoryBytes))),
            make('troupe, shared memory', () => argumentsOfOurs(args, new SharedArrayBuffer(memoryBytes))),
            make('msgpackr', () => argumentsOfMsgpackr(args)),
            make('v8.serialize', () => argumentsOfV8(args)),
          ],
        };
      }),
      ...(['encode', 'decode'] as const).map((half): Workload => {
        const args = ['abcdefgh', 7];
        return {
          ...rate,
          name: `${half} ('abcdefgh', 7)`,
          about: 'One half of it alone.',
          contenders: [
            contender('troupe', args, () => argumentsOfOurs(args, new ArrayBuffer(memoryBytes), half)),
            contender('msgpackr', args, () => argumentsOfMsgpackr(args, half)),
            contender('v8.serialize', args, () => argumentsOfV8(args, half)),
          ],
        };
      }),
      {
        ...rate,
        name: "frame of a tell ('abcdefgh', 7)",
        about: 'A tell to an actor the link has spoken to before; the second row only writes it.',
        contenders: [
          contender('troupe', 'user-1', () => framesOfOurs(true)),
          contender('troupe, writing only', 'user-1', () => framesOfOurs(false)),
          contender('msgpackr', 'user-1', framesOfMsgpackr),
        ],
      },
      ...Object.entries({ 'a list of objects': users, 'a list of texts': texts }).map(
        ([name, value]): Workload => ({
          opsMin: 5,
          opsMax: 40_000,
          name,
          about: 'A value encoded and decoded whole; scanned before, as from a disk, in the first row.',
          contenders: [
            contender('troupe', value, () => largeOfOurs(value, false)),
            contender('troupe, trusted', value, () => largeOfOurs(value, true)),
            contender('msgpackr', value, () => largeOfMsgpackr(value)),
          ],
        }),
      ),
    ];
  },
});

export default definition;
