// Keys and shard names: how they are compared, checked, and shown to a person.
//
// A key is bytes, and its order is the order of its bytes. JavaScript strings compare by UTF-16 units, which differs from
// UTF-8 beyond the basic plane; but a string with one character per byte (latin1) compares exactly as the bytes do.
// Such a string is the key's *name* here: a Map can look it up, and `<` orders it.

import { TroupeError } from '../errors.ts';
import { recordKeyBytesMax } from '../limits.ts';

/** A key with one character per byte; not the text the key may spell. */
export type KeyName = string;

export function nameOf(key: Uint8Array): KeyName {
  // Keys end at recordKeyBytesMax, far below what apply() can spread.
  return String.fromCharCode.apply(null, key as unknown as number[]);
}

/** Negative, zero or positive, as the bytes of a come before, with or after those of b. */
export function compareKeys(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) {
    const difference = (a[at] as number) - (b[at] as number);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** For messages: printable ASCII as it is, the rest as \xNN, cut at 64 bytes. */
export function showKey(key: Uint8Array): string {
  let text = '';
  for (const byte of key.subarray(0, 64)) {
    const plain = byte >= 0x20 && byte < 0x7f && byte !== 0x5c;
    text += plain ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`;
  }
  return key.length > 64 ? `${text}... (${key.length} bytes)` : text;
}

export function checkKey(key: Uint8Array): void {
  if (key.length <= recordKeyBytesMax) return;
  throw new TroupeError('TOO_LARGE', `A key has ${key.length} bytes; ${recordKeyBytesMax} are allowed.`, {
    details: { bytes: key.length, bytesMax: recordKeyBytesMax },
  });
}

const shardNames = /^[a-z0-9/._-]{1,64}$/;

export function checkShardName(name: string): void {
  if (typeof name === 'string' && shardNames.test(name)) return;
  throw new TroupeError(
    'BAD_OPTION',
    `A shard is named by 1 to 64 of a-z 0-9 / . _ -, not by ${JSON.stringify(name)}.`,
  );
}

/** The first key behind that one. */
export function keyAfter(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1);
  next.set(key);
  return next;
}
