// The records of stored actors: their keys, and the version bytes of a snapshot. Pure; persistence.ts draws the layout.
//
// Invariant: no two actors share a key, whatever characters their names have: a type has no NUL, and where something follows
// the actor's key its length comes first.

const text = new TextEncoder();
const toText = new TextDecoder();

export const empty: Uint8Array = new Uint8Array(0);

export function memoKey(type: string, key: string): Uint8Array {
  return text.encode(`o${type}\u0000${key}`);
}

export function snapshotKey(type: string, key: string): Uint8Array {
  return text.encode(`s${type}\u0000${key}`);
}

export function eventPrefix(type: string, key: string): Uint8Array {
  const name = text.encode(`${type}\u0000${key}`);
  const prefix = new Uint8Array(3 + name.length);
  prefix[0] = 0x65;
  prefix[1] = name.length >>> 8;
  prefix[2] = name.length & 255;
  prefix.set(name, 3);
  return prefix;
}

/** Whose record that is. Undefined: nobody's that could be read. */
export function ownerOfRecord(record: Uint8Array): readonly [type: string, key: string] | undefined {
  const isEvent = record[0] === 0x65;
  const length = ((record[1] as number) << 8) | (record[2] as number);
  return ownerIn(isEvent ? record.subarray(3, 3 + length) : record.subarray(1));
}

/** The same for what reminders.ts keeps. */
export function ownerOfReminder(record: Uint8Array): readonly [type: string, key: string] | undefined {
  const length = ((record[0] as number) << 8) | (record[1] as number);
  return ownerIn(record.subarray(2, 2 + length));
}

function ownerIn(name: Uint8Array): readonly [type: string, key: string] | undefined {
  const end = name.indexOf(0);
  return end < 0 ? undefined : [toText.decode(name.subarray(0, end)), toText.decode(name.subarray(end + 1))];
}

export function eventKey(prefix: Uint8Array, n: number): Uint8Array {
  const key = new Uint8Array(prefix.length + 6);
  key.set(prefix);
  writeU48(key, prefix.length, n);
  return key;
}

export function writeVersion(stateVersion: number, lastEvent: number): Uint8Array {
  const bytes = new Uint8Array(10);
  new DataView(bytes.buffer).setUint32(0, stateVersion);
  writeU48(bytes, 4, lastEvent);
  return bytes;
}

export function readVersion(bytes: Uint8Array): { stateVersion: number; lastEvent: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { stateVersion: view.getUint32(0), lastEvent: view.getUint16(4) * 2 ** 32 + view.getUint32(6) };
}

export function writeU48(bytes: Uint8Array, at: number, n: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  view.setUint16(at, Math.floor(n / 2 ** 32));
  view.setUint32(at + 2, n >>> 0);
}

export function equal(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
