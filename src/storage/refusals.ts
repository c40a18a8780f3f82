// What the engines say no with, in one place, so that all of them say it in the same words and with the same details.

import { describeThrown, TroupeError } from '../errors.ts';
import { showKey } from './key.ts';

export function stopped(): TroupeError {
  return new TroupeError('STOPPED', 'The storage engine is closed.');
}

export function crashed(): TroupeError {
  return new TroupeError('STOPPED', 'The store crashed before this was durable.');
}

/** `seen` is the epoch that stands in the way, where it is known. */
export function fenced(shard: string, epoch: number, seen: number | undefined): TroupeError {
  const who = seen === undefined ? 'A higher epoch' : `Epoch ${seen}`;
  return new TroupeError('FENCED', `${who} has written to shard ${shard}; epoch ${epoch} may not any more.`, {
    details: { shard, epoch, seen: seen ?? null },
  });
}

/** What the system says when there is no room, on the disk or for this user. */
export function isDiskFull(why: unknown): boolean {
  const { code } = describeThrown(why);
  return code === 'ENOSPC' || code === 'EDQUOT';
}

export function diskFull(free: number, wanted: number): TroupeError {
  return new TroupeError('DISK_FULL', `The disk has ${free} bytes free; storing more needs ${wanted}.`, {
    details: { free, wanted },
  });
}

export function corrupt(shard: string, key: Uint8Array, reason: string): TroupeError {
  return new TroupeError('CORRUPT', `The record ${showKey(key)} of shard ${shard} is damaged: ${reason}.`, {
    details: { shard, key: showKey(key), reason },
  });
}

/** The same refusal, for a group that was handed in behind the refused one. */
export function restsOn(why: TroupeError): TroupeError {
  return new TroupeError(why.code, `A group before this one was refused: ${why.message}`, { details: why.details });
}
