// Whether the frames of a segment may end where they end: what the segments behind it in the same log say.
//
//     23 [ frames | bad ...    24 [ durable 0 | durable 0 ...        23 is torn: 24 was begun before it was on the disk,
//                                                                    and counts for nothing
//     23 [ frames | bad ...    24 [ durable 0 | durable 4,096 ...    24 saw 23 on the disk as a whole: 23 is damaged
//     23 [ frames | bad ...    25, which comes behind 24 [ ...       25 is not begun before 23 is on the disk: damaged
//
// And what the manifest remembers: a segment is told to it when its beginning is on the disk, and so is everything before it in its log.
//
// A segment that is missing says nothing here: it was recycled after its run was named, so everything in it is in a run, or the
// manifest remembers it.

import type { ReadHeader } from './log-frame.ts';
import type { LoggedSegment } from './log-names.ts';
import type { ScanEnd } from './log-scan.ts';

/** A segment as far as its neighbours are concerned. */
export interface Neighbour {
  readonly id: number;
  readonly header: ReadHeader;
  readonly scan: ScanEnd;
}

/** The manifest has heard of more than there is: of this segment, or of one behind it. */
export function endsTooSoon(
  id: number,
  { end }: ScanEnd,
  later: readonly { readonly id: number }[],
  logged: ReadonlyMap<number, LoggedSegment> | undefined,
): boolean {
  return end < (logged?.get(id)?.bytes ?? 0) || later.some(neighbour => logged?.has(neighbour.id));
}

/** One of the later segments knows that the segment `id` was on the disk from its first byte to its seal. */
export function provenWhole(id: number, later: readonly Neighbour[]): boolean {
  return later.some(neighbour => {
    const { header, scan } = neighbour;
    if (scan.groups === 0 && !scan.more) return false;
    if (scan.durableMax > 0) return true;
    // Its header may not have got to the disk: then it is missing, or that of the file's earlier life.
    return header.type === 'ok' && header.header.id === neighbour.id && header.header.previous !== id;
  });
}
