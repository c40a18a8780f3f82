// What becomes of the frames of a session that has ended: those that a stream was given may have arrived, the others have not.

import { framesIn, kindFrames } from './packet.ts';

export interface Remains {
  /** Written to a stream and not acknowledged: they may have arrived. */
  readonly unknown: Uint8Array[];
  /** Never complete on any stream: nobody has seen them. */
  readonly unsent: Uint8Array[];
}

/** A packet that is kept until it is acknowledged. */
export interface Packet {
  readonly kind: number;
  readonly bytes: Uint8Array;
  /** Bytes of the session up to its end. */
  readonly upTo: number;
  /** Of the last piece of a large frame: the frame. */
  readonly whole: Uint8Array | undefined;
  written: boolean;
}

/** `rest`: a large frame of which not all pieces have been made. */
export function remainsOf(packets: readonly Packet[], rest: Uint8Array | null): Remains {
  const remains: Remains = { unknown: [], unsent: [] };
  for (const { kind, bytes, whole, written } of packets) {
    const to = written ? remains.unknown : remains.unsent;
    if (kind === kindFrames) to.push(...framesIn(bytes));
    else if (whole !== undefined) to.push(whole);
  }
  if (rest !== null) remains.unsent.push(rest);
  return remains;
}
