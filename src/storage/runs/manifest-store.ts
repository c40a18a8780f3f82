// The manifest: which runs are live, and what they are the runs of. Every thread of the node opens it; any may change it.
//
//     read the state ──> make an edit of it ──> write it if the generation is still that one ──> done, flushed
//            ^                                        │ another thread was faster
//            └────────────────────────────────────────┘
//
// The comparison is made by LMDB's own thread inside the transaction, so none of our threads ever holds its one write lock
// while it runs JavaScript, and none blocks its event loop on the disk (README.md of the folder above).
//
// Invariants: an edit is applied whole and is flushed when it resolves, or it has not happened. A number is never given out
// twice. After a commit that failed, LMDB is not called again.

import { TroupeError } from '../../errors.ts';
import { diskFreeLowWater } from '../../limits.ts';
import type { EngineClock } from '../engine.ts';
import { checkShardName } from '../key.ts';
import { LmdbDisk } from '../lmdb-disk-store.ts';
import { freeBytes, type Lmdb, lastVersion, openLmdb } from '../lmdb-env-store.ts';
import type { LoggedSegment } from '../log/log-names.ts';
import { corrupt, stopped } from '../refusals.ts';
import {
  type Counter,
  checkHead,
  decodeValue,
  encodeValue,
  headKey,
  loggedKey,
  type ManifestEdit,
  type ManifestHead,
  type ManifestShard,
  type ManifestState,
  manifestFormat,
  nameIn,
  nameKey,
  numberIn,
  openValue,
  type RowTag,
  rangeOf,
  runKey,
  sealValue,
  segmentKey,
} from './manifest-format.ts';
import { decodeInfo, encodeInfo, type RunInfo, shardNumbersEnd } from './run-format.ts';

export interface ManifestOptions {
  /** A directory of its own. */
  readonly dir: string;
  /** Whose manifest it is: the id of the node. */
  readonly owner: string;
  /** After a failed commit nothing may go on: see research/pitfalls.md F4. */
  readonly onFatal: (why: Error) => void;
  readonly freeLowWater?: number | undefined;
  /** Free bytes on the disk of the directory. Default statfs. */
  readonly free?: (() => number) | undefined;
  readonly timer?: EngineClock['timer'] | undefined;
  readonly open?: ((dir: string) => Lmdb) | undefined;
}

/** Makes it when there is none. Throws BAD_OPTION for that of another node or a newer version, CORRUPT. */
export async function openManifest(options: ManifestOptions): Promise<ManifestStore> {
  const manifest = new ManifestStore(options);
  try {
    await manifest.begin();
  } catch (why) {
    await manifest.close();
    throw why;
  }
  return manifest;
}

export class ManifestStore {
  readonly #options: ManifestOptions;
  readonly #db: Lmdb;
  readonly #disk: LmdbDisk;
  #state: ManifestState | undefined;
  #failed = false;
  #closed: Promise<void> | undefined;

  /** Use openManifest(). */
  constructor(options: ManifestOptions) {
    const { dir, freeLowWater: lowWater = diskFreeLowWater, free = () => freeBytes(dir) } = options;
    const { timer = realTimer, open = openLmdb } = options;
    this.#options = options;
    this.#db = open(dir);
    this.#disk = new LmdbDisk(this.#db, { free, lowWater, timer });
  }

  async begin(): Promise<void> {
    if (this.#readHead() === undefined) {
      this.#disk.needRoom(false, [0]);
      const head: ManifestHead = {
        format: manifestFormat,
        owner: this.#options.owner,
        next: { shard: 1, run: 1, segment: 1 },
      };
      // Two threads may both do this: the first one's stays.
      await this.#settle([this.#db.put(headKey, encodeValue(headKey, head), { version: 1, noOverwrite: true })]);
      this.refresh();
    }
    this.state();
  }

