// A pack in pieces, and the pieces as a pack again.
//
// Links are FIFO, so the next piece is the only right one: anything else, a wrong checksum or a changed count means that
// the pack is not what the source sent, and the move is off. Nothing is allocated on the word of the other side; the
// pieces are kept as they come. The checksum is handed in (CRC32 in production), because a core has none of its own.

import { relocatePieceBytes } from '../limits.ts';

export interface Piece {
  readonly index: number;
  /** How many there are; the same in every piece. At least one, an empty pack has one empty piece. */
  readonly count: number;
  readonly bytes: Uint8Array;
  readonly checksum: number;
}

export type Checksum = (bytes: Uint8Array) => number;

/** Views into `bytes`, not copies: leave it alone until the pieces are sent. */
export function cutPieces(bytes: Uint8Array, checksum: Checksum, pieceBytes: number = relocatePieceBytes): Piece[] {
  const count = Math.max(1, Math.ceil(bytes.length / pieceBytes));
  return Array.from({ length: count }, (_, index) => {
    const piece = bytes.subarray(index * pieceBytes, (index + 1) * pieceBytes);
    return { index, count, bytes: piece, checksum: checksum(piece) };
  });
}

/** The pack as one run of bytes again, for a runtime that cannot decode it piece by piece. */
export function joinPieces(pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let offset = 0;
  for (const piece of pieces) {
    whole.set(piece, offset);
    offset += piece.length;
  }
  return whole;
}

export class Assembly {
  readonly pieces: Uint8Array[] = [];
  readonly #checksum: Checksum;
  readonly #piecesMax: number;
  #count = 0;

  constructor(checksum: Checksum, piecesMax: number) {
    this.#checksum = checksum;
    this.#piecesMax = piecesMax;
  }

  /** 'damaged' is final: the caller gives the assembly up. */
  add(piece: Piece): 'more' | 'whole' | 'damaged' {
    if (this.#count === 0) this.#count = piece.count;
    const fits = piece.count === this.#count && piece.count <= this.#piecesMax && piece.index === this.pieces.length;
    if (!fits || piece.index >= piece.count || this.#checksum(piece.bytes) !== piece.checksum) return 'damaged';
    this.pieces.push(piece.bytes);
    return this.pieces.length === this.#count ? 'whole' : 'more';
  }

  describe(): { received: number; count: number } {
    return { received: this.pieces.length, count: this.#count };
  }
}
