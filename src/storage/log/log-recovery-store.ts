// What an earlier life has left in the log, read before this one writes anything.
//
// For each log, oldest segment first: a segment is read up to its seal. Where there is none the frames end in a torn tail (of
// the crash: cut, by a seal of our own) or in a hole (damage: refused, a person has to decide). What comes behind a torn tail was
// never promised to anyone, and is removed, the last file first: a crash on the way leaves the same picture with less in it.
//
//     header too new ──> BAD_OPTION, nothing touched            flushed (the manifest says so) ──> removed unread
//     sealed ──> visited        open, nobody knows better ──> visited, sealed        hole ──> CORRUPT, file and offset
//     logged (the manifest says so) and not there ──> CORRUPT, and the file
//     no groups ──> removed     spares ──> removed: nobody can tell what was written to them
//
// Invariant: when it returns, every segment it returns is sealed and on the disk, and nothing else of the logs is there. So
// whatever is appended from now on comes behind something that cannot be lost any more.

import { join } from 'node:path';
import type { Crc32 } from '../crc32.ts';
import { isDiskFull } from '../refusals.ts';
import { type LogFiles, realFiles } from './log-files-store.ts';
import { type ReadHeader, readHeader, sealBytes, segmentHeaderBytes, segmentSeed, writeSeal } from './log-frame.ts';
import { type LogFileName, type LoggedSegment, parseFile } from './log-names.ts';
import { diskIsFull, hole, refuseNewer, segmentsMissing } from './log-refusals.ts';
import { lsnAt, type ScanEnd, scanFrames } from './log-scan.ts';
import { Segment } from './log-segment.ts';
import { endsTooSoon, provenWhole } from './log-tail.ts';

export interface RecoveryOptions {
  readonly dir: string;
  readonly crc: Crc32;
  /** Only this log, whose thread died while the process goes on: before another one opens a log of that name. Default all. */
  readonly log?: string;
  /** shardSeed() of the shard with this number; undefined when it was dropped. */
  seedOf(shard: number): number | undefined;
  /** True when the manifest names the run of this segment. */
  flushed?(segment: number): boolean;
  /** Where the frame of each group lies in the segment's image, in the order of its log: see log-scan.ts for what it says. */
  visit(frame: number, segment: Segment): void;
  /** After the last group of a segment: whoever does not want its image releases it here. */
  read?(segment: Segment): void;
  readonly files?: LogFiles;
  /** By id: segments that were on the disk, so far as the manifest has heard. */
  readonly logged?: ReadonlyMap<number, LoggedSegment>;
}

/** Where a log was cut. */
export interface Cut {
  readonly file: string;
  readonly at: number;
  readonly reason: string;
}

export interface RecoveredLogs {
  /** Sealed, in the order of their ids within each log; the logs one after the other. */
  readonly segments: readonly Segment[];
  /** The highest lsn in them; 0 without any. */
  readonly lsnMax: number;
  /** The highest id any file here had, spares included; 0 without any. */
  readonly idMax: number;
  readonly cuts: readonly Cut[];
  /** Files that were removed, with groups nobody was promised in them. */
  readonly dropped: readonly string[];
}

export function readLogs(options: RecoveryOptions): RecoveredLogs {
  const { dir, files = realFiles } = options;
  const names = files
    .list(dir)
    .map(parseFile)
    .filter(name => name !== undefined)
    .filter(({ log }) => options.log === undefined || log === options.log)
    .sort((a, b) => a.id - b.id);
  const kept = names.filter(({ kind, id }) => kind === 'log' && !options.flushed?.(id));
  for (const { file } of kept)
    refuseNewer(file, readHeader(files.read(join(dir, file), segmentHeaderBytes), options.crc));
  refuseMissing(options, kept);
  const logs = Map.groupBy(kept, ({ log }) => log);
  const read = [...logs.values()].map(log => new LogReader(options, files).readAll(log));
  // Only now, when nothing of the logs was refused, so that whoever looks into the damage finds all of it.
  for (const name of names) if (!kept.includes(name)) files.unlink(join(dir, name.file));
  if (names.length > 0) files.syncDirNow(dir);
  const segments = read.flatMap(({ segments }) => segments);
  return {
    segments,
    lsnMax: segments.reduce((max, { lsnMax }) => Math.max(max, lsnMax), 0),
    idMax: names.at(-1)?.id ?? 0,
    cuts: read.flatMap(({ cuts }) => cuts),
    dropped: read.flatMap(({ dropped }) => dropped),
  };
}

