// Hot path: bench/codec watches it. About how many bytes a value takes, for the accounting of a mailbox: a few
// nanoseconds for what is not an object, and a fixed number of visits for what is.
//
// The intuition: a bound on bytes must hold back the message of ten megabytes, not tell 90 bytes from 100. So a large
// structure is judged by the first 64 values met in it, as if the others were like them.
//
// Invariant: it ends on every value, circular ones too, and never throws.

/** Values looked at in one argument. A visit is about 10 ns, so this is less than a microsecond. */
const visitsMax = 64;
const wordBytes = 8;
/** Longer text is measured, which takes less than a nanosecond for 16 bytes; shorter text is taken for two bytes a character. */
const measuredFrom = 1_024;
/** What an object or an array costs beyond its values. */
const objectBytes = 16;

export function sizeOf(value: unknown): number {
  switch (typeof value) {
    case 'string':
      return sizeOfText(value);
    case 'object':
      if (value === null) return wordBytes;
      visits = visitsMax;
      try {
        return sizeOfObject(value);
      } catch {
        return objectBytes; // a getter that throws: the writer will say so, if it ever comes to that
      }
    default:
      return wordBytes;
  }
}

/** Left in this estimate. Only more visits are made, not endless ones, should a getter ask for an estimate of its own. */
let visits = 0;

/** As it is encoded: what a thread further away would take, its own mailbox takes too. */
function sizeOfText(text: string): number {
  return text.length < measuredFrom ? text.length * 2 : Buffer.byteLength(text);
}

function sizeOfItem(value: unknown): number {
  visits--;
  if (typeof value === 'string') return wordBytes + sizeOfText(value);
  if (typeof value !== 'object' || value === null) return wordBytes;
  return sizeOfObject(value);
}

function sizeOfObject(value: object): number {
  if (ArrayBuffer.isView(value)) return objectBytes + value.byteLength;
  if (Array.isArray(value)) return sizeOfArray(value);
  if (value instanceof Map) return sizeOfMap(value);
  if (value instanceof Set) return sizeOfSet(value);
  let bytes = 0;
  let seen = 0;
  let count = 0;
  for (const key in value) {
    count++;
    if (visits <= 0) continue; // the engine has no cheaper way to count
    bytes += key.length + sizeOfItem((value as Record<string, unknown>)[key]);
    seen++;
  }
  return extrapolate(bytes, seen, count);
}

function sizeOfArray(items: readonly unknown[]): number {
  let bytes = 0;
  let seen = 0;
  while (seen < items.length && visits > 0) bytes += sizeOfItem(items[seen++]);
  return extrapolate(bytes, seen, items.length);
}

function sizeOfMap(map: ReadonlyMap<unknown, unknown>): number {
  let bytes = 0;
  let seen = 0;
  for (const [key, item] of map) {
    if (visits <= 0) break;
    bytes += sizeOfItem(key) + sizeOfItem(item);
    seen++;
  }
  return extrapolate(bytes, seen, map.size);
}

function sizeOfSet(set: ReadonlySet<unknown>): number {
  let bytes = 0;
  let seen = 0;
  for (const item of set) {
    if (visits <= 0) break;
    bytes += sizeOfItem(item);
    seen++;
  }
  return extrapolate(bytes, seen, set.size);
}

function extrapolate(bytes: number, seen: number, count: number): number {
  if (seen === count) return objectBytes + bytes;
  return objectBytes + Math.ceil((seen === 0 ? wordBytes : bytes / seen) * count);
}
