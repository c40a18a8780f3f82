// Values of a store as JSON and keys as text, for a terminal: whatever JSON lacks gets a form that can be told apart, and
// nothing that is printed may move the cursor.

/** Bytes as { bytes: base64 }, big integers as strings, maps and sets as lists, undefined as null. */
export function jsonOf(value: unknown): string {
  return escaped(JSON.stringify(value, (_, each) => plain(each)) ?? 'null');
}

/** JSON leaves the control characters above ASCII as they are; a terminal would obey them. */
function escaped(json: string): string {
  return json.replace(/\p{Cc}/gu, each => `\\u${each.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (value === undefined) return null;
  if (value instanceof Uint8Array) return { bytes: Buffer.from(value).toString('base64') };
  if (value instanceof Map) return [...value];
  if (value instanceof Set) return [...value];
  return ArrayBuffer.isView(value) && !(value instanceof DataView) ? Array.from(value as Float64Array) : value;
}

/** A key as it is; in quotes if it holds control characters; bytes in hex. */
export function keyText(key: string | Uint8Array): string {
  if (typeof key !== 'string') return `hex:${Buffer.from(key).toString('hex')}`;
  return /\p{Cc}/u.test(key) ? jsonOf(key) : key;
}
