// What a log is given, and what it says of an append.

import type { Crc32 } from '../crc32.ts';
import type { LogFiles } from './log-files-store.ts';
import type { Segment } from './log-segment.ts';
import type { SyncHere } from './sync-here.ts';

export interface LogOptions {
  readonly dir: string;
  /** Not shared with any other log in the directory that is open. */
  readonly name: string;
  /** Rises, over all logs of the directory and all their lives: above what readLogs found, and above what the manifest knows. */
  nextSegmentId(): number;
  readonly crc: Crc32;
  readonly segmentBytes?: number;
  readonly sparesMax?: number;
  /** Zeroed memory for a segment. Default its own. */
  image?(id: number, bytes: number): Uint8Array;
  readonly files?: LogFiles;
  /** Whether this thread waits for its syncs itself. Default: never. */
  readonly here?: SyncHere | undefined;
  /** Told once of each segment: so much of it is on the disk, under its name, and so is all that is before it. */
  onDurable?(segment: Segment): void;
}

export interface Appended {
  readonly segment: Segment;
  /** Where the record of each op of each group lies in the segment, in order; -1 for a deletion. */
  readonly records: Int32Array;
}

/** A segment whose file is open: the active one, and those sealed ones that are not on the disk yet. */
export interface OpenSegment {
  readonly segment: Segment;
  readonly fd: number;
  readonly seed: number;
  /** Written to since the last sync of it began. */
  dirty: boolean;
  /** Its name is on the disk. */
  named: boolean;
  /** Where the last mark ends. */
  marked: number;
}
