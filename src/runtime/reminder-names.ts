// What names a reminder: in memory, and in its shard (reminders.ts).

export interface Stored {
  readonly type: string;
  readonly key: string;
  readonly name: string;
  readonly at: number;
  readonly everyMs: number;
}

const text = new TextEncoder();

export function idOf(type: string, key: string, name: string): string {
  return `${type}\u0000${key.length}\u0000${key}${name}`;
}

export function unitOf(id: string): string {
  return `${id.slice(0, id.indexOf('\u0000'))}/${keyIn(id)}`;
}

export function keyIn(id: string): string {
  const [, length = '0'] = id.split('\u0000', 2);
  const at = id.indexOf('\u0000') + length.length + 2;
  return id.slice(at, at + Number(length));
}

/** `end`: a byte that no name holds, for the end of a range. */
export function keyOf({ type, key, name }: Pick<Stored, 'type' | 'key' | 'name'>, end?: number): Uint8Array {
  const owner = text.encode(`${type}\u0000${key}`);
  const rest = end === undefined ? text.encode(name) : Uint8Array.of(end);
  const bytes = new Uint8Array(2 + owner.length + rest.length);
  bytes[0] = owner.length >>> 8;
  bytes[1] = owner.length & 255;
  bytes.set(owner, 2);
  bytes.set(rest, 2 + owner.length);
  return bytes;
}
