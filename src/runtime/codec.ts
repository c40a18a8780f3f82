// Values to bytes and back: the arguments of messages on their way to another thread, state, journal events, values of a
// store. One format, msgpack with five extensions of our own (wire-format.ts), and one promise: what arrives is what was
// sent, or sending it is refused with the path to what cannot be sent. Nothing is silently turned into something else.
//
// The intuition: our own writer and reader cover the whole format, because msgpackr alone would turn -0 into 0, a class
// instance into an object, `__proto__` into `__proto_`, and a function into nothing, and costs 2 to 3 x as much for small
// messages (it pays a call, a window and an array for each). msgpackr reads what it reads best: long lists of text,
// 2 to 3 x quicker than we do, after a scan has shown that the range holds nothing but plain data.
//
// Bytes are read as untrusted unless the caller says otherwise. The reader itself is safe on any bytes; the scan before
// it means that nothing at all is allocated for a message that turns out to be bad.

import { Unpackr } from 'msgpackr';
import { TroupeError } from '../errors.ts';
import { argumentsMax, depthMax, elementsMax, frameBytesMax } from '../limits.ts';
import { type Arguments, Reader } from './codec-reader.ts';
import { refusalOf, unreadable } from './codec-refusal.ts';
import { type RefWriting, Writer, writeArrayHeader } from './codec-writer.ts';
import { sizeOf } from './size-of.ts';
import { copyBytes, notFit, refused, tooLarge } from './wire-ext.ts';
import { scanWire, type WireTraits } from './wire-scan.ts';

export type { Arguments } from './codec-reader.ts';
export { sizeOf } from './size-of.ts';

/** What the owner of actor refs tells the codec. A ref is asked for before anything else an object could be. */
export interface CodecHooks extends RefWriting {
  isRef(value: unknown): boolean;
  encodeRef(ref: never): readonly [type: string, key: string];
  /** May throw, e.g. NO_ACTOR_TYPE; the error is the caller's. */
  decodeRef(type: string, key: string): unknown;
}

export interface Codec {
  /**
   * Writes `argc` arguments at `at`: three as they are, the fourth and later in `rest`. Returns the end offset, or -1 when
   * they do not end before `limit` (it may say so up to 9 bytes early). Throws BAD_MESSAGE, TOO_LARGE.
   */
  encodeArgs(
    argc: number,
    a0: unknown,
    a1: unknown,
    a2: unknown,
    rest: readonly unknown[] | null,
    target: Uint8Array,
    view: DataView,
    at: number,
    limit?: number,
  ): number;
  /** Reads what encodeArgs wrote from exactly [start, end). Untrusted frames go through scanWire first. */
  decodeArgs(bytes: Uint8Array, view: DataView, start: number, end: number, out: Arguments): void;
  /** Whether an error of decodeArgs came from decodeRef, and so says nothing about the bytes. */
  isOfRef(error: unknown): boolean;
  /**
   * The bytes of one value, a private array. TOO_LARGE above `bytesMax`, and (unless that is above frameBytesMax, for what
   * is only read as trusted) above what a reader that trusts nobody accepts.
   */
  encode(value: unknown, bytesMax?: number): Uint8Array<ArrayBuffer>;
  /** One value. `trusted`: written by this process and not seen by anybody else. */
  decode(bytes: Uint8Array, trusted?: boolean): unknown;
  /** What a receiver on another thread would get; the test kit sends everything through here. */
  cloneThroughWire<T>(value: T): T;
  sizeOf(value: unknown): number;
}

/** From here on a call to msgpackr pays. */
const manyTexts = 256;
/** Memory for encoding values: what it begins with, and the most that is kept between two values. */
const scratchBytes: number = 16 << 10;
const scratchKeptMax: number = 1 << 20; // the largest value of a store unless it says otherwise
/** The writer asks for the room of the largest scalar, and may find no room for a value that just fits. */
const slackBytes = 16;

