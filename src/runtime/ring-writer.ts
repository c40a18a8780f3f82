// The writing end of a shared ring: the picture and the invariants are in shared-ring.ts.
//
// Invariant: the tail moves only over frames that are whole, and nothing overtakes the pieces of a large frame.
//
// Hot path: begin, end and a send that finds room allocate nothing and touch one shared cell each way (the tail, the reader's
// bell). What happens without room is cold and below. Watched by test/runtime/ring-speed.ts.

import { TroupeError } from '../errors.ts';
import { frameBytesMax, writableWaitersMax } from '../limits.ts';
import type { LinkWriter } from './link.ts';
import type { MemoryPort } from './memory-port.ts';
import {
  broken,
  checkOf,
  dataCell,
  firstPiece,
  frameBytes,
  headCell,
  headerBytes,
  kindShift,
  lastPiece,
  leadBytes,
  lengthMask,
  middlePiece,
  type RingShape,
  statusBroken,
  statusCell,
  tailCell,
  tooLarge,
  type Waker,
  waitingCell,
  windowOf,
} from './shared-ring.ts';

/** The writer's own thread: it starts to look for answers when it has sent something. */
export interface Home {
  sent: boolean;
  parked: boolean;
  stir(): void;
}

export class RingWriter implements LinkWriter {
  bytes: Uint8Array;
  view: DataView;
  readonly windowMax: number;
  /** Set when the reader closed the ring; from then on everything is refused. */
  error: TroupeError | null = null;

  private port: MemoryPort;
  private salt: number;
  private readonly capacity: number;
  private readonly reader: Waker;
  private readonly home: Home;
  private tail: number;
  /** Free bytes as far as we know; the truth is never less. */
  private room = 0;
  /** Bytes promised by the open window, -1 without one. */
  private window = -1;
  /** True from a refusal until the reader has cleared `waiting`. */
  private blocked = false;
  /** A frame of which pieces are still to be sent, and how much of it has been. */
  private rest: Uint8Array | null = null;
  private restAt = 0;
  private readonly waiters: (() => void)[] = [];
  private frames = 0;
  private sentBytes = 0;
  private refused = 0;
  private pieces = 0;
  private dropped = 0;

  constructor(port: MemoryPort, shape: RingShape, reader: Waker, home: Home) {
    this.port = port;
    this.bytes = port.bytes;
    this.view = port.view;
    this.capacity = shape.capacity;
    this.salt = shape.salt;
    this.windowMax = windowOf(shape.capacity);
    this.reader = reader;
    this.home = home;
    this.tail = port.load(tailCell);
  }

  begin(bytesMax: number): number {
    if (bytesMax > this.windowMax) throw tooLarge(bytesMax, this.windowMax);
    const need = frameBytes(bytesMax);
    if (need > this.room && !this.makeRoom(need)) {
      this.refused++;
      return -1;
    }
    this.window = bytesMax;
    return this.nextAt();
  }

  end(bytes: number): void {
    if (bytes > this.window) throw tooLarge(bytes, this.window);
    this.window = -1;
    if (bytes <= 0) return;
    this.frames++;
    this.sentBytes += bytes;
    this.publish(bytes);
  }

  send(frame: Uint8Array): boolean {
    const length = frame.length;
    if (length > frameBytesMax) throw tooLarge(length, frameBytesMax);
    this.window = -1;
    const need = frameBytes(Math.min(length, this.windowMax));
    if (need > this.room && !this.makeRoom(need)) {
      this.refused++;
      return false;
    }
    this.frames++;
    this.sentBytes += length;
    if (length <= this.windowMax) {
      this.port.copyIn(this.nextAt(), frame, 0, length);
      this.publish(length);
      return true;
    }
    this.pieces++;
    this.rest = frame;
    this.restAt = 0;
    if (!this.pushRest()) this.rest = frame.slice(); // the caller may reuse its bytes as soon as we return
    return true;
  }

  onWritable(fn: () => void): void {
    if (this.waiters.length >= writableWaitersMax) {
      throw new TroupeError('OVERLOADED', `${writableWaitersMax} callers already wait for room on this link`);
    }
    this.waiters.push(fn);
    this.home.stir(); // if the room is there already, nobody will ring: the next poll must find us
  }

