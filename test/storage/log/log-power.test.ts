// Power that goes at every moment of a log's life, over several lives, on a disk that keeps any part of what was not synced.

import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { crc32 } from '../../../src/storage/crc32.ts';
import type { LogGroup } from '../../../src/storage/log/log-frame.ts';
import type { LoggedSegment } from '../../../src/storage/log/log-names.ts';
import { readLogs } from '../../../src/storage/log/log-recovery-store.ts';
import { frameAt } from '../../../src/storage/log/log-scan.ts';
import type { Segment } from '../../../src/storage/log/log-segment.ts';
import { LogStore } from '../../../src/storage/log/log-store.ts';
import { SyncHere } from '../../../src/storage/log/sync-here.ts';
import { loggedOf } from '../../../src/storage/troupe-log-store.ts';
import { chances, plain, randomGroup, seedOf } from './groups.ts';
import { SimDisk } from './sim-disk.ts';

const dir = '/log';
const segmentBytes = 4_096 + 1_536;

/** A log, and what its users were told. */
class Story {
  readonly disk = new SimDisk();
  readonly #chance: () => number;
  /** All groups that are or may be there, by lsn. */
  #written = new Map<number, LogGroup>();
  #committed = 0;
  #flushed = 0;
  /** Segments whose runs are named, and what is in those runs. */
  readonly #named = new Set<number>();
  readonly #runs = new Map<number, LogGroup>();
  /** Segments the manifest remembers, and those it is still to be told of: the process may end before it is. */
  readonly #logged = new Map<number, LoggedSegment>();
  #untold: Segment[] = [];
  #bySegment = new Map<number, LogGroup[]>();
  #lsn = 0;
  #id = 0;
  #idBefore = 0;

  /** Whether the manifest still knows which segments it has the runs of. Recovery has to be right without, too. */
  readonly #remembers: boolean;
  readonly #syncsHere: boolean;

  constructor(seed: number) {
    this.#chance = chances(seed);
    this.#remembers = seed % 2 === 0;
    this.#syncsHere = seed % 4 < 2;
  }

