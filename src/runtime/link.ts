// A link carries frames from one host to another, in order, each whole, none twice. Memory, shared ring, TCP and TLS
// links pass one contract suite, test/runtime/link-contract.ts. A link never drops: when its buffer is full it says so
// and the sender keeps the frame (credit), until `onWritable` says there is room again.
//
// Hot path: a sender asks for a window, encodes straight into it, and publishes what it used. Nothing is allocated.

export interface LinkWriter {
  /** The window handed out by the last begin(). Bytes and their view; offsets are relative to `bytes`. */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Room for a frame of up to `bytesMax` bytes: its first offset (a multiple of 8), or -1 when the link is full. */
  begin(bytesMax: number): number;
  /** Publishes the first `bytes` bytes of the window as one frame and wakes a parked reader. 0 gives the window back. */
  end(bytes: number): void;
  /**
   * A whole frame of any size up to frameBytesMax, copied; in pieces when larger than a window. False when the link is full
   * (nothing was taken); once it is true the frame arrives whole, pieces that did not fit yet are kept and sent in order.
   */
  send(frame: Uint8Array): boolean;
  /** Largest frame begin() can promise. */
  readonly windowMax: number;
  /** Calls fn once, when a begin or send that was refused may succeed. */
  onWritable(fn: () => void): void;
  /** Frames and bytes handed over so far, refusals, frames sent in pieces: for describe(). */
  stats(): { frames: number; bytes: number; refused: number; pieces: number };
}

/** Called for each frame. The bytes are only valid during the call: decode or copy. */
export type OnFrame = (from: number, bytes: Uint8Array, view: DataView, start: number, end: number) => void;
