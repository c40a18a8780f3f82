// A segment of the log as its readers see it: the image of its file in memory. What is appended is encoded right into the
// image and written from there, so memtables keep positions, and a read is a view.
//
// Invariant: the bytes below `used` never change.

import { view } from '../record.ts';
import { recordBytesAt, segmentHeaderBytes } from './log-frame.ts';

export class Segment {
  readonly id: number;
  readonly log: string;
  readonly path: string;
  /** The bytes its file may grow to. */
  readonly bytes: number;
  /** Where the next frame goes, or the seal is. */
  used: number = segmentHeaderBytes;
  /** Up to where it is known to be on the disk. */
  durable: number = segmentHeaderBytes;
  sealed = false;
  groups = 0;
  /** Of its groups; the lowest is Infinity and the highest 0 while there are none. */
  lsnMin: number = Number.POSITIVE_INFINITY;
  lsnMax = 0;
  #image: Uint8Array | undefined;

  constructor(log: string, id: number, path: string, image: Uint8Array) {
    this.log = log;
    this.id = id;
    this.path = path;
    this.bytes = image.length;
    this.#image = image;
  }

  /** Throws when it was released: a position in it has outlived its memtable. */
  get image(): Uint8Array {
    if (this.#image === undefined) throw new Error(`Segment ${this.id} of log ${this.log} was released.`);
    return this.#image;
  }

  /** A view: copy what is kept. */
  read(at: number, bytes: number): Uint8Array {
    return view(this.image, at, at + bytes);
  }

  /** The record at a position that append() gave, of a key of so many bytes. A view. */
  record(recordAt: number, keyBytes: number): Uint8Array {
    const { image } = this;
    return view(image, recordAt, recordAt + recordBytesAt(image, recordAt, keyBytes));
  }

  /** Of a segment that was read from its file: keeps of the image what is used, where that is worth a copy. */
  trim(): void {
    const { image, used } = this;
    if (used < image.length / 2) this.#image = image.slice(0, used);
  }

  /** Lets go of the image. */
  release(): void {
    this.#image = undefined;
  }

  describe(): Record<string, unknown> {
    const { id, bytes, used, durable, sealed, groups, lsnMax } = this;
    return { id, bytes, used, durable, sealed, groups, lsnMax, inMemory: this.#image !== undefined };
  }
}
