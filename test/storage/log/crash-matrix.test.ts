// A whole data directory in small, on a disk that loses power: two threads' logs as the engine drives them, a manifest, flushes, and
// starts that are cut off themselves. In every life kill -9 or a power loss at any call; afterwards everything that was acknowledged is
// there, and a start is refused exactly when somebody has taken a file away. CRASH_SEEDS=500 for more than a default run has time for.

import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { crc32 } from '../../../src/storage/crc32.ts';
import type { Ack } from '../../../src/storage/engine.ts';
import type { LogOp } from '../../../src/storage/log/log-frame.ts';
import { type LoggedSegment, parseFile } from '../../../src/storage/log/log-names.ts';
import { type RecoveredLogs, readLogs } from '../../../src/storage/log/log-recovery-store.ts';
import { frameAt, scanFrames } from '../../../src/storage/log/log-scan.ts';
import { type SegmentSlot, slotState } from '../../../src/storage/segment-slot.ts';
import { createSharedDisk, SharedDisk, type SharedDiskMemory } from '../../../src/storage/shared-disk.ts';
import { loggedOf, TroupeLog } from '../../../src/storage/troupe-log-store.ts';
import { chances, op, plain, seedOf } from './groups.ts';
import { SimDisk } from './sim-disk.ts';

const seeds = Number(process.env.CRASH_SEEDS ?? 50);
const lives = 4;
const dir = '/log';
const segmentBytes = 4_096 + 2_048;
/** Of two threads: made once, used again by every life, as the words and slots of a process are its own. */
const memory: SharedDiskMemory = createSharedDisk(2, segmentBytes);

interface Written {
  readonly ops: readonly LogOp[];
  /** What its writer was told, if anything. */
  ack?: Ack;
}

const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve));

class Directory {
  readonly disk = new SimDisk();
  readonly chance: () => number;
  readonly written = new Map<number, Written>();
  /** The manifest: durable as soon as an edit is made. Runs are what they hold, by lsn. */
  readonly runs = new Map<number, readonly LogOp[]>();
  readonly flushed = new Set<number>();
  readonly logged = new Map<number, LoggedSegment>();
  /** Segments of earlier lives, and what is in them. */
  inherited = new Map<string, ReadonlyMap<number, readonly LogOp[]>>();
  #shared = new SharedDisk(memory);
  #isOver = false;
  readonly #flushedShare: number;

  constructor(seed: number) {
    this.chance = chances(seed);
    this.#flushedShare = seed % 2 === 0 ? 0.4 : 0.05;
  }

  // A life.

