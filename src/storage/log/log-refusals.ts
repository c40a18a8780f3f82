// What the log says no with.

import { describeThrown, TroupeError } from '../../errors.ts';
import { logFormat, type ReadHeader, segmentBytesMax } from './log-frame.ts';
import type { ScanEnd } from './log-scan.ts';

/** Nothing was written. The segment there is may still have room for less. */
export function diskIsFull(log: string, wanted: number, cause: unknown): TroupeError {
  return new TroupeError('DISK_FULL', `The disk of log ${log} has no room for ${wanted} bytes.`, {
    cause,
    details: { log, wanted },
  });
}

export function tooLarge(log: string, bytes: number): TroupeError {
  const message = `A batch takes a segment of ${bytes} bytes; those of log ${log} end at ${segmentBytesMax}.`;
  return new TroupeError('TOO_LARGE', message, { details: { log, bytes, bytesMax: segmentBytesMax } });
}

export function logClosed(log: string): TroupeError {
  return new TroupeError('STOPPED', `The log ${log} is closed.`);
}

export function logStopped(log: string, cause: unknown): TroupeError {
  return new TroupeError('STOPPED', `The log ${log} cannot go on: ${describeThrown(cause).message}`, { cause });
}

/** Throws for a segment that a later version of us has written. */
export function refuseNewer(file: string, header: ReadHeader): void {
  if (header.type !== 'newer') return;
  const message = `The log segment ${file} has format ${header.format}; this version knows formats up to ${logFormat}.`;
  throw new TroupeError('BAD_OPTION', message, { details: { file, format: header.format, known: logFormat } });
}

const remedy = 'Put the file back as it was, or restore a backup; `troupe log verify` shows what there is.';

/** `witness`: who knows better. */
export function hole(
  file: string,
  { end, reason }: ScanEnd,
  witness: 'What follows' | 'The manifest' = 'What follows',
): TroupeError {
  const message = `The log segment ${file} is damaged at byte ${end}: ${reason}. ${witness} says that it was on the disk. ${remedy}`;
  return new TroupeError('CORRUPT', message, { details: { file, at: end, reason } });
}

/** Files that were on the disk, and whose records are in no run. */
export function segmentsMissing(dir: string, files: readonly string[]): TroupeError {
  const [file] = files;
  const others = files.length === 1 ? '' : ` and ${files.length - 1} more`;
  const message = `The log segment ${file}${others} of ${dir} is missing. The manifest says that it was on the disk, and no run holds what was in it. ${remedy}`;
  return new TroupeError('CORRUPT', message, { details: { file, files: [...files], dir } });
}
