// This thread's commit log, with its segments in shared memory: what is written becomes visible to all threads when it is published.
//
//     stage ─▶ write (one pwrite) ─▶ [sync] ─▶ publish: the index of the segment names it, readers see it
//
//     segment full ─▶ on the disk, sealed ─▶ upkeep is told ─▶ a free slot is waited for: that is the back-pressure
//     its run is named ─▶ its file is used again
//
// Invariant: nothing is published that is not written. What was staged and not written has not happened.

import { basename } from 'node:path';
import { TroupeError } from '../errors.ts';
import { slotWaitMs, slotWaitStepMs } from '../limits.ts';
import type { Crc32 } from './crc32.ts';
import type { KeyName } from './key.ts';
import { type LogFiles, realFiles } from './log/log-files-store.ts';
import {
  frameBytes,
  frameHeaderBytes,
  type LogOp,
  opHeaderBytes,
  sealBytes,
  segmentHeaderBytes,
} from './log/log-frame.ts';
import type { LoggedSegment } from './log/log-names.ts';
import type { Segment } from './log/log-segment.ts';
import { LogStore } from './log/log-store.ts';
import { SyncHere } from './log/sync-here.ts';
import { WatchedFiles } from './log/watched-files-store.ts';
import type { Stream } from './newest.ts';
import { SegmentOrder } from './segment-order.ts';
import { hashOf, indexEntriesMax, type LogId, lsnDistanceMax, type SegmentSlot } from './segment-slot.ts';
import type { SharedDisk } from './shared-disk.ts';
import { SharedWords } from './shared-words.ts';
import { waitForNews } from './shared-words-store.ts';
import { SyncTimes } from './sync-times.ts';

export interface Append {
  /** Of the shard. */
  readonly number: number;
  readonly epoch: number;
  readonly ops: readonly LogOp[];
}

export interface TroupeLogOptions {
  readonly dir: string;
  readonly thread: number;
  readonly disk: SharedDisk;
  readonly crc: Crc32;
  readonly files?: LogFiles | undefined;
  /** Resolves when the manifest knows that these are on the disk. May reject: then it is asked again, with the next one. */
  note(segments: ReadonlyMap<number, LoggedSegment>): Promise<unknown>;
  /** Why no segment can be flushed now, if so. */
  roomToFlush(): TroupeError | undefined;
}

interface Written {
  readonly appends: readonly Append[];
  readonly from: number;
  readonly lsn: number;
}

export const logNameOf = ({ thread, number }: LogId): string => `t${thread}.${number}`;

/** What logNameOf made a name of. */
export function logIdOf(name: string): LogId {
  const [thread = '', number = ''] = name.slice(1).split('.');
  return { thread: Number(thread), number: Number(number) };
}

export function loggedOf({ path, durable }: Segment): LoggedSegment {
  return { file: basename(path), bytes: durable };
}

export class TroupeLog {
  readonly #options: TroupeLogOptions;
  readonly #disk: SharedDisk;
  readonly #id: LogId;
  /** Whether the disk answers: see stall-watch-store.ts. */
  readonly files: WatchedFiles;
  #store: LogStore | undefined;
  /** Of the active segment. */
  #slot: SegmentSlot | undefined;
  readonly #orders = new Map<SegmentSlot, SegmentOrder>();
  #staged: Append[] = [];
  #stagedBytes = 0;
  #stagedOps = 0;
  #written: Written[] = [];
  #waits = 0;
  #waitedMs = 0;
  readonly #syncs = new SyncTimes();
  readonly #here: SyncHere | undefined;
  /** When the active segment got its first record. */
  #begunAt: number | undefined;
  /** On the disk, and the manifest does not know. */
  readonly #unnoted = new Map<number, LoggedSegment>();
  #noting: Promise<void> | undefined;

  constructor(options: TroupeLogOptions) {
    this.#options = options;
    this.#disk = options.disk;
    const { thread, files = realFiles } = options;
    const { words } = options.disk;
    this.#id = { thread, number: words.takeSegmentId() };
    words.calmPulse(thread);
    const turn = (): void => words.turnPulse(thread);
    const now = (): number => performance.now();
    const synced = (ms: number): void => this.#syncs.record(ms);
    this.files = new WatchedFiles(files, { enter: turn, leave: turn, now, synced });
    // Thread 0 is its user's: what he has running there never stands still for a disk.
    this.#here = thread === 0 ? undefined : new SyncHere(now);
  }

