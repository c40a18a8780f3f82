// The commit log of one thread: groups go to the end of the active segment, one pwrite a batch; a sync makes durable what
// is there. Hot: append() allocates next to nothing per record; its numbers are in the README.
//
//     append ──> [active] ──full──> sealed ──its run is named──> recycle ──> spare ──> active ...
//        committed: survives the process            sync: flushed, survives the power
//
// A segment that is left gets a seal. Its sync runs while the next one is written already, and until it is done the
// frames there say `durable` 0: after a crash they count for nothing if the sealed one turns out to be torn. A third segment
// is not begun before the first is on the disk; for that, and only when the disk is a whole segment behind, append() blocks.
//
// Invariants: what survives is a prefix of what was appended, and holds everything whose sync() resolved. After anything
// failed but a full disk, nothing is written any more. An append that throws DISK_FULL leaves nothing behind.

import { join } from 'node:path';
import type { TroupeError } from '../../errors.ts';
import { logAheadBytes, logSegmentBytes, logSparesMax } from '../../limits.ts';
import type { Crc32 } from '../crc32.ts';
import { isDiskFull } from '../refusals.ts';
import { discard, type LogFiles, realFiles } from './log-files-store.ts';
import {
  encodeHeader,
  frameBytes,
  type LogGroup,
  markBytes,
  sealBytes,
  segmentBytesMax,
  segmentHeaderBytes,
  segmentSeed,
  writeFrame,
  writeMark,
  writeSeal,
} from './log-frame.ts';
import { checkLogName, fileOf } from './log-names.ts';
import type { Appended, LogOptions, OpenSegment as Open } from './log-options.ts';
import { diskIsFull, logClosed, logStopped, tooLarge } from './log-refusals.ts';
import { Segment } from './log-segment.ts';
import { Spares } from './log-spares-store.ts';
import type { SyncHere } from './sync-here.ts';

export class LogStore {
  readonly name: string;
  readonly #dir: string;
  readonly #files: LogFiles;
  readonly #crc: Crc32;
  readonly #segmentBytes: number;
  readonly #nextId: () => number;
  readonly #image: (id: number, bytes: number) => Uint8Array;
  readonly #spares: Spares;
  readonly #here: SyncHere | undefined;
  readonly #onDurable: (segment: Segment) => void;
  #active: Open | undefined;
  /** Sealed and not durable yet; oldest first. */
  #behind: Open[] = [];
  #sealed: Segment[] = [];
  /** The id of the segment before the active one. */
  #previous = 0;
  /** Counts writes, so that a sync knows whether it covers all of them. */
  #writes = 0;
  #pass: { readonly writes: number; readonly done: Promise<void> } | undefined;
  #nextPass: Promise<void> | undefined;
  #refusal: TroupeError | undefined;
  #closing: Promise<void> | undefined;
  readonly #counts = { groups: 0, bytes: 0, syncs: 0, syncsHere: 0, segments: 0, grown: 0, blocked: 0 };

  constructor(options: LogOptions) {
    const { dir, name, crc, files = realFiles, segmentBytes = logSegmentBytes, sparesMax = logSparesMax } = options;
    checkLogName(name);
    this.name = name;
    this.#dir = dir;
    this.#crc = crc;
    this.#files = files;
    this.#segmentBytes = segmentBytes;
    this.#nextId = () => options.nextSegmentId();
    this.#image = (id, length) => options.image?.(id, length) ?? new Uint8Array(length);
    this.#spares = new Spares({ files, dir, log: name, bytes: segmentBytes, max: sparesMax, nextId: this.#nextId });
    this.#here = options.here;
    this.#onDurable = segment => options.onDurable?.(segment);
    files.makeDir(dir);
  }

  /** Undefined before the first append, and between roll() and the next. */
  get active(): Segment | undefined {
    return this.#active?.segment;
  }