/** A file may go when its run is named, and when nothing of it was ever on the disk: of those here neither is true. */
function refuseMissing({ dir, logged, flushed, log }: RecoveryOptions, there: readonly LogFileName[]): void {
  const ids = new Set(there.map(({ id }) => id));
  const missing = [...(logged ?? [])].filter(([id, { file }]) => {
    return !ids.has(id) && !flushed?.(id) && (log === undefined || parseFile(file)?.log === log);
  });
  const files = missing.map(([, { file }]) => file).sort();
  if (files.length > 0) throw segmentsMissing(dir, files);
}

class LogReader {
  readonly segments: Segment[] = [];
  readonly cuts: Cut[] = [];
  readonly dropped: string[] = [];
  readonly #options: RecoveryOptions;
  readonly #files: LogFiles;

  constructor(options: RecoveryOptions, files: LogFiles) {
    this.#options = options;
    this.#files = files;
  }

  readAll(log: readonly LogFileName[]): this {
    for (const [index, name] of log.entries()) {
      const { segment, scan } = this.#read(name);
      const later = log.slice(index + 1);
      if (scan.state === 'hole') throw hole(name.file, scan);
      if (scan.state === 'open') {
        if (endsTooSoon(name.id, scan, later, this.#options.logged)) throw hole(name.file, scan, 'The manifest');
        const neighbours = later.map(other => this.#glance(other));
        if (provenWhole(name.id, neighbours)) throw hole(name.file, scan);
        for (const other of later.toReversed()) this.#drop(other, this.#glance(other).scan);
      }
      if (scan.groups > 0) this.#keep(segment, scan, name.file);
      else this.#drop(name, scan);
      if (scan.state === 'open') break;
    }
    return this;
  }

  /** The groups go to the visitor while they are read. */
  #read({ file, id, log }: LogFileName): { segment: Segment; scan: ScanEnd } {
    const { dir, crc, visit } = this.#options;
    const path = join(dir, file);
    const bytes = this.#files.read(path);
    const segment = new Segment(log, id, path, bytes);
    const seedOf = (shard: number): number | undefined => this.#options.seedOf(shard);
    const scan = scanFrames(bytes, { segment: id, crc, seedOf }, frame => {
      const lsn = lsnAt(bytes, frame);
      if (lsn < segment.lsnMin) segment.lsnMin = lsn;
      visit(frame, segment);
    });
    segment.groups = scan.groups;
    segment.lsnMax = scan.lsnMax;
    segment.used = scan.end;
    return { segment, scan };
  }

  /** What a later segment says of those before it. */
  #glance({ file, id }: LogFileName): { id: number; header: ReadHeader; scan: ScanEnd } {
    const { dir, crc } = this.#options;
    const bytes = this.#files.read(join(dir, file));
    const scan = scanFrames(bytes, { segment: id, crc, seedOf: () => undefined }, () => {});
    return { id, header: readHeader(bytes, crc), scan };
  }

  #keep(segment: Segment, scan: ScanEnd, file: string): void {
    const fd = this.#files.open(segment.path, false);
    try {
      // A process that was killed may have left it to the page cache.
      this.#files.fdatasyncNow(fd);
      if (scan.state === 'open') {
        this.#seal(fd, segment);
        this.cuts.push({ file, at: scan.end, reason: scan.reason });
      }
    } finally {
      this.#files.close(fd);
    }
    segment.durable = segment.used;
    segment.sealed = true;
    segment.trim();
    this.segments.push(segment);
    this.#options.read?.(segment);
  }

  #seal(fd: number, { log, id, used, lsnMax }: Segment): void {
    const { crc } = this.#options;
    const seal = new Uint8Array(sealBytes);
    writeSeal(seal, 0, lsnMax, { seed: segmentSeed(crc, id), durable: used }, crc);
    try {
      this.#files.pwrite(fd, seal, used);
      this.#files.fdatasyncNow(fd);
    } catch (why) {
      // Only in a file that was still growing, and only at the end of a block. Without the seal nothing may be written behind it.
      throw isDiskFull(why) ? diskIsFull(log, sealBytes, why) : why;
    }
  }

  #drop({ file }: LogFileName, { groups, more }: ScanEnd): void {
    this.#files.unlink(join(this.#options.dir, file));
    this.#files.syncDirNow(this.#options.dir);
    if (groups > 0 || more) this.dropped.push(file);
  }
}