  stats(): { frames: number; bytes: number; refused: number; pieces: number; dropped: number } {
    const { frames, sentBytes: bytes, refused, pieces, dropped } = this;
    return { frames, bytes, refused, pieces, dropped };
  }

  /** Bytes published and not yet released by the reader. */
  backlog(): number {
    return (this.tail - this.port.load(headCell)) | 0;
  }

  /** The reader's position: while it does not change, the reader takes nothing. */
  readerAt(): number {
    return this.port.load(headCell);
  }

  /** Anything to do for settle()? Asked by every poll, and once more by a thread that is about to sleep. */
  restless(): boolean {
    if (this.error !== null) return false; // those who wait are told when the peer has been replaced
    if (this.blocked) return this.port.load(waitingCell) === 0;
    return this.waiters.length > 0;
  }

  /** Goes on where a refusal stopped: first the pieces of a large frame, then whoever waits for room. */
  settle(): void {
    this.blocked = false;
    if (this.closed() || (this.rest !== null && !this.pushRest())) return;
    for (let count = this.waiters.length; count > 0; count--) (this.waiters.shift() as () => void)();
  }

  /** Goes on with the fresh ring of a peer that was restarted. What was under way to the dead one is its main thread's to find. */
  attach(port: MemoryPort, salt: number): void {
    this.port = port;
    this.bytes = port.bytes;
    this.view = port.view;
    this.salt = salt;
    this.tail = port.load(tailCell);
    this.room = 0;
    this.window = -1;
    this.blocked = false;
    this.error = null;
    if (this.rest !== null) this.dropped++;
    this.rest = null;
    this.home.stir();
  }

  private nextAt(): number {
    return dataCell * 4 + (this.tail & (this.capacity - 1)) + headerBytes;
  }

  private publish(word: number): void {
    const port = this.port;
    const tail = this.tail;
    const at = dataCell * 4 + (tail & (this.capacity - 1)) + headerBytes;
    const cell = (at >> 2) - 2;
    const step = frameBytes(word & lengthMask);
    port.poke(cell, word);
    port.poke(cell + 1, checkOf(port, at, word, tail, this.salt));
    this.tail = (tail + step) | 0;
    this.room -= step;
    port.store(tailCell, this.tail);
    this.reader.ring();
    const home = this.home;
    home.sent = true;
    if (home.parked) home.stir();
  }

  /** Cold. Pieces go before anything newer; then the frame that was asked for. */
  private makeRoom(need: number): boolean {
    if (this.error !== null) return false;
    if (this.rest !== null && !this.pushRest()) return false;
    return need <= this.room || this.findRoom(need);
  }

  /**
   * Looks where the reader is now. If it has made too little room, leaves a note and looks once more: either we see what
   * it released, or it sees the note after its release. While a large frame waits, room stays 0 and sends come here.
   */
  private findRoom(need: number): boolean {
    if (need <= this.look()) return true;
    this.port.store(waitingCell, 1);
    if (need <= this.look()) {
      this.port.store(waitingCell, 0);
      this.blocked = false;
      return true;
    }
    if (this.closed()) return false;
    this.blocked = true;
    if (this.rest !== null) this.room = 0;
    return false;
  }

  /** A reader that closes the ring says so before it takes our note away, so we see it here or when we are woken. */
  private closed(): boolean {
    if (this.port.load(statusCell) !== statusBroken) return false;
    this.error ??= broken('the reader closed the ring');
    this.room = 0;
    return true;
  }

  private look(): number {
    this.room = this.capacity - ((this.tail - this.port.load(headCell)) | 0);
    return this.room;
  }

  /** True when the last piece is out. */
  private pushRest(): boolean {
    const rest = this.rest as Uint8Array;
    while (this.restAt < rest.length) {
      const lead = this.restAt === 0 ? leadBytes : 0;
      const count = Math.min(this.windowMax - lead, rest.length - this.restAt);
      const need = frameBytes(lead + count);
      if (need > this.room && !this.findRoom(need)) return false;
      const at = this.nextAt();
      if (lead > 0) this.port.poke(at >> 2, rest.length);
      this.port.copyIn(at + lead, rest, this.restAt, count);
      this.restAt += count;
      const kind = lead > 0 ? firstPiece : this.restAt === rest.length ? lastPiece : middlePiece;
      this.publish((lead + count) | (kind << kindShift));
    }
    this.rest = null;
    return true;
  }
}
