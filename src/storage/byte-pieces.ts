// Memory for small byte arrays that belong to whoever they are handed to. They lie side by side in pieces of 8 KiB, as Node's small
// Buffers do: an ArrayBuffer of its own for each costs more than what is done with it (1 KiB: 1.4 us with its garbage collection,
// against 0.2), and every put and get makes some.
//
// A plain Uint8Array comes out, so slice() is a copy. Its buffer holds neighbours: whoever needs one alone copies.
//
// Invariant: no byte is ever in two arrays.

const pieceBytes: number = 8 << 10;
/** Larger ones would leave too much of a piece unused. */
const sharedBytesMax: number = pieceBytes / 4;
const alignment = 8;

let piece: Uint8Array = new Uint8Array(pieceBytes);
let used = 0;

/** Zeroed. */
export function newBytes(bytes: number): Uint8Array {
  // V8 keeps the smallest in its own heap.
  if (bytes > sharedBytesMax || bytes <= 64) return new Uint8Array(bytes);
  if (used + bytes > pieceBytes) {
    piece = new Uint8Array(pieceBytes);
    used = 0;
  }
  const at = used;
  used = (used + bytes + alignment - 1) & -alignment;
  return piece.subarray(at, at + bytes);
}