export function createCodec(hooks: CodecHooks): Codec {
  const writer = new Writer(hooks);
  const reader = new Reader((type, key) => hooks.decodeRef(type, key));
  const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true, int64AsType: 'bigint' as never });
  let scratch: Uint8Array<ArrayBuffer> | null = new Uint8Array(scratchBytes);

  const codec: Codec = {
    encodeArgs(argc, a0, a1, a2, rest, target, view, at, limit = target.length) {
      if (argc > argumentsMax) throw tooLarge(`${argc} arguments, more than ${argumentsMax}`);
      let end = writeArrayHeader(argc, target, view, at, limit);
      let written = 0;
      try {
        for (; written < argc && end >= 0; written++) {
          const value = written === 0 ? a0 : written === 1 ? a1 : written === 2 ? a2 : rest?.[written - 3];
          end = writer.write(value, target, view, end, limit, 0);
        }
      } catch (error) {
        throw unreadable(`argument ${written}`, error);
      }
      if (end >= 0) {
        if (end - at > elementsMax) scanWire(target, view, at, end, depthMax + 1);
        return end;
      }
      if (end === notFit) return notFit;
      written--;
      const value = written === 0 ? a0 : written === 1 ? a1 : written === 2 ? a2 : rest?.[written - 3];
      throw refusalOf(`argument ${written}`, value, hooks);
    },

    decodeArgs(bytes, view, start, end, out) {
      reader.readArguments(bytes, view, start, end, out);
    },

    isOfRef: error => error === reader.refError,

    encode(value, bytesMax = frameBytesMax) {
      return withEncoded(value, bytesMax, (bytes, end) => copyBytes(bytes, 0, end));
    },

    decode(bytes, trusted = false) {
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      if (!trusted && isForMsgpackr(scanWire(bytes, view, 0, bytes.length), bytes)) return readLarge(bytes);
      return reader.readValue(bytes, view, 0, bytes.length, trusted);
    },

    cloneThroughWire(value) {
      const clone = withEncoded(value, frameBytesMax, (bytes, end) =>
        reader.readValue(bytes, new DataView(bytes.buffer), 0, end, false),
      );
      return clone as typeof value;
    },

    sizeOf,
  };
  return codec;

  /** Hands the bytes of a value to `use`, which must not keep them. Writes again with more room until they fit. */
  function withEncoded<T>(
    value: unknown,
    bytesMax: number,
    use: (bytes: Uint8Array<ArrayBuffer>, end: number) => T,
  ): T {
    // A getter in the value may encode something itself: then it finds no scratch and makes its own.
    let bytes = scratch ?? new Uint8Array(scratchBytes);
    scratch = null;
    try {
      for (;;) {
        const view = new DataView(bytes.buffer);
        const end = write(value, bytes, view);
        const enough = bytesMax + slackBytes;
        if (end > bytesMax || (end === notFit && bytes.length >= enough)) throw tooLarge(`more than ${bytesMax} bytes`);
        if (end >= 0) {
          if (end > elementsMax && bytesMax <= frameBytesMax) scanWire(bytes, view, 0, end);
          return use(bytes, end);
        }
        bytes = new Uint8Array(Math.min(bytes.length * 4, enough));
      }
    } finally {
      if (bytes.length <= scratchKeptMax) scratch = bytes;
    }
  }

  function write(value: unknown, bytes: Uint8Array, view: DataView): number {
    let end: number;
    try {
      end = writer.write(value, bytes, view, 0, bytes.length, 0);
    } catch (error) {
      throw unreadable('the value', error);
    }
    if (end === refused) throw refusalOf('the value', value, hooks);
    return end;
  }

  /** Text taken from a large range stays one piece of memory until the last of it is gone: right for a value read whole. */
  function readLarge(bytes: Uint8Array): unknown {
    try {
      // A view of its own: msgpackr leaves a property on what it reads from.
      return unpackr.unpack(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    } catch (error) {
      throw new TroupeError('BAD_MESSAGE', 'the message passed the scan and yet could not be read', { cause: error });
    }
  }
}

/** msgpackr wins on lists of text and loses on objects; its text extractor takes no shared memory. */
function isForMsgpackr(traits: Readonly<WireTraits>, bytes: Uint8Array): boolean {
  if (!traits.plain || traits.texts < manyTexts || traits.texts <= 2 * traits.keys) return false;
  return bytes.buffer instanceof ArrayBuffer;
}
