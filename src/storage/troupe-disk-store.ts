// Opening the directory of the troupe engine, and reading what an earlier life has left in its logs.
//
//     dir/manifest   which shards and runs there are        dir/log   segments        dir/runs   sorted tables
//
//     segments of an earlier life ─▶ slots, with their indexes: readable at once, flushed when there is time
//                                 └─▶ more than there are slots, and those of dropped shards: flushed first
//
// Invariant: when ready resolves, every record that was acknowledged to an earlier life is in a slot or in a run, and new numbers are
// above all that were ever given out.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { isTroupeError, type TroupeCode } from '../errors.ts';
import { diskFreeLowWater } from '../limits.ts';
import type { Crc32 } from './crc32.ts';
import type { EngineOptions } from './engine.ts';
import { readLogs } from './log/log-recovery-store.ts';
import { epochAt, lsnAt, opsOf, shardAt } from './log/log-scan.ts';
import type { Segment } from './log/log-segment.ts';
import { shardSeed } from './record.ts';
import { ManifestStore } from './runs/manifest-store.ts';
import { sweep } from './runs/sweep-store.ts';
import { hashOf, type SegmentSlot } from './segment-slot.ts';
import { createSharedDisk, SharedDisk, type SharedDiskMemory } from './shared-disk.ts';
import { loggedOf, logIdOf } from './troupe-log-store.ts';
import { importOf } from './troupe-runs-store.ts';
import { Upkeep } from './upkeep-store.ts';

export interface TroupeDiskOptions extends Omit<EngineOptions, 'kind' | 'onFatal'> {
  readonly dir: string;
  readonly crc: Crc32;
  readonly segmentBytes?: number | undefined;
  readonly free?: (() => number) | undefined;
  readonly onFatal: (why: Error) => void;
}

export interface TroupeDisk {
  readonly memory: SharedDiskMemory;
  readonly disk: SharedDisk;
  readonly manifest: ManifestStore;
  /** Of the first thread alone. */
  readonly upkeep: Upkeep | undefined;
  readonly ready: Promise<void>;
}

/** Whose manifest it is: that of the directory. Copies of a whole data directory are told apart above (node-file.ts). */
const owner = 'troupe';

export function openTroupeDisk(options: TroupeDiskOptions): TroupeDisk {
  const { dir, memory: given, writers = 1, segmentBytes, onFatal, free, freeLowWater = diskFreeLowWater } = options;
  for (const part of ['log', 'runs']) mkdirSync(join(dir, part), { recursive: true });
  const manifest = new ManifestStore({ dir: join(dir, 'manifest'), owner, onFatal, free, freeLowWater });
  const memory = given ?? createSharedDisk(writers, segmentBytes);
  const disk = new SharedDisk(memory);
  if (given !== undefined) return { memory, disk, manifest, upkeep: undefined, ready: Promise.resolve() };
  const { runJob, crc } = options;
  const upkeep = new Upkeep({ dir, manifest, disk, runJob, crc, lowWater: freeLowWater });
  return { memory, disk, manifest, upkeep, ready: begin(options, manifest, disk, upkeep) };
}

async function begin({ dir, crc }: TroupeDiskOptions, manifest: ManifestStore, disk: SharedDisk, upkeep: Upkeep) {
  await manifest.begin();
  const halves = [...manifest.state().shards.keys()].filter(name => importOf(name) !== undefined);
  if (halves.length > 0) await manifest.edit({ names: halves.map(name => [name, undefined]) });
  const { names, flushed, logged, runs } = manifest.state();
  sweep(join(dir, 'runs'), manifest.state());
  const recovery = new Recovery(disk);
  const found = readLogs({
    dir: join(dir, 'log'),
    crc,
    seedOf: number => {
      const name = names.get(number);
      return name === undefined ? undefined : shardSeed(crc, name);
    },
    flushed: id => flushed.has(id),
    logged,
    visit: (frame, segment) => recovery.visit(frame, segment),
    read: segment => recovery.read(segment),
  });
  const lsn = Math.max(found.lsnMax, ...runs.map(({ maxLsn }) => maxLsn), 0) + 1;
  disk.words.beginAt(lsn, Math.max(found.idMax, ...flushed, 0) + 1);
  const isNews = ({ id, used }: Segment): boolean => used > (logged.get(id)?.bytes ?? 0);
  const news = new Map(found.segments.filter(isNews).map(segment => [segment.id, loggedOf(segment)]));
  // Without room for it, the next start does it: nothing rests on it, and there is something to read.
  if (flushed.size + news.size > 0)
    await manifest.edit({ forget: [...flushed], logged: news }).catch(unlessCode('DISK_FULL'));
  for (const { id } of found.segments) upkeep.inherit(id);
  await upkeep.flushFiles(recovery.tooMany);
  await upkeep.flushFiles(recovery.empty).catch(unlessCode('DISK_FULL'));
  disk.words.turnGeneration();
}

function unlessCode(code: TroupeCode): (why: unknown) => void {
  return why => {
    if (!isTroupeError(why) || why.code !== code) throw why;
  };
}

/** Puts segments into slots, as they are read. */
class Recovery {
  /** There was no slot for them. */
  readonly tooMany: Segment[] = [];
  /** Of shards that were all dropped: nothing was visited, and a flush finds nothing to keep. */
  readonly empty: Segment[] = [];
  private readonly disk: SharedDisk;
  private slot: SegmentSlot | undefined;
  private segment: Segment | undefined;
  /** As far as the shared words have been told: a word costs more than a Map. */
  private readonly fences = new Map<number, number>();

  constructor(disk: SharedDisk) {
    this.disk = disk;
  }

  visit(frame: number, segment: Segment): void {
    const { image } = segment;
    const shard = shardAt(image, frame);
    const epoch = epochAt(image, frame);
    if (epoch > (this.fences.get(shard) ?? 0)) {
      this.fences.set(shard, epoch);
      this.disk.words.raiseFence(shard, epoch);
    }
    const lsn = lsnAt(image, frame);
    if (this.segment !== segment) this.begin(segment, lsn);
    const { slot } = this;
    if (slot === undefined) return;
    opsOf(image, frame, (at, keyAt, keyEnd) =>
      slot.put(hashOf(shard, image, keyAt, keyEnd), shard, at, keyEnd - keyAt, lsn),
    );
  }

  read(segment: Segment): void {
    if (this.segment !== segment) this.empty.push(segment);
    else if (this.slot === undefined) this.tooMany.push(segment);
    else {
      this.slot.committed(segment.used, segment.lsnMax);
      this.slot.seal();
    }
    segment.release();
  }

  /** Slots are left for those who write: the oldest segments get them, the newest wait in their files. */
  private begin(segment: Segment, lsn: number): void {
    this.segment = segment;
    const free = this.disk.slots.filter(({ state }) => state === 0).length;
    const fits = segment.image.length <= this.disk.segmentBytes && free > this.disk.slots.length / 2;
    this.slot = fits ? this.disk.take(segment.id, logIdOf(segment.log), lsn) : undefined;
    this.slot?.image.set(segment.image);
  }
}
