// Whole numbers in bytes, least significant byte first. Plain functions over Uint8Array: the places are rarely aligned,
// and a DataView for each record would cost more than the record. u56 holds every safe integer.

export function readU16(bytes: Uint8Array, at: number): number {
  return (bytes[at] as number) | ((bytes[at + 1] as number) << 8);
}

export function writeU16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
}

export function readU32(bytes: Uint8Array, at: number): number {
  return (readU16(bytes, at) | (readU16(bytes, at + 2) << 16)) >>> 0;
}

export function writeU32(bytes: Uint8Array, at: number, value: number): void {
  writeU16(bytes, at, value);
  writeU16(bytes, at + 2, value >>> 16);
}

export function readU56(bytes: Uint8Array, at: number): number {
  return readU32(bytes, at) + (readU16(bytes, at + 4) | ((bytes[at + 6] as number) << 16)) * 2 ** 32;
}

export function writeU56(bytes: Uint8Array, at: number, value: number): void {
  const high = Math.floor(value / 2 ** 32);
  writeU32(bytes, at, value >>> 0);
  writeU16(bytes, at + 4, high);
  bytes[at + 6] = high >>> 16;
}
