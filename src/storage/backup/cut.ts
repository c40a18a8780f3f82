// What a cut is: one moment of all a node stores, as the engine hands it to whoever makes a copy. Taken by cut-store.ts.

import type { ManifestState } from '../runs/manifest-format.ts';

export interface CutSegment {
  readonly id: number;
  readonly file: string;
  readonly bytes: number;
  /** The file as it would be if the log had been sealed at the moment of the cut. */
  pieces(): Iterable<Uint8Array>;
  /** Gives the memory back. */
  release(): void;
}

export interface TroupeCut {
  readonly runDir: string;
  readonly state: ManifestState;
  /** The oldest first: writers may be waiting for it. */
  readonly segments: readonly CutSegment[];
}

export interface Cut {
  readonly lsn: number;
  /** A snapshot; lmdb-copy-store.ts knows what to do with it. Types that users see must not lead to those of lmdb-js. */
  readonly lmdb: object;
  readonly troupe: TroupeCut | undefined;
  /** Everything is given back, whatever was used of it. */
  release(): void;
}
