// The writes of one shard that were handed in and are not committed yet, laid over what is committed so that a read sees
// its own writes.
//
//     read(key) = the newest pending write of the key, else what is committed
//
// A key may be written by several pending groups; only the newest is looked up, but the older ones are remembered with
// their groups: when a group is refused, so is every later one, and the overlay is laid anew from those that remain.
//
// Invariant: the overlay holds a key exactly as long as a group that writes it is pending.

import type { Ack, WriteGroup } from './engine.ts';
import type { KeyName } from './key.ts';

/** One write, ready for the disk. */
export interface PendingWrite {
  readonly name: KeyName;
  readonly key: Uint8Array;
  /** The encoded record; undefined deletes. */
  readonly record: Uint8Array | undefined;
}

export interface PendingGroup<Owner = unknown> {
  readonly owner: Owner;
  readonly epoch: number;
  readonly fence: WriteGroup['fence'];
  readonly writes: readonly PendingWrite[];
  readonly ack: Ack;
  /** Of keys and records, for the bounds and the disk. */
  readonly bytes: number;
  /** True when it stores anything: such a group needs room on the disk. */
  readonly puts: boolean;
  resolve(): void;
  reject(error: Error): void;
}

interface Newest extends PendingWrite {
  readonly group: PendingGroup;
}

export class PendingWrites {
  /** In the order they were handed in. */
  readonly #groups = new Set<PendingGroup>();
  readonly #newest = new Map<KeyName, Newest>();

  get groups(): ReadonlySet<PendingGroup> {
    return this.#groups;
  }

  add(group: PendingGroup): void {
    this.#groups.add(group);
    for (const { name, key, record } of group.writes) this.#newest.set(name, { name, key, record, group });
  }

  /** The group is committed: its writes are found where the committed ones are. */
  committed(group: PendingGroup): void {
    this.#groups.delete(group);
    for (const { name } of group.writes) if (this.#newest.get(name)?.group === group) this.#newest.delete(name);
  }

  /** These groups will not happen. */
  refused(groups: Iterable<PendingGroup>): void {
    for (const group of groups) this.#groups.delete(group);
    this.#newest.clear();
    for (const group of this.#groups) this.add(group);
  }

  /** The newest pending write of a key. Its `record` is undefined when it deletes. */
  get(name: KeyName): PendingWrite | undefined {
    return this.#newest.get(name);
  }

  get size(): number {
    return this.#newest.size;
  }

  /** The newest write of each key in the range, in key order: what a scan lays over the committed records. */
  within(from: KeyName | undefined, to: KeyName | undefined): PendingWrite[] {
    const found: PendingWrite[] = [];
    for (const write of this.#newest.values()) {
      if ((from === undefined || write.name >= from) && (to === undefined || write.name < to)) found.push(write);
    }
    return found.sort((a, b) => (a.name < b.name ? -1 : 1));
  }
}
