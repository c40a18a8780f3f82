// What the codec's tests share: a ref, a codec that knows it, and accidents that may happen to bytes.

import { type Codec, createCodec } from '../../src/runtime/codec.ts';

export const seed = 20_261_120;

export class SampleRef {
  readonly type: string;
  readonly key: string;
  constructor(type: string, key: string) {
    this.type = type;
    this.key = key;
  }
}

export function sampleCodec(): Codec {
  return createCodec({
    isRef: value => value instanceof SampleRef,
    encodeRef: (ref: SampleRef) => [ref.type, ref.key],
    decodeRef: (type, key) => new SampleRef(type, key),
  });
}

/** A small generator for what must be quick: mulberry32. */
export function dice(state: number): (sides: number) => number {
  let at = state;
  return sides => {
    at = (at + 0x6d2b79f5) | 0;
    let t = Math.imul(at ^ (at >>> 15), 1 | at);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % sides;
  };
}

const interesting = [0x00, 0x01, 0x7f, 0x80, 0x81, 0x8f, 0x90, 0x91, 0xa0, 0xa1, 0xbf, 0xc0, 0xc1, 0xc4, 0xc6, 0xc7]
  .concat([0xc9, 0xca, 0xcb, 0xcf, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf, 0xe0, 0xff])
  .concat([0x02, 0x03, 0x04, 0x05, 0x62, 0x65, 0x69, 0x70, 0x72, 0x74, 0x78]);

/** One to four accidents: a bit flipped, a byte replaced or put in, a range cut out or doubled, the end lost. */
export function mutate(bytes: Uint8Array, roll: (sides: number) => number): Uint8Array {
  let mutant = Buffer.from(bytes);
  for (let accidents = 1 + roll(4); accidents > 0 && mutant.length > 0; accidents--) {
    const at = roll(mutant.length);
    const after = at + 1 + roll(8);
    const some = interesting[roll(interesting.length)] as number;
    switch (roll(7)) {
      case 0:
        mutant[at] = (mutant[at] as number) ^ (1 << roll(8));
        break;
      case 1:
      case 2:
        mutant[at] = some;
        break;
      case 3:
        mutant = Buffer.concat([mutant.subarray(0, at), mutant.subarray(after)]);
        break;
      case 4:
        mutant = Buffer.concat([mutant.subarray(0, after), mutant.subarray(at)]);
        break;
      case 5:
        mutant = Buffer.concat([mutant.subarray(0, at), Uint8Array.of(some), mutant.subarray(at)]);
        break;
      case 6:
        mutant = mutant.subarray(0, at);
    }
  }
  return mutant;
}

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
export const fromHex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));