  /** Until the disk is gone, or everybody has written enough. */
  async live(calls: number): Promise<void> {
    const { disk } = this;
    disk.callsLeft = calls;
    this.#isOver = false;
    const logs = [0, 1].map(thread => this.#open(thread));
    const upkeep = this.#keepUp();
    await Promise.all(logs.map((log, thread) => this.#write(log, thread)));
    this.#isOver = true;
    await upkeep;
    disk.release();
    for (const log of logs) await log.close().catch(why => this.#expectOff(why));
    await turn();
  }

  #open(thread: number): TroupeLog {
    return new TroupeLog({
      dir,
      thread,
      disk: this.#shared,
      crc: crc32,
      files: this.disk,
      note: segments => this.#note(segments),
      roomToFlush: () => undefined,
    });
  }

  /** As LMDB does it: at some later moment, whole, unless the process is dead by then. */
  async #note(segments: ReadonlyMap<number, LoggedSegment>): Promise<void> {
    for (let turns = Math.floor(this.chance() * 6); turns > 0; turns--) await turn();
    if (this.disk.callsLeft <= 0) throw new Error('power lost');
    for (const [id, segment] of segments) if (!this.flushed.has(id)) this.logged.set(id, segment);
  }

  /** Groups of a shard that only this thread writes; each is acknowledged as the engine does it. */
  async #write(log: TroupeLog, thread: number): Promise<void> {
    const { words } = this.#shared;
    try {
      for (let n = 0; n < 60; n++) {
        const shard = 1 + thread;
        const ops = Array.from({ length: 1 + Math.floor(this.chance() * 3) }, () => {
          const key = `k${Math.floor(this.chance() * 10)}`;
          return op(shard, 1, key, this.chance() < 0.2 ? undefined : new Uint8Array(60).fill(this.chance() * 256));
        });
        if (!log.fits(ops)) expect(await log.next()).toBeUndefined();
        log.stage({ number: shard, epoch: 1, ops });
        const group: Written = { ops };
        this.written.set(words.lsn, group);
        log.write();
        const isFlushed = this.chance() < this.#flushedShare;
        if (isFlushed) await log.sync();
        log.publish();
        // The dead tell nobody anything.
        if (this.disk.callsLeft > 0) group.ack = isFlushed ? 'flushed' : 'committed';
        if (this.chance() < 0.2) await turn();
        if (this.chance() < 0.2) log.mark();
        if (this.chance() < 0.05) await log.seal();
      }
    } catch (why) {
      this.#expectOff(why);
    }
  }

  /** Segments become runs: the edit of the manifest first, then slot and file are given up. */
  async #keepUp(): Promise<void> {
    const isSealed = ({ state }: SegmentSlot): boolean => state === slotState.sealed;
    const { disk } = this;
    while (!this.#isOver) {
      await turn();
      // Syncs that take long enough for the writers to run ahead of them.
      if (this.chance() < 0.1) disk.hold();
      else if (this.chance() < 0.3) disk.release();
      const [slot] = this.#shared.slots.filter(isSealed).sort((a, b) => a.id - b.id);
      if (slot !== undefined && this.chance() < 0.5) {
        const groups = groupsOf(slot.image, slot.id);
        for (let turns = Math.floor(this.chance() * 4); turns > 0; turns--) await turn();
        // A dead process edits nothing; but writers that wait here must see its end.
        if (disk.callsLeft > 0) this.#name(slot.id, groups);
        slot.flushed();
        this.#shared.words.turnGeneration();
      }
      const [old] = this.inherited;
      if (old === undefined || this.chance() < 0.8 || disk.callsLeft <= 0) continue;
      const [file, groups] = old;
      this.inherited.delete(file);
      this.#name(parseFile(file)?.id as number, groups);
      await turn();
      try {
        disk.unlink(join(dir, file));
      } catch (why) {
        this.#expectOff(why);
      }
    }
  }

