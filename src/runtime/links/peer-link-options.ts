// What a link between processes is made of, and what it writes to.

import type { OnFrame } from '../link.ts';
import type { Crc32 } from './packet.ts';

export interface PeerLinkOptions {
  /** What the reader is told about where its frames come from. */
  readonly from: number;
  readonly onFrame: OnFrame;
  readonly crc32: Crc32;
  /** Runs fn when the turn of the event loop ends. */
  soon(fn: () => void): void;
  /** Runs fn after ackDelayMs. Left out: no acknowledgement waits for data to go with. */
  later?(fn: () => void): void;
  /** Bytes that may be unacknowledged, and that are held for a paused reader. */
  readonly bytesMax?: number;
}

/** The stream of the moment: false from write means that it wants no more until writable() is called. */
export interface LinkStream {
  write(bytes: Uint8Array): boolean;
}
