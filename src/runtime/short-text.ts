// Hot path: bench/codec watches it. Short text from its bytes: names, keys, ids.
//
// The intuition: a call into the engine's decoder costs 25 ns whatever the length, so up to 20 bytes it is quicker to
// put the text together here. fromCharCode with as many arguments as characters is compiled to a few stores; handing
// it an array instead costs 10 ns more, so the shortest lengths are written out.

import { readText } from './wire-ext.ts';

const shortTextMax = 20;
/** One array of character codes for each short length, so that nothing but the text itself is allocated. */
const codes: readonly number[][] = Array.from({ length: shortTextMax + 1 }, (_, length) => new Array(length).fill(0));

const from = String.fromCharCode;

/** UTF-8 to text. The range must lie within `bytes`. */
export function textOf(bytes: Uint8Array, at: number, length: number): string {
  if (length > shortTextMax) return readText(bytes, at, at + length);
  if (length <= writtenOutMax) {
    const text = fewOf(bytes, at, length);
    if (text !== undefined) return text;
  }
  const units = codes[length] as number[];
  let seen = 0;
  for (let i = 0; i < length; i++) {
    const unit = bytes[at + i] as number;
    seen |= unit;
    units[i] = unit;
  }
  return seen < 0x80 ? from.apply(String, units) : readText(bytes, at, at + length);
}

const writtenOutMax = 8;

/** Up to 8 characters; undefined when one is not ASCII. */
function fewOf(bytes: Uint8Array, at: number, length: number): string | undefined {
  if (length === 0) return '';
  const a = bytes[at] as number;
  if (length === 1) return a < 0x80 ? from(a) : undefined;
  const b = bytes[at + 1] as number;
  if (length === 2) return (a | b) < 0x80 ? from(a, b) : undefined;
  const c = bytes[at + 2] as number;
  if (length === 3) return (a | b | c) < 0x80 ? from(a, b, c) : undefined;
  const d = bytes[at + 3] as number;
  const abcd = a | b | c | d;
  if (length === 4) return abcd < 0x80 ? from(a, b, c, d) : undefined;
  const e = bytes[at + 4] as number;
  if (length === 5) return (abcd | e) < 0x80 ? from(a, b, c, d, e) : undefined;
  const f = bytes[at + 5] as number;
  if (length === 6) return (abcd | e | f) < 0x80 ? from(a, b, c, d, e, f) : undefined;
  const g = bytes[at + 6] as number;
  if (length === 7) return (abcd | e | f | g) < 0x80 ? from(a, b, c, d, e, f, g) : undefined;
  const h = bytes[at + 7] as number;
  return (abcd | e | f | g | h) < 0x80 ? from(a, b, c, d, e, f, g, h) : undefined;
}