  #name(id: number, groups: ReadonlyMap<number, readonly LogOp[]>): void {
    for (const [lsn, ops] of groups) this.runs.set(lsn, ops);
    this.flushed.add(id);
    this.logged.delete(id);
  }

  #expectOff(why: unknown): void {
    const { code, cause } = why as { code?: string; cause?: { code?: string } };
    expect([code, cause?.code, String(why)]).toContain('power lost');
  }

  // A start.

  start(kept: Ack): void {
    this.#missAny();
    const found = new Map<number, readonly LogOp[]>();
    const groups = new Map<string, Map<number, readonly LogOp[]>>();
    const { segments, lsnMax, idMax }: RecoveredLogs = readLogs({
      dir,
      crc: crc32,
      files: this.disk,
      seedOf,
      logged: this.logged,
      flushed: id => this.flushed.has(id),
      visit: (at, { image, path }) => {
        const { lsn, ops } = plain(frameAt(image, at));
        found.set(lsn, ops);
        const file = path.slice(dir.length + 1);
        groups.set(file, (groups.get(file) ?? new Map()).set(lsn, ops));
      },
    });
    for (const [lsn, { ops, ack }] of this.written) {
      const there = found.get(lsn) ?? this.runs.get(lsn);
      if (there !== undefined) expect([lsn, there]).toEqual([lsn, ops]);
      else if (ack === 'flushed' || ack === kept) expect.fail(`${lsn} was acknowledged as ${ack} and is not there`);
      else this.written.delete(lsn);
    }
    // What is found now stays: a start has it on the disk.
    for (const group of this.written.values()) group.ack = 'flushed';
    this.inherited = groups;
    const next = Math.max(lsnMax, ...this.runs.keys(), 0) + 1;
    this.#shared = new SharedDisk(memory);
    for (const { memory: slot } of this.#shared.slots) new Int32Array(slot, 0, 64).fill(0);
    this.#shared.words.beginAt(next, Math.max(idMax, ...this.flushed, 0) + 1);
    // One edit of the manifest, or none if the start ends here.
    if (this.chance() < 0.2) return;
    this.flushed.clear();
    for (const segment of segments) this.logged.set(segment.id, loggedOf(segment));
  }

  /** What is flushed is in a run, or in a file that would be missed. */
  #missAny(): void {
    const { disk } = this;
    for (const file of disk.list(dir)) {
      const name = parseFile(file);
      if (name?.kind !== 'log' || this.flushed.has(name.id)) continue;
      const groups = groupsOf(disk.read(join(dir, file)), name.id);
      const isPromised = [...groups.keys()].some(lsn => this.written.get(lsn)?.ack === 'flushed');
      const isOfThisLife = !this.inherited.has(file);
      if (isPromised && isOfThisLife) expect([file, this.logged.has(name.id)]).toEqual([file, true]);
      if (!this.logged.has(name.id)) continue;
      const putBack = disk.takeAway(join(dir, file));
      expect(() =>
        readLogs({
          dir,
          crc: crc32,
          files: disk,
          seedOf,
          logged: this.logged,
          flushed: id => this.flushed.has(id),
          visit: () => {},
        }),
      ).toThrow(
        expect.objectContaining({ code: 'CORRUPT', details: expect.objectContaining({ file, files: [file] }) }),
      );
      putBack();
      missed++;
    }
  }
}

let missed = 0;
let flushes = 0;

function groupsOf(image: Uint8Array, segment: number): Map<number, readonly LogOp[]> {
  const groups = new Map<number, readonly LogOp[]>();
  scanFrames(image, { segment, crc: crc32, seedOf }, at => {
    const { lsn, ops } = plain(frameAt(image, at));
    groups.set(lsn, ops);
  });
  return groups;
}

describe('a directory whose process is killed or whose power goes', () => {
  it.each(Array.from({ length: seeds }, (_, index) => index + 1))(
    'has everything that was acknowledged, and misses what is taken away (seed %i)',
    async seed => {
      const directory = new Directory(seed);
      const { disk, chance } = directory;
      directory.start('flushed');
      for (let life = 0; life < lives; life++) {
        await directory.live(chance() < 0.1 ? Number.POSITIVE_INFINITY : Math.floor(chance() * 300));
        let kept: Ack = 'committed';
        if (chance() < 0.5) disk.kill();
        else {
          disk.powerLoss(chance);
          kept = 'flushed';
        }
        // A start that is cut off, once or twice, and the one that is not.
        for (let tries = Math.floor(chance() * 3); tries > 0; tries--) {
          disk.callsLeft = Math.floor(chance() * 8);
          try {
            directory.start(kept);
            break;
          } catch (why) {
            expect(why).toMatchObject({ code: 'power lost' });
          }
          if (chance() < 0.5) disk.kill();
          else {
            disk.powerLoss(chance);
            kept = 'flushed';
          }
        }
        disk.callsLeft = Number.POSITIVE_INFINITY;
        directory.start(kept);
      }
      flushes += directory.runs.size;
    },
  );

  it('has had files taken away, and segments in runs', () => {
    expect(missed).toBeGreaterThan(seeds);
    expect(flushes).toBeGreaterThan(20 * seeds);
  });
});
