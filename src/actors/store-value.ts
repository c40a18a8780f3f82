// Values of the store as bytes: one byte that says what follows, then the value. Bytes are kept as they are, so that they
// come back as bytes and cost nothing to encode; everything else goes through the codec of the runtime.
//
//     0 | bytes        1 | msgpack
//
// Intuition: a value is encoded once, on the caller's thread, and travels and lies on the disk as bytes; nobody between
// the caller and the reader looks into it.
//
// Invariant: what a reader gets is his own: nobody else has a view of those bytes, be it a record, a message or the writer.

import { TroupeError } from '../errors.ts';
import { newBytes } from '../storage/byte-pieces.ts';

export interface ValueCodec {
  /** Throws BAD_MESSAGE for what cannot be carried. */
  encode(value: unknown): Uint8Array;
  decode(bytes: Uint8Array): unknown;
}

const bytesTag = 0;
const packedTag = 1;
/** What encoding adds to the bytes of a value. */
export const valueTagBytes = 1;

export function encodeValue(codec: ValueCodec, value: unknown, bytesMax: number): Uint8Array {
  const isBytes = value instanceof Uint8Array;
  const body = isBytes ? value : codec.encode(value);
  if (body.length > bytesMax) {
    const message = `the value has ${body.length} bytes; the most is ${bytesMax}`;
    throw new TroupeError('TOO_LARGE', message, { details: { bytes: body.length, bytesMax } });
  }
  const encoded = newBytes(valueTagBytes + body.length);
  encoded[0] = isBytes ? bytesTag : packedTag;
  encoded.set(body, valueTagBytes);
  return encoded;
}

/** `own`: the bytes are the reader's already, and plain. */
export function decodeValue(codec: ValueCodec, encoded: Uint8Array, own = false): unknown {
  const body = encoded.subarray(valueTagBytes);
  switch (encoded[0]) {
    case bytesTag:
      // Not slice(): of a Buffer that would be a view, and a Buffer.
      return own ? body : new Uint8Array(body);
    case packedTag:
      return codec.decode(body);
    default:
      throw new TroupeError('CORRUPT', `a value begins with byte ${encoded[0]}, which no value does`);
  }
}
