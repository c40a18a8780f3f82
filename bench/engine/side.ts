// What an engine has to be able to do to take part. Records lie in shards, as they do under a store; an engine that knows
// no shards has them as the first characters of its keys. Keys are made beforehand in both forms, text and bytes: turning
// one into the other is not what we measure. Values as in the store bench: 1 KiB of noise that carries the number of its key.

import { Buffer } from 'node:buffer';
import { keyOf } from '../store/side.ts';

export interface Key {
  readonly number: number;
  readonly shard: number;
  /** For engines of one shard only: `07/key-000042`. */
  readonly text: string;
  /** Inside its shard: `key-000042`. */
  readonly bytes: Buffer;
}

export interface EngineSide {
  /** `folder` is empty and on a real disk. */
  open(folder: string, shards: number): Promise<void> | void;
  /** Resolves when it is as durable as the row claims. */
  put(key: Key, value: Buffer): Promise<unknown> | unknown;
  get(key: Key): Promise<Uint8Array | undefined> | Uint8Array | undefined;
  /** Shows the first `limit` records of a shard in the order of their keys. Absent: it has no order. */
  scan?(shard: number, limit: number, visit: (value: Uint8Array) => void): Promise<void> | void;
  fill?(entries: Iterable<readonly [Key, Buffer]>): void;
  /** Resolves when what goes on behind the writers is done. */
  settle?(): Promise<void>;
  /** The process that does the writing, if not this one. */
  pid?(): number | undefined;
  /** Bytes it says it has written itself, by what for. */
  bytes?(): Readonly<Record<string, number>>;
  close(): Promise<void> | void;
}

/** Keys 0 .. count - 1, spread over the shards by turns. `end` makes them differ from all that are there. */
export const keysOf = (count: number, shards: number, end = ''): Key[] =>
  Array.from({ length: count }, (_, number) => {
    const text = `${keyOf(number)}${end}`;
    const shard = number % shards;
    return { number, shard, text: prefixOf(shard) + text, bytes: Buffer.from(text) };
  });

export const prefixOf = (shard: number): string => `${String(shard).padStart(3, '0')}/`;

/** Keys of a shard, when `count` of them are spread over all. */
export const inShard = (count: number, shards: number, shard: number): number => Math.ceil((count - shard) / shards);