  /** Why these can never be one group, if so. */
  tooLarge(ops: readonly LogOp[]): TroupeError | undefined {
    const bytes = sizeOf(ops);
    const bytesMax = this.#disk.segmentBytes - segmentHeaderBytes - sealBytes;
    if (bytes <= bytesMax && ops.length <= indexEntriesMax) return undefined;
    const message = `A group of ${ops.length} writes, ${bytes} bytes does not fit into a segment of the log.`;
    return new TroupeError('TOO_LARGE', message, { details: { bytes, bytesMax, writes: ops.length } });
  }

  /** Does the active segment take this too? */
  fits(ops: readonly LogOp[]): boolean {
    const slot = this.#slot;
    if (slot === undefined) return false;
    const used = this.#store?.active?.used ?? segmentHeaderBytes;
    return (
      used + this.#stagedBytes + sizeOf(ops) + sealBytes <= this.#disk.segmentBytes &&
      slot.entries + this.#stagedOps + ops.length <= indexEntriesMax &&
      this.#disk.words.lsn - slot.base < lsnDistanceMax
    );
  }

  stage(append: Append): void {
    this.#staged.push(append);
    this.#stagedBytes += sizeOf(append.ops);
    this.#stagedOps += append.ops.length;
  }

  /** Throws DISK_FULL: what was staged has not happened. Anything else: the log has stopped. */
  write(): void {
    if (this.#staged.length === 0) return;
    const appends = this.#staged;
    this.#staged = [];
    this.#stagedBytes = 0;
    this.#stagedOps = 0;
    const store = this.#opened();
    const first = this.#disk.words.takeLsns(appends.length);
    const groups = appends.map(({ number, epoch, ops }, index) => ({ lsn: first + index, shard: number, epoch, ops }));
    // Asked before: the first append begins the segment.
    const from = store.active?.used ?? segmentHeaderBytes;
    store.append(groups);
    if (this.#begunAt === undefined) this.#begin();
    this.#written.push({ appends, from, lsn: first });
  }

  /** Writes what is staged, and shows all that is written. */
  publish(): void {
    this.write();
    const slot = this.#slot;
    if (slot === undefined) return;
    for (const { appends, from, lsn } of this.#written.splice(0)) {
      let at = from;
      for (let index = 0; index < appends.length; index++) {
        const { number, ops } = appends[index] as Append;
        let op = at + frameHeaderBytes;
        for (let each = 0; each < ops.length; each++) {
          const { key, record } = ops[each] as LogOp;
          slot.put(hashOf(number, key), number, op, key.length, lsn + index);
          op += opHeaderBytes + key.length + (record === undefined ? 0 : record.length);
        }
        at += sizeOf(ops);
      }
      slot.committed(at, lsn + appends.length - 1);
    }
  }

  /** While the disk syncs, this thread can do other things. */
  get syncsElsewhere(): boolean {
    return this.#here?.pays !== true;
  }

  /** How long the oldest record waits in the active segment; 0 without any. */
  get ageMs(): number {
    return this.#begunAt === undefined ? 0 : performance.now() - this.#begunAt;
  }

  /** Nobody is told 'flushed' before the manifest knows of the segment: were its file taken away then, nobody would miss it. */
  sync(): Promise<void> {
    return (this.#store?.sync() ?? Promise.resolve()).then(() => this.#noting);
  }

  /** A segment has its first records. It is synced at once, so that it is noted also when nobody asks for 'flushed'. */
  #begin(): void {
    this.#begunAt = performance.now();
    // Whoever writes next hears that the log has stopped.
    this.#store?.sync().catch(() => {});
  }

  /** Called when there is time: a last batch that is on the disk can be told from a torn one then. */
  mark(): void {
    try {
      this.#store?.mark();
    } catch {
      // No room for it, and nothing is lost; or the log has stopped, which whoever writes next hears.
    }
  }

  #note(segment: Segment): void {
    const { id } = segment;
    this.#unnoted.set(id, loggedOf(segment));
    const told = new Map(this.#unnoted);
    const before = this.#noting;
    const noted = (): void => {
      for (const each of told.keys()) this.#unnoted.delete(each);
    };
    // When it fails, only the guard is missing: the writes themselves are on the disk.
    const ended = this.#options.note(told).then(noted, () => {});
    this.#noting = ended.then(() => before);
  }

  /** Leaves the active segment to the upkeep. */
  async seal(): Promise<void> {
    this.write();
    const slot = this.#slot;
    const hasRecords = (this.#store?.active?.groups ?? 0) > 0;
    if (slot === undefined || !hasRecords) return;
    await this.#store?.roll();
    await this.#noting;
    this.publish();
    this.#slot = undefined;
    this.#begunAt = undefined;
    slot.seal();
    this.#disk.words.tellSealed();
  }

  /** Goes on in a new segment. Answers with the reason when there is none to be had: DISK_FULL, or OVERLOADED. */
  async next(): Promise<TroupeError | undefined> {
    await this.seal();
    this.#takeSlot();
    if (this.#slot !== undefined) return undefined;
    this.#waits++;
    const since = performance.now();
    const why = await this.#slotBy(since + slotWaitMs);
    this.#waitedMs += performance.now() - since;
    return why;
  }

  /** Waits for a flush to give one back. */
  async #slotBy(until: number): Promise<TroupeError | undefined> {
    const { words } = this.#disk;
    for (;;) {
      const { generation } = words;
      this.#takeSlot();
      if (this.#slot !== undefined) return undefined;
      const why = this.#options.roomToFlush();
      if (why !== undefined) return why;
      // By the clock: any change of the manifest wakes us, and there may be many.
      if (performance.now() >= until)
        return new TroupeError('OVERLOADED', 'The disk is behind: all segments of the log wait to be flushed.');
      await waitForNews(words, SharedWords.generationIndex, generation, slotWaitStepMs);
    }
  }

  #takeSlot(): void {
    if (this.#slot !== undefined) return;
    this.#recycle();
    this.#slot = this.#disk.take(0, this.#id, this.#disk.words.lsn);
  }

  /** The keys of a shard in all segments that no run has yet. */
  *walk(shard: number, from: KeyName | undefined, to: KeyName | undefined): Iterable<Stream> {
    for (const slot of this.#disk.slots) {
      if (!slot.isLive || slot.entries === 0) continue;
      let order = this.#orders.get(slot);
      if (order === undefined || order.id !== slot.id) {
        order = new SegmentOrder(slot);
        this.#orders.set(slot, order);
      }
      const stream = order.walk(shard, from, to, this.#id.thread);
      if (stream !== undefined) yield stream;
    }
  }

  async close(): Promise<void> {
    await this.#store?.close();
    await this.#noting;
    if (this.#slot?.entries === 0) this.#slot.flushed();
    else this.#slot?.seal();
    this.#slot = undefined;
  }

  describe(): Record<string, unknown> {
    const slots = this.#disk.slots.map(({ state }) => state);
    const stalledMs = this.#disk.words.stalledMs(this.#id.thread);
    const waited = { waits: this.#waits, waitedMs: this.#waitedMs };
    return { ...this.#store?.describe(), stalledMs, ...waited, syncTimes: this.#syncs.report(), slots };
  }

  /** Files of segments that are in a run now. */
  #recycle(): void {
    this.#disk.sweep();
    for (const segment of this.#store?.sealed ?? []) if (!this.#isLive(segment)) this.#reuse(segment);
    for (const [slot, { id }] of this.#orders) if (!slot.isLive || slot.id !== id) this.#orders.delete(slot);
  }

  #reuse(segment: Segment): void {
    // It is in a run: when its file can neither be used again nor removed, the next start removes it.
    this.#store?.recycle(segment).catch(() => {});
  }

  #isLive({ id }: Segment): boolean {
    return this.#disk.slotOf(id) !== undefined;
  }

  #opened(): LogStore {
    const { dir, crc } = this.#options;
    this.#store ??= new LogStore({
      dir,
      name: logNameOf(this.#id),
      crc,
      segmentBytes: this.#disk.segmentBytes,
      files: this.files,
      here: this.#here,
      onDurable: segment => this.#note(segment),
      nextSegmentId: () => this.#disk.words.takeSegmentId(),
      image: id => {
        const slot = this.#slot as SegmentSlot;
        slot.name(id);
        return slot.image;
      },
    });
    return this.#store;
  }
}

function sizeOf(ops: readonly LogOp[]): number {
  return frameBytes({ lsn: 0, shard: 0, epoch: 0, ops });
}