  /** Those that wait for their run to be named, oldest first. */
  get sealed(): readonly Segment[] {
    return this.#sealed;
  }

  /**
   * Writes the groups behind one another into one segment. Throws DISK_FULL, then nothing has happened; TOO_LARGE likewise;
   * anything else, and then the log has stopped: whether the groups are there is known after a restart.
   */
  append(groups: readonly LogGroup[]): Appended {
    if (this.#refusal) throw this.#refusal;
    let bytes = 0;
    let ops = 0;
    for (let index = 0; index < groups.length; index++) {
      const group = groups[index] as LogGroup;
      bytes += frameBytes(group);
      ops += group.ops.length;
    }
    const open = this.#withRoomFor(bytes);
    const { segment } = open;
    const records = new Int32Array(ops);
    this.#write(open, segment.used, this.#encode(open, groups, records));
    for (let index = 0; index < groups.length; index++) this.#note(segment, groups[index] as LogGroup);
    const half = (segmentHeaderBytes + segment.bytes) / 2;
    if (segment.used <= half && segment.used + bytes > half) void this.#spares.prepare();
    segment.used += bytes;
    this.#counts.bytes += bytes;
    // Also when nobody asks: the sealed one has to get to the disk, and of this one so much that sealing it is no long wait.
    if (this.#behind.length > 0) this.sync().catch(() => {});
    else if (!this.#pass && segment.used - segment.durable > logAheadBytes) this.#handOver([open]).catch(() => {});
    return { segment, records };
  }

  /** Resolves when everything appended before is on the disk. A sync that fails is never tried again: what it left is unknown. */
  sync(): Promise<void> {
    if (this.#refusal) return Promise.reject(this.#refusal);
    const pass = this.#pass;
    if (pass?.writes === this.#writes) return pass.done;
    if (!pass) return this.#begin();
    this.#nextPass ??= pass.done.then(() => {
      this.#nextPass = undefined;
      return this.sync();
    });
    return this.#nextPass;
  }

  /** Everything is on the disk, and no group comes to say so: a frame does, and is left to the next sync. Does nothing otherwise. */
  mark(): void {
    const open = this.#active;
    if (this.#refusal || open === undefined || this.#behind.length > 0) return;
    const { segment, seed, marked } = open;
    const { image, used, durable, lsnMax, bytes } = segment;
    if (durable < used || marked === used || used + markBytes + sealBytes > bytes) return;
    const end = writeMark(image, used, lsnMax, { seed, durable }, this.#crc);
    this.#write(open, used, end);
    segment.used = end;
    open.marked = end;
  }

  /** Seals the active segment, whatever its size. Resolves when it is on the disk. */
  roll(): Promise<void> {
    if (this.#refusal) return Promise.reject(this.#refusal);
    if (this.#active && this.#active.segment.groups > 0) {
      try {
        this.#seal(this.#active);
      } catch (why) {
        return Promise.reject(why);
      }
      this.#leave(this.#active);
    }
    return this.sync();
  }

  /** Makes a file ready for the next segment, unless there is one. A host does it at start, before the first write. */
  prepare(): Promise<void> {
    return this.#spares.prepare();
  }

  /** The run of a sealed segment is named, and nobody reads the segment: its file becomes a spare. Also one of an earlier life. */
  async recycle(segment: Segment): Promise<void> {
    this.#sealed = this.#sealed.filter(other => other !== segment);
    if (this.#behind.some(open => open.segment === segment)) await this.sync();
    segment.release();
    await this.#spares.recycle(segment.path, segment.id);
  }

  /** Syncs and seals; later calls are refused with STOPPED. Rejects when not everything is on the disk, and lets go all the same. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    try {
      // First a sync: then the seal says that everything before it is on the disk.
      await this.sync();
      await this.roll();
    } finally {
      this.#refusal ??= logClosed(this.name);
      await this.#pass?.done.catch(() => {});
      await this.#spares.close();
      for (const { fd } of this.#opens()) this.#files.close(fd);
      if (this.#active?.segment.groups === 0) this.#files.unlink(this.#active.segment.path);
      this.#active = undefined;
      this.#behind = [];
    }
  }

  describe(): Record<string, unknown> {
    return {
      name: this.name,
      stopped: this.#refusal?.message ?? null,
      active: this.#active?.segment.describe() ?? null,
      behind: this.#behind.length,
      sealed: this.#sealed.map(segment => segment.describe()),
      spares: this.#spares.describe(),
      ...this.#counts,
    };
  }

  // Appending.

  /** Returns where the last frame ends. */
  #encode({ segment, seed }: Open, groups: readonly LogGroup[], records: Int32Array): number {
    const { image } = segment;
    const stamp = { seed, durable: this.#behind.length > 0 ? 0 : segment.durable };
    let at = segment.used;
    let op = 0;
    for (let index = 0; index < groups.length; index++) {
      const group = groups[index] as LogGroup;
      at = writeFrame(image, at, group, stamp, this.#crc, records, op);
      op += group.ops.length;
    }
    return at;
  }

  #note(segment: Segment, { lsn }: LogGroup): void {
    segment.groups++;
    this.#counts.groups++;
    if (lsn < segment.lsnMin) segment.lsnMin = lsn;
    if (lsn > segment.lsnMax) segment.lsnMax = lsn;
  }

  #write(open: Open, from: number, to: number): void {
    const { segment, fd } = open;
    open.dirty = true;
    this.#writes++;
    try {
      this.#files.pwrite(fd, segment.read(from, to - from), from);
    } catch (why) {
      if (!isDiskFull(why)) throw this.#stop(why);
      this.#erase(fd, from);
      throw diskIsFull(this.name, to - from, why);
    }
  }

  /** What was refused must not be there after a restart: its first frame may be whole. */
  #erase(fd: number, at: number): void {
    try {
      this.#files.pwrite(fd, new Uint8Array(sealBytes), at);
    } catch (why) {
      // No room even for this: then there is no block at this place, and nothing in it.
      if (!isDiskFull(why)) throw this.#stop(why);
    }
  }

  // Segments.

  #withRoomFor(bytes: number): Open {
    const active = this.#active;
    if (active && active.segment.used + bytes + sealBytes <= active.segment.bytes) return active;
    // In this order, because taking may find the disk full: then the seal is written over by what comes next.
    if (active) this.#seal(active);
    const next = this.#take(Math.max(this.#segmentBytes, segmentHeaderBytes + bytes + sealBytes));
    if (active) this.#leave(active);
    this.#active = next;
    return next;
  }

  #seal(open: Open): void {
    const { segment, seed } = open;
    const durable = this.#behind.length > 0 ? 0 : segment.durable;
    const end = writeSeal(segment.image, segment.used, segment.lsnMax, { seed, durable }, this.#crc);
    this.#write(open, segment.used, end);
  }

  #leave(open: Open): void {
    const { segment } = open;
    segment.sealed = true;
    if (segment.groups > 0) this.#sealed.push(segment);
    this.#behind.push(open);
    this.#previous = segment.id;
    this.#active = undefined;
  }

  #take(bytes: number): Open {
    if (bytes > segmentBytesMax) throw tooLarge(this.name, bytes);
    this.#catchUp();
    const id = this.#nextId();
    const path = join(this.#dir, fileOf(this.name, id, 'log'));
    const spare = bytes === this.#segmentBytes ? this.#spares.take() : undefined;
    if (!spare) this.#counts.grown++;
    const from = spare?.path ?? join(this.#dir, fileOf(this.name, id, 'spare'));
    const previous = this.#active?.segment.id ?? this.#previous;
    let fd = spare?.fd;
    try {
      fd ??= this.#files.open(from, true);
      this.#files.pwrite(fd, encodeHeader(this.#crc, { id, previous, log: this.name }), 0);
      // Only now is it a segment: one without its header, in front of others, would look damaged.
      this.#files.rename(from, path);
    } catch (why) {
      discard(this.#files, fd, from);
      throw isDiskFull(why) ? diskIsFull(this.name, bytes, why) : this.#stop(why);
    }
    this.#counts.segments++;
    this.#writes++;
    // The kernel gives zeroed memory page by page, as it is written: a large one costs nothing yet.
    const segment = new Segment(this.name, id, path, this.#image(id, bytes));
    return { segment, fd, seed: segmentSeed(this.#crc, id), dirty: true, named: false, marked: segmentHeaderBytes };
  }

  /** Before a segment is begun, all but the last are on the disk, and so is the last one's name. Blocks if need be. */
  #catchUp(): void {
    const opens = this.#opens();
    const last = opens.pop();
    if (opens.length === 0 && (last?.named ?? true)) return;
    this.#counts.blocked++;
    try {
      for (const { fd } of opens) this.#files.fdatasyncNow(fd);
      this.#files.syncDirNow(this.#dir);
    } catch (why) {
      throw this.#stop(why);
    }
    if (last) last.named = true;
    // Their files are left to the next pass to close: one under way may be syncing them just now.
  }

  // Syncing.

  #opens(): Open[] {
    return this.#active ? [...this.#behind, this.#active] : [...this.#behind];
  }

  #begin(): Promise<void> {
    const opens = this.#opens();
    if (opens.every(({ dirty, named }) => named && !dirty)) return Promise.resolve();
    const [only] = opens;
    // Not the first of a segment: its name has to get to the disk as well.
    if (opens.length === 1 && only?.named && this.#here?.pays) return this.#syncHere(only, this.#here);
    return this.#handOver(opens);
  }

  #handOver(opens: readonly Open[]): Promise<void> {
    const done = this.#sync(opens).catch((why: unknown) => {
      throw this.#stop(why);
    });
    this.#pass = { writes: this.#writes, done };
    return done;
  }

  #syncHere(open: Open, here: SyncHere): Promise<void> {
    this.#counts.syncs++;
    this.#counts.syncsHere++;
    open.dirty = false;
    try {
      here.run(() => this.#files.fdatasyncNow(open.fd));
    } catch (why) {
      return Promise.reject(this.#stop(why));
    }
    this.#reached(open, open.segment.used);
    return Promise.resolve();
  }

  async #sync(opens: readonly Open[]): Promise<void> {
    this.#counts.syncs++;
    const marks = opens.map(({ segment }) => segment.used);
    const work = opens.filter(({ dirty }) => dirty).map(({ fd }) => this.#files.fdatasync(fd));
    if (opens.some(({ named }) => !named)) work.push(this.#files.syncDir(this.#dir));
    const sealed = new Set(opens.filter(({ segment }) => segment.sealed));
    for (const open of opens) open.dirty = false;
    await Promise.all(work);
    opens.forEach((open, index) => {
      open.named = true;
      this.#reached(open, marks[index] as number);
    });
    this.#pass = undefined;
    this.#behind = this.#behind.filter(open => !sealed.has(open));
    for (const open of sealed) this.#retire(open);
  }

  /** It is on the disk up to there, under its name. */
  #reached({ segment }: Open, mark: number): void {
    const isFirst = segment.durable === segmentHeaderBytes;
    segment.durable = Math.max(segment.durable, mark);
    if (isFirst && segment.durable > segmentHeaderBytes) this.#onDurable(segment);
  }

  #retire({ segment, fd }: Open): void {
    this.#files.close(fd);
    // It was left empty for a group that was too large for it.
    if (segment.groups === 0) this.recycle(segment).catch(() => {});
  }

  #stop(why: unknown): TroupeError {
    this.#refusal ??= logStopped(this.name, why);
    return this.#refusal;
  }
}
