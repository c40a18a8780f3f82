// Hot path: MD5 (RFC 1321) of short byte strings, in plain TypeScript. It places keys on the ring, so it runs once for
// every key that is not cached. It is not here for secrecy (it has none) but because it is 128 bits that every language,
// tool and worked example agrees on. node:crypto takes 1.2-1.6 us for a key, most of it for crossing into C++; this takes
// under 0.5 us for a key of 16 characters and allocates nothing but the result.
//
// The picture: bytes are appended into a block of 16 words; a full block is folded into four words of state.
//
// Invariant: block and state belong to one call; no call suspends, so module-wide scratch is safe in a thread.

const block: Int32Array = new Int32Array(16);
const state: Int32Array = new Int32Array(4);
let filled = 0; // bytes in the block

/** Word i of the sine table, section 3.4 of the RFC. The vectors in the test would notice a foreign Math.sin. */
const sines: Int32Array = Int32Array.from(
  { length: 64 },
  (_, i) => Math.floor(Math.abs(Math.sin(i + 1)) * 2 ** 32) | 0,
);

/** Strings are hashed as UTF-8; a lone surrogate counts as U+FFFD, as in TextEncoder. */
export function md5(input: string | Uint8Array): Uint8Array {
  digest(input);
  const out = new Uint8Array(16);
  for (let i = 0; i < 16; i++) out[i] = (state[i >>> 2] as number) >>> ((i & 3) << 3);
  return out;
}

/** The first 32 bits of the digest as an unsigned integer, most significant byte first: no result object at all. */
export function md5First32(input: string | Uint8Array): number {
  digest(input);
  const word = state[0] as number;
  return ((word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)) >>> 0;
}

function digest(input: string | Uint8Array): void {
  state[0] = 0x67452301;
  state[1] = 0xefcdab89;
  state[2] = 0x98badcfe;
  state[3] = 0x10325476;
  block.fill(0);
  filled = 0;
  const bytes = typeof input === 'string' ? appendString(input) : appendBytes(input);
  append(0x80);
  if (filled > 56) fold();
  block[14] = bytes << 3;
  block[15] = Math.floor(bytes / 2 ** 29);
  fold();
}

function appendBytes(bytes: Uint8Array): number {
  for (let i = 0; i < bytes.length; i++) append(bytes[i] as number);
  return bytes.length;
}

function appendString(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    let code = text.charCodeAt(i);
    if (code < 0x80) {
      append(code);
      continue;
    }
    if (code < 0x800) {
      bytes += 1;
      append(0xc0 | (code >>> 6));
      append(0x80 | (code & 0x3f));
      continue;
    }
    if ((code & 0xf800) === 0xd800) {
      const low = i + 1 < text.length ? text.charCodeAt(i + 1) : 0;
      if (code < 0xdc00 && (low & 0xfc00) === 0xdc00) {
        i++;
        bytes += 2; // two units became four bytes
        code = 0x10000 + ((code & 0x3ff) << 10) + (low & 0x3ff);
        append(0xf0 | (code >>> 18));
        append(0x80 | ((code >>> 12) & 0x3f));
        append(0x80 | ((code >>> 6) & 0x3f));
        append(0x80 | (code & 0x3f));
        continue;
      }
      code = 0xfffd;
    }
    bytes += 2;
    append(0xe0 | (code >>> 12));
    append(0x80 | ((code >>> 6) & 0x3f));
    append(0x80 | (code & 0x3f));
  }
  return bytes;
}

function append(byte: number): void {
  block[filled >>> 2] = (block[filled >>> 2] as number) | (byte << ((filled & 3) << 3));
  if (++filled === 64) fold();
}

/** Section 3.4: four rounds of sixteen steps. Each round has its own mixing function, word order and four rotations. */
function fold(): void {
  let a = state[0] as number;
  let b = state[1] as number;
  let c = state[2] as number;
  let d = state[3] as number;
  for (let i = 0; i < 16; i += 4) {
    a = step(a, (b & c) | (~b & d), i, i, 7, b);
    d = step(d, (a & b) | (~a & c), i + 1, i + 1, 12, a);
    c = step(c, (d & a) | (~d & b), i + 2, i + 2, 17, d);
    b = step(b, (c & d) | (~c & a), i + 3, i + 3, 22, c);
  }
  for (let i = 16; i < 32; i += 4) {
    a = step(a, (d & b) | (~d & c), (5 * i + 1) & 15, i, 5, b);
    d = step(d, (c & a) | (~c & b), (5 * i + 6) & 15, i + 1, 9, a);
    c = step(c, (b & d) | (~b & a), (5 * i + 11) & 15, i + 2, 14, d);
    b = step(b, (a & c) | (~a & d), (5 * i) & 15, i + 3, 20, c);
  }
  for (let i = 32; i < 48; i += 4) {
    a = step(a, b ^ c ^ d, (3 * i + 5) & 15, i, 4, b);
    d = step(d, a ^ b ^ c, (3 * i + 8) & 15, i + 1, 11, a);
    c = step(c, d ^ a ^ b, (3 * i + 11) & 15, i + 2, 16, d);
    b = step(b, c ^ d ^ a, (3 * i + 14) & 15, i + 3, 23, c);
  }
  for (let i = 48; i < 64; i += 4) {
    a = step(a, c ^ (b | ~d), (7 * i) & 15, i, 6, b);
    d = step(d, b ^ (a | ~c), (7 * i + 7) & 15, i + 1, 10, a);
    c = step(c, a ^ (d | ~b), (7 * i + 14) & 15, i + 2, 15, d);
    b = step(b, d ^ (c | ~a), (7 * i + 5) & 15, i + 3, 21, c);
  }
  state[0] = (state[0] as number) + a;
  state[1] = (state[1] as number) + b;
  state[2] = (state[2] as number) + c;
  state[3] = (state[3] as number) + d;
  block.fill(0);
  filled = 0;
}

function step(acc: number, mixed: number, word: number, sine: number, turn: number, next: number): number {
  const sum = (acc + mixed + (block[word] as number) + (sines[sine] as number)) | 0;
  return (next + ((sum << turn) | (sum >>> (32 - turn)))) | 0;
}
