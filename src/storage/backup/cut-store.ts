// One moment of all a node stores, taken in a single turn of the event loop while every thread goes on writing.
//
//     lsn ── manifest ── snapshot of LMDB ── lsn again: has anybody taken a number meanwhile? again      microseconds
//     then, at leisure:  segments: their groups below the lsn     runs: their files, which are held     LMDB: the snapshot
//
// Nobody is asked to stop, and no log is sealed. What a client was told before the moment has a lower number and was shown to readers
// before it was told, so it is in a segment or in a run; what rests on something that is not in the cut has a higher number. A
// segment is pinned: its bytes stay until they are copied, also when its run is named meanwhile.
//
// On the thread that does the upkeep, and nowhere else: only there no segment can be given up in this turn.
//
// Invariant: every group that anybody could read at that moment is in the cut, and none with a number from `lsn` on; of LMDB what was
// committed, and nothing else.

import { join } from 'node:path';
import { backupPieceBytes, cutTriesMax } from '../../limits.ts';
import type { LmdbStore } from '../lmdb-store.ts';
import { encodeHeader, sealBytes, segmentHeaderBytes, segmentSeed, writeSeal } from '../log/log-frame.ts';
import { fileOf } from '../log/log-names.ts';
import { endBelow } from '../log/log-scan.ts';
import type { SegmentSlot } from '../segment-slot.ts';
import { logNameOf } from '../troupe-log-store.ts';
import type { Upkeep } from '../upkeep-store.ts';
import type { Cut, CutSegment } from './cut.ts';

export function cutLmdb(small: LmdbStore): Cut {
  const lmdb = small.image();
  return { lsn: 0, lmdb, troupe: undefined, release: () => lmdb.end() };
}

export function cutBoth(upkeep: Upkeep, small: LmdbStore): Cut {
  const { disk, dir } = upkeep.seams;
  const give = upkeep.hold();
  try {
    const { lsn, lmdb, state } = momentOf(upkeep, small);
    const segments = disk.slots.filter(slot => slot.isLive).map(slot => segmentOf(slot, lsn, upkeep));
    const filled = segments.filter(segment => segment !== undefined).sort((a, b) => a.id - b.id);
    const release = (): void => {
      lmdb.end();
      for (const segment of filled) segment.release();
      give();
    };
    return { lsn, lmdb, troupe: { runDir: join(dir, 'runs'), state, segments: filled }, release };
  } catch (why) {
    give();
    throw why;
  }
}

/** In the last resort a moment that is some microseconds long: then a write in it may be without what it rests on in LMDB. */
function momentOf({ seams: { disk, manifest } }: Upkeep, small: LmdbStore) {
  for (let tries = 1; ; tries++) {
    const { lsn } = disk.words;
    manifest.refresh();
    const state = manifest.state();
    const lmdb = small.image();
    if (disk.words.lsn === lsn || tries === cutTriesMax) return { lsn, lmdb, state };
    lmdb.end();
  }
}

/** Undefined when nothing in it is below the lsn. */
function segmentOf(slot: SegmentSlot, lsn: number, { seams: { crc } }: Upkeep): CutSegment | undefined {
  const { id, image, log } = slot;
  const all = slot.end;
  // Asked in this order: what is up to `all` is not newer than `newest`.
  const { newest } = slot;
  const { end, lsnMax } = newest < lsn ? { end: all, lsnMax: newest } : endBelow(image, all, lsn);
  if (end <= segmentHeaderBytes) return undefined;
  // As thread 0, which is the one we are on: should the process live on, it gives back what it has taken.
  slot.pin(0);
  let pinned = true;
  return {
    id,
    file: fileOf(logNameOf(log), id, 'log'),
    bytes: end + sealBytes,
    *pieces() {
      yield encodeHeader(crc, { id, previous: 0, log: logNameOf(log) });
      for (let at = segmentHeaderBytes; at < end; at += backupPieceBytes)
        yield image.subarray(at, Math.min(end, at + backupPieceBytes));
      const seal = new Uint8Array(sealBytes);
      writeSeal(seal, 0, lsnMax, { seed: segmentSeed(crc, id), durable: end }, crc);
      yield seal;
    },
    release() {
      if (pinned) slot.unpin(0);
      pinned = false;
    },
  };
}
