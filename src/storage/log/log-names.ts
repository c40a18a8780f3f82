// The names of a log's files. A segment's state is in the file, not in its name: a name that changes would be one more
// thing that a crash can leave between two states.
//
//     host-1-000000000023.log      a segment of log host-1: being written, sealed, or left behind by a crash
//     host-1-000000000017.spare    room for a segment to come; whatever is in it is of no value
//
// Invariant: the number of a file is not lower than the id of any segment it ever held durably, so the highest number in a
// directory is one from which to count on.

import { TroupeError } from '../../errors.ts';
import { logNameCharsMax } from './log-frame.ts';

export interface LogFileName {
  readonly file: string;
  readonly log: string;
  readonly id: number;
  readonly kind: 'log' | 'spare';
}

/** A segment whose file was on the disk, as the manifest remembers it. */
export interface LoggedSegment {
  readonly file: string;
  /** So many bytes of it were on the disk, whole frames. */
  readonly bytes: number;
}

const logNames = /^[a-z0-9][a-z0-9._-]*$/;
const fileNames = /^(.+)-(\d{12,15})\.(log|spare)$/;

export function checkLogName(name: string): void {
  if (logNames.test(name) && name.length <= logNameCharsMax) return;
  throw new TroupeError('BAD_OPTION', `A log is named by 1 to ${logNameCharsMax} of a-z 0-9 . _ -, not by ${name}.`);
}

export function fileOf(log: string, id: number, kind: LogFileName['kind']): string {
  return `${log}-${String(id).padStart(12, '0')}.${kind}`;
}

/** Undefined for a file that is not ours. */
export function parseFile(file: string): LogFileName | undefined {
  const parts = fileNames.exec(file);
  if (!parts) return undefined;
  return { file, log: parts[1] as string, id: Number(parts[2]), kind: parts[3] as LogFileName['kind'] };
}
