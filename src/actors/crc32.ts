// CRC-32 (IEEE 802.3, reflected, as zlib): finds accidents in small things that leave the system and come back. It is no
// protection against anybody who wants to forge one.

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let rest = byte;
  for (let bit = 0; bit < 8; bit++) rest = rest & 1 ? (rest >>> 1) ^ 0xedb88320 : rest >>> 1;
  return rest;
});

/** Over the first `end` bytes; `before` is the CRC of what went before them. */
export function crc32(bytes: Uint8Array, end: number = bytes.length, before = 0): number {
  let crc = ~before;
  for (let i = 0; i < end; i++) crc = (crc >>> 8) ^ (table[(crc ^ (bytes[i] as number)) & 255] as number);
  return ~crc >>> 0;
}