  /** As of this turn of the event loop. The same object as before while nothing has changed: 2 us. Throws CORRUPT. */
  state(): ManifestState {
    this.#check();
    const head = this.#readHead();
    const generation = lastVersion();
    if (head === undefined) throw corrupt('(manifest)', headKey, 'it is gone');
    if (this.#state?.generation === generation) return this.#state;
    const { owner, dir } = this.#options;
    checkHead(head.value, owner, dir);
    this.#state = this.#read(generation, head.value);
    return this.#state;
  }

  /** Undefined when nothing was ever written to it, or it was dropped. */
  shardNumber(name: string): number | undefined {
    return this.state().shards.get(name)?.number;
  }

  /** Reads from here on see what other threads have done by now, not what they had when this turn began. */
  refresh(): void {
    if (!this.#failed && this.#closed === undefined) this.#db.resetReadTxn();
  }

  /** Gives each name a number, unless it has one. All in one transaction. */
  async addShards(names: readonly string[]): Promise<ReadonlyMap<string, number>> {
    names.forEach(checkShardName);
    const { shards } = await this.#change(state => {
      const fresh = [...new Set(names)].filter(name => !state.shards.has(name));
      if (fresh.length === 0) return undefined;
      const first = state.next.shard;
      if (first + fresh.length > shardNumbersEnd)
        throw new TroupeError('BAD_OPTION', 'This storage has used up its shard numbers.');
      return { names: fresh.map((name, at) => [name, first + at]), next: { shard: first + fresh.length } };
    });
    return new Map(names.map(name => [name, (shards.get(name) as ManifestShard).number]));
  }

  async addShard(name: string): Promise<number> {
    return (await this.addShards([name])).get(name) as number;
  }

