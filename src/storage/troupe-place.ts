// Types alone.

import type { RunPart } from './troupe-runs-store.ts';

/** What the engine knows of a shard. */
export interface TroupePlace {
  /** In the manifest; 0 while nothing was ever written. */
  number: number;
  /** The highest epoch that has written. */
  fence: number;
  /** Newest first. */
  runs: readonly RunPart[];
  /** The generation of the manifest that this was read from; -1: never. */
  seen: number;
}
