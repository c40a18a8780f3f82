// CRC-32 (IEEE 802.3, the one of zlib and PNG): tells accidents (a flipped bit, a torn or misdirected write) from good
// data. It does not tell an attacker from a friend.
//
// The intuition: eight table rows let one step of the loop swallow eight bytes ("slicing by eight", Kounavis and Berry,
// 2005). In a core that is what we have; an edge injects zlib.crc32, which has the same signature and is twice as fast.
//
// Invariant: crc32(b, crc32(a)) is crc32(a followed by b), so a checksum over parts needs no copy of them together.

/** The checksum of bytes, continuing from `seed`. As zlib.crc32. */
export type Crc32 = (bytes: Uint8Array, seed?: number) => number;

const polynomial = 0xedb88320;

/** Row 0 is the classic table; row n moves an entry of row n-1 on by one more zero byte. */
const rows: readonly Uint32Array[] = makeRows();

const [r0, r1, r2, r3, r4, r5, r6, r7] = rows as [
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
];

/** With `from` and `to`, of a part, without a view of it. */
export const crc32 = (bytes: Uint8Array, seed = 0, from = 0, to: number = bytes.length): number => {
  let crc = ~seed;
  let at = from;
  const at8 = to - ((to - from) % 8);
  while (at < at8) {
    const low =
      crc ^ (byte(bytes, at) | (byte(bytes, at + 1) << 8) | (byte(bytes, at + 2) << 16) | (byte(bytes, at + 3) << 24));
    crc =
      entry(r7, low & 255) ^
      entry(r6, (low >>> 8) & 255) ^
      entry(r5, (low >>> 16) & 255) ^
      entry(r4, low >>> 24) ^
      entry(r3, byte(bytes, at + 4)) ^
      entry(r2, byte(bytes, at + 5)) ^
      entry(r1, byte(bytes, at + 6)) ^
      entry(r0, byte(bytes, at + 7));
    at += 8;
  }
  for (; at < to; at++) crc = entry(r0, (crc ^ byte(bytes, at)) & 255) ^ (crc >>> 8);
  return ~crc >>> 0;
};

/** In range by construction; the cast tells the type checker, and costs nothing. */
function entry(row: Uint32Array, index: number): number {
  return row[index] as number;
}

function byte(bytes: Uint8Array, index: number): number {
  return bytes[index] as number;
}

function makeRows(): Uint32Array[] {
  const first = new Uint32Array(256);
  for (let index = 0; index < 256; index++) {
    let crc = index;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1;
    first[index] = crc;
  }
  const all = [first];
  for (let row = 1; row < 8; row++) {
    const before = all[row - 1] as Uint32Array;
    all.push(before.map(crc => entry(first, crc & 255) ^ (crc >>> 8)));
  }
  return all;
}