  /** Writes, syncs, rolls and recycles until something throws or `steps` are done. */
  async live(steps: number): Promise<void> {
    const log = this.#open();
    this.#idBefore = this.#id;
    const background: Promise<unknown>[] = [];
    try {
      if (this.#chance() < 0.5) await log.prepare();
      for (let step = 0; step < steps; step++) await this.#step(log, background);
      await Promise.all(background);
      if (this.#chance() < 0.5) {
        await log.close();
        this.#tell();
        this.#flushed = this.#committed;
      }
    } catch (why) {
      const { code, cause } = why as { code: string; cause?: { code: string } };
      expect(code === 'STOPPED' ? cause?.code : code).toBe('power lost');
    }
    await Promise.allSettled(background);
    // An edit may have been on its way.
    if (this.#chance() < 0.5) this.#tell();
    this.#untold = [];
  }

  /** As the manifest does it: what is in a run is not remembered, whoever comes late. */
  #tell(): void {
    for (const segment of this.#untold.splice(0))
      if (!this.#named.has(segment.id)) this.#logged.set(segment.id, loggedOf(segment));
  }

  async #step(log: LogStore, background: Promise<unknown>[]): Promise<void> {
    const chance = this.#chance;
    const choice = chance();
    if (choice < 0.55) return this.#append(log, chance() < 0.03 ? 3_000 : 120);
    if (choice < 0.75) {
      const covered = this.#committed;
      const done = log.sync().then(() => {
        this.#tell();
        this.#expectRemembered(covered);
        this.#flushed = Math.max(this.#flushed, covered);
      });
      done.catch(() => {});
      if (chance() < 0.5) return done;
      background.push(done);
      return;
    }
    if (choice < 0.77) return log.mark();
    if (choice < 0.81) return log.roll();
    const oldest = log.sealed[0];
    if (choice > 0.9 || !oldest) return new Promise(resolve => setImmediate(resolve));
    // Its run is on the disk and named before the segment goes.
    for (const group of this.#bySegment.get(oldest.id) ?? []) this.#runs.set(group.lsn, group);
    this.#named.add(oldest.id);
    this.#logged.delete(oldest.id);
    const gone = log.recycle(oldest);
    gone.catch(() => {});
    if (chance() < 0.5) return gone;
    background.push(gone);
  }

  #append(log: LogStore, valueBytes: number): void {
    const count = 1 + Math.floor(this.#chance() * 4);
    const groups = Array.from({ length: count }, (_, index) =>
      randomGroup(this.#chance, this.#lsn + 1 + index, 1 + Math.floor(this.#chance() * 2), valueBytes),
    );
    for (const group of groups) this.#written.set(++this.#lsn, plain(group));
    const { segment } = log.append(groups);
    this.#committed = this.#lsn;
    const there = this.#bySegment.get(segment.id) ?? [];
    this.#bySegment.set(segment.id, [...there, ...groups.map(plain)]);
  }

  /** Reads what is left, and holds it against what was promised. `kept`: the least that has to be there. */
  recover(kept: 'committed' | 'flushed'): void {
    const found = new Map<number, LogGroup>();
    let last = 0;
    this.#bySegment = new Map();
    this.#missAny();
    const { idMax, lsnMax, segments } = readLogs({
      dir,
      crc: crc32,
      files: this.disk,
      seedOf,
      flushed: id => this.#remembers && this.#named.has(id),
      logged: this.#logged,
      visit: (frame, segment) => {
        const group = frameAt(segment.image, frame);
        expect(group.lsn).toBeGreaterThan(last);
        last = group.lsn;
        found.set(group.lsn, plain(group));
        for (const { record, recordAt, key } of group.ops) {
          if (record) expect(segment.record(recordAt, key.length)).toEqual(record);
        }
        this.#bySegment.set(segment.id, [...(this.#bySegment.get(segment.id) ?? []), plain(group)]);
      },
    });
    expect(lsnMax).toBe(last);
    const end = Math.max(last, ...this.#runs.keys());
    expect(end).toBeGreaterThanOrEqual(kept === 'committed' ? this.#committed : this.#flushed);
    for (let lsn = 1; lsn <= end; lsn++) {
      expect([lsn, found.get(lsn) ?? this.#runs.get(lsn)]).toEqual([lsn, this.#written.get(lsn)]);
    }
    for (const segment of segments) expect(segment).toMatchObject({ sealed: true, durable: segment.used });
    // The edit that follows a recovery; it may not come to it.
    if (this.#chance() < 0.7) for (const segment of segments) this.#logged.set(segment.id, loggedOf(segment));
    this.#id = Math.max(this.#id === 0 ? 0 : Math.max(0, ...this.#named), idMax);
    this.#lsn = end;
    this.#committed = end;
    this.#flushed = end;
    this.#written = new Map([...this.#written].filter(([lsn]) => lsn <= end));
  }

  /** Whatever of this life is flushed can be missed. */
  #expectRemembered(lsn: number): void {
    for (const [id, [first]] of this.#bySegment) {
      if (id <= this.#idBefore || this.#named.has(id) || (first as LogGroup).lsn > lsn) continue;
      expect([...this.#logged.keys()]).toContain(id);
    }
  }

  /** A file that the manifest remembers is missed when it is taken away, each alone. */
  #missAny(): void {
    const { disk } = this;
    for (const [id, { file }] of this.#logged) {
      const putBack = disk.takeAway(join(dir, file));
      const calls = disk.callsLeft;
      disk.callsLeft = 0;
      const options = { dir, crc: crc32, files: disk, seedOf, logged: this.#logged, visit: () => {} };
      expect(() => readLogs(options), `segment ${id}`).toThrow(/is missing/);
      disk.callsLeft = calls;
      putBack();
    }
  }

  #open(): LogStore {
    const nextSegmentId = (): number => ++this.#id;
    const onDurable = (segment: Segment): void => void this.#untold.push(segment);
    // Half of the stories are of a thread that waits for its syncs itself.
    const here = this.#syncsHere ? new SyncHere(() => 0) : undefined;
    const { disk: files } = this;
    return new LogStore({ dir, name: 'host-1', segmentBytes, nextSegmentId, crc: crc32, files, here, onDurable });
  }

  powerLoss(): void {
    this.disk.powerLoss(this.#chance);
  }
}

async function callsOf(seed: number): Promise<number> {
  const story = new Story(seed);
  await story.live(30);
  return story.disk.calls;
}

describe('a log whose power goes', () => {
  it.each([1, 2, 3, 4, 5, 6, 7, 8])(
    'at any write or sync has everything that was flushed, in order and whole (seed %i)',
    async seed => {
      const calls = await callsOf(seed);
      expect(calls).toBeGreaterThan(20);
      for (let cut = 0; cut <= calls; cut++) {
        const story = new Story(seed);
        story.disk.callsLeft = cut;
        await story.live(30);
        story.powerLoss();
        story.recover('flushed');
        // Again, with half the time: into the next life, and into the recovery before it.
        for (const left of [cut % 23, 11 + (cut % 31)]) {
          story.disk.callsLeft = Number.POSITIVE_INFINITY;
          await story.live(12);
          story.powerLoss();
          story.disk.callsLeft = left % 7;
          try {
            story.recover('flushed');
          } catch (why) {
            expect(why).toMatchObject({ code: 'power lost' });
            story.powerLoss();
            story.recover('flushed');
          }
        }
      }
    },
    60_000,
  );

  it.each([21, 22, 23, 24])('only for the process has everything that was committed (seed %i)', async seed => {
    const calls = await callsOf(seed);
    for (let cut = 0; cut <= calls; cut++) {
      const story = new Story(seed);
      story.disk.callsLeft = cut;
      await story.live(30);
      story.disk.kill();
      story.recover('committed');
      await story.live(10);
      story.powerLoss();
      story.recover('flushed');
    }
  });
});
