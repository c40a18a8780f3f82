// The disk of a simulated process. It outlives the process: each life opens a memory engine on what the one before has left.
//
//     life 1 ── commits ──▶ engine ──crash──▶ image: everything committed ──────────────────────▶ life 2
//                              └──power loss──▶ image: what was flushed, and some groups more ──▶ life 2
//
// An engine whose process has died is never touched again, so nothing it promised is ever kept or broken: as with a process.

import type { Engine, EngineOptions, StoredRecord } from '../../storage/engine.ts';
import type { MemoryImage } from '../../storage/memory-disk.ts';
import { MemoryStore, type MemoryStoreOptions } from '../../storage/memory-store.ts';
import { type Draw, whole } from './draws.ts';

export interface DiskSeams {
  readonly draw: Draw;
  /** Runs fn after a while, unless the process has died by then. */
  later(delayMs: number, what: string, fn: () => void): void;
  mark(point: string): void;
  /** The engine cannot go on: the process must end. */
  onFatal(why: Error): void;
}

/** A commit takes some 0.1 to 2 ms, as on an SSD. */
const commitMs = (draw: number): number => 0.1 + 1.9 * draw * draw;

/** Old states kept, to be restored as an operator restores a backup. */
const imagesMax = 4;

export class SimDisk {
  /** Small files, written in one piece: each is old or new after any crash. */
  readonly files = new Map<string, Uint8Array>();
  #store: MemoryStore | undefined;
  /** What its store was made with. */
  #made: MemoryStoreOptions = {};
  #image: MemoryImage | undefined;
  readonly #older: MemoryImage[] = [];
  #full = false;
  /** A flush takes so long; 0: as long as a commit. */
  lagMs = 0;

  open(options: EngineOptions, seams: DiskSeams): Engine {
    let operations = 0;
    const soon = (fn: () => void): void => {
      seams.mark('write pending');
      seams.later(commitMs(seams.draw('disk', ++operations)), 'disk', fn);
    };
    const flushSoon = (fn: () => void): void => (this.lagMs === 0 ? soon(fn) : seams.later(this.lagMs, 'flush', fn));
    const shared = (options.writers ?? 1) > 1;
    this.#made = { ...options, shared, soon, flushSoon, onFatal: seams.onFatal };
    const store = new MemoryStore({ ...this.#made, image: this.#image });
    store.diskFull = this.#full;
    this.#store = store;
    return store;
  }

  /** The engine of another thread of the process. `gate`: what that waits for does not happen when it has died. */
  beside(gate: (fn: () => void) => () => void): Engine {
    return new MemoryStore({ ...this.#made, beside: this.#store, gate });
  }

  /** What lies in a shard, also while nobody runs on it. Throws when it has just failed. */
  records(shard: string): Iterable<StoredRecord> {
    return (this.#store ?? new MemoryStore({ image: this.#image })).shard(shard).scan();
  }

  /** The process is gone. `kept`: which part of what was not flushed is left; 1 when only the process died. */
  leave(kept: number): void {
    if (this.#store === undefined) return;
    this.#image = this.#store.remains(kept);
    this.#store = undefined;
    this.#older.push(this.#image);
    if (this.#older.length > imagesMax) this.#older.shift();
  }

  /** That record as the loss of power would leave it; of a process that is down, as it is. */
  flushed(shard: string, key: Uint8Array): StoredRecord | undefined {
    return (this.#store ?? new MemoryStore({ image: this.#image })).flushed(shard, key);
  }

  get full(): boolean {
    return this.#full;
  }

  set full(full: boolean) {
    this.#full = full;
    if (this.#store !== undefined) this.#store.diskFull = full;
  }

  /** break() has been called, and there was a commit since or there will be. */
  get isBroken(): boolean {
    return this.#store?.broken !== undefined;
  }

  stall(): void {
    this.#store?.hold();
  }

  go(): void {
    this.#store?.release();
  }

  /**
   * The next commit fails in a way after which nobody knows what is on the disk; `late`: all of it is. Undefined: it will not, if
   * it has not yet.
   */
  break(why: Error | undefined, late: boolean = false): void {
    if (this.#store === undefined) return;
    this.#store.broken = why;
    this.#store.breaksLate = late;
  }

  /** What follows is for a process that is down. */

  /** Copies from before it are gone too: with epochs that begin anew, their records would refuse every write. */
  wipe(): void {
    this.#image = undefined;
    this.#older.length = 0;
    this.files.clear();
  }

  /** False when there is nothing older. The small files stay: a node must not trust that they go together. */
  restoreOld(draw: number): boolean {
    const old = this.#older[whole(draw, this.#older.length - 1)];
    if (this.#older.length < 2 || old === undefined) return false;
    this.#image = old;
    return true;
  }

  /** Turns one bit of one record around, in a life or between two. */
  rot(draw: Draw): string | undefined {
    const engine = this.#store ?? new MemoryStore({ image: this.#image });
    // A store that has failed answers nothing any more; its process is about to end.
    if (engine.broken !== undefined) return undefined;
    const shards = engine.shards();
    const name = shards[whole(draw('shard'), shards.length)];
    if (name === undefined) return undefined;
    const keys: Uint8Array[] = [];
    try {
      for (const { key } of engine.shard(name).scan()) keys.push(key);
    } catch {
      // Rotten already: what came before it is enough to choose from.
    }
    const key = keys[whole(draw('key'), keys.length)];
    if (key === undefined || !engine.flipBit(name, key, whole(draw('bit'), 64))) return undefined;
    if (this.#store === undefined) this.#image = engine.remains(1);
    return name;
  }
}