  /** Returns the number it had: its records are garbage now. Undefined when there was none. */
  async dropShard(name: string): Promise<number | undefined> {
    let number: number | undefined;
    await this.#change(({ shards }) => {
      number = shards.get(name)?.number;
      return number === undefined ? undefined : { names: [[name, undefined]] };
    });
    return number;
  }

  /** The first of so many numbers that nobody had before. */
  async reserve(what: Counter, count = 1): Promise<number> {
    let first = 0;
    await this.#change(({ next }) => {
      first = next[what];
      return { next: { [what]: first + count } };
    });
    return first;
  }

  nextRunId(): Promise<number> {
    return this.reserve('run');
  }

  /** Applied whole and flushed when it resolves. Rejects when it removes a run that is not there, or adds one twice. */
  edit(edit: ManifestEdit): Promise<ManifestState> {
    return this.#change(state => {
      const live = new Set(state.runs.map(({ id }) => id));
      for (const id of edit.remove ?? []) {
        if (!live.delete(id)) throw new Error(`run ${id} is not in the manifest: it cannot be removed`);
      }
      for (const { id } of edit.add ?? []) {
        if (live.has(id)) throw new Error(`run ${id} is in the manifest already`);
        live.add(id);
      }
      return edit;
    });
  }

  close(): Promise<void> {
    this.#closed ??= this.#failed ? Promise.resolve() : this.#db.close();
    return this.#closed;
  }

  describe(): object {
    const { generation, shards, runs, flushed, logged, next } = this.state();
    const counts = { shards: shards.size, runs: runs.length, flushed: flushed.size, logged: logged.size };
    return { generation, ...counts, next };
  }

  async #change(make: (state: ManifestState) => ManifestEdit | undefined): Promise<ManifestState> {
    for (;;) {
      this.refresh();
      const state = this.state();
      const edit = make(state);
      if (edit === undefined) return state;
      const writes = this.#writesOf(state, edit);
      this.#disk.needRoom(
        false,
        writes.map(([, value]) => value?.length ?? 0),
      );
      const done = this.#db.ifVersion(headKey, state.generation, () => {
        for (const [key, value, version] of writes) {
          if (value === undefined) void this.#db.remove(key);
          else void this.#db.put(key, value, version);
        }
      });
      const [happened] = await this.#settle([done]);
      if (!happened) continue;
      this.refresh();
      return this.state();
    }
  }

  /** Key, value (undefined: remove) and version of every record the edit changes. */
  #writesOf(state: ManifestState, edit: ManifestEdit): [Uint8Array, Uint8Array | undefined, number][] {
    const { add = [], remove = [], flushed = [], forget = [], names = [], next } = edit;
    const logged = [...(edit.logged ?? [])];
    const put = (key: Uint8Array, value: unknown): [Uint8Array, Uint8Array, number] => [
      key,
      encodeValue(key, value),
      0,
    ];
    const gone = (key: Uint8Array): [Uint8Array, undefined, number] => [key, undefined, 0];
    const head: ManifestHead = {
      format: manifestFormat,
      owner: this.#options.owner,
      next: { ...state.next, ...next },
    };
    return [
      [headKey, encodeValue(headKey, head), state.generation + 1],
      ...add.map((info): [Uint8Array, Uint8Array, number] => {
        const key = runKey(info.id);
        return [key, sealValue(key, encodeInfo(info)), 0];
      }),
      ...remove.map(id => gone(runKey(id))),
      ...flushed.map(id => put(segmentKey(id), true)),
      ...flushed.filter(id => state.logged.has(id)).map(id => gone(loggedKey(id))),
      ...logged.filter(([id]) => !state.flushed.has(id)).map(([id, segment]) => put(loggedKey(id), segment)),
      ...forget.map(id => gone(segmentKey(id))),
      ...raisedFences(state, edit).map(([name, shard]) => put(nameKey(name), shard)),
      ...names.map(([name, number]) =>
        number === undefined ? gone(nameKey(name)) : put(nameKey(name), { number, fence: 0 }),
      ),
    ];
  }

  #read(generation: number, { next }: ManifestHead): ManifestState {
    const before = new Map(this.#state?.runs.map(info => [info.id, info]));
    const shards = new Map<string, ManifestShard>();
    const names = new Map<number, string>();
    for (const { key, value } of this.#rows('n')) {
      const shard = decodeValue(key, value) as ManifestShard;
      shards.set(nameIn(key), shard);
      names.set(shard.number, nameIn(key));
    }
    // A run never changes: what was read once is not read again.
    const runs = this.#rows('r').map(({ key, value }): RunInfo => {
      return before.get(numberIn(key)) ?? decodeInfo(openValue(key, value), `${numberIn(key)}`);
    });
    const flushed = new Set(this.#rows('s').map(({ key }) => numberIn(key)));
    const logged = new Map(
      this.#rows('l').map(({ key, value }) => [numberIn(key), decodeValue(key, value) as LoggedSegment]),
    );
    return { generation, shards, names, runs, flushed, logged, next };
  }

  #rows(tag: RowTag): { readonly key: Uint8Array; readonly value: Uint8Array }[] {
    return [...this.#db.getRange({ ...rangeOf(tag), versions: true })];
  }

  #readHead(): { readonly value: ManifestHead } | undefined {
    const bytes = this.#db.getBinary(headKey);
    return bytes && { value: decodeValue(headKey, bytes) as ManifestHead };
  }

  async #settle(writes: readonly Promise<boolean>[]): Promise<boolean[]> {
    this.#check();
    try {
      return await this.#disk.settle(writes);
    } catch (why) {
      this.#failed = true;
      this.#options.onFatal(why as Error);
      throw stopped();
    }
  }

  #check(): void {
    if (this.#failed || this.#closed !== undefined) throw stopped();
  }
}

/** Shards that the edit fences higher, under their names. A shard that was dropped has none. */
function raisedFences(
  state: ManifestState,
  { add = [], fences = [], names = [] }: ManifestEdit,
): [string, ManifestShard][] {
  const higher = new Map<number, number>();
  const told = [...fences, ...add.flatMap(({ shards }) => shards.map(s => [s.number, s.maxEpoch] as const))];
  for (const [number, epoch] of told) higher.set(number, Math.max(higher.get(number) ?? 0, epoch));
  const pointed = new Set(names.map(([name]) => name));
  return [...higher].flatMap(([number, epoch]): [string, ManifestShard][] => {
    const name = state.names.get(number);
    if (name === undefined || pointed.has(name)) return [];
    const { fence } = state.shards.get(name) as ManifestShard;
    return epoch > fence ? [[name, { number, fence: epoch }]] : [];
  });
}

function realTimer(delayMs: number, fn: () => void): () => void {
  const handle = setTimeout(fn, delayMs);
  return () => clearTimeout(handle);
}
