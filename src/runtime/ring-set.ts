// All rings of one thread, and when it may sleep. A thread that has just been busy polls its rings; when nothing has come
// for a while it parks on its bell, a cell that every other thread knows. Who publishes a frame (or gives back room that
// somebody waits for) looks at the bell afterwards and rings it only if it says parked.
//
//     the sleeper                                   the publisher
//     bell = parked                                 tail = ...            (or waiting = 0)
//     look at every ring once more                  bell == parked ?  bell: parked -> awake, notify
//     still nothing: wait while bell == parked
//
// Both write first and look second (Dekker), so at least one of the two sees the other: either the sleeper finds the frame
// or the publisher finds the bell. The wait itself is refused if the bell has been rung in between. Of several publishers the
// one whose compare-and-swap wins pays for the notify.
//
// Invariant: a thread that sleeps has nothing to do, or somebody is on the way to notify it. The one exception is a publisher that is
// killed between its store and its notify: whoever reaps a dead thread rings every bell (thread-port.ts, replacePeer).
//
// Pure: sleeping and being called again are the port's and the shell's business. Model-checked together with the rings.

import { ringFramesPerLook, ringFramesPerTurn } from '../limits.ts';
import type { OnFrame } from './link.ts';
import type { MemoryPort } from './memory-port.ts';
import type { RingReader } from './ring-reader.ts';
import type { Home, RingWriter } from './ring-writer.ts';
import type { Waker } from './shared-ring.ts';

const awake = 0;
const parked = 1;

/** The bell of another thread, as publishers see it. */
export class Bell implements Waker {
  private readonly port: MemoryPort;
  private readonly cell: number;

  constructor(port: MemoryPort, cell: number) {
    this.port = port;
    this.cell = cell;
  }

  ring(): void {
    if (this.port.load(this.cell) === parked && this.port.cas(this.cell, parked, awake)) this.port.notify(this.cell);
  }

  /** For the one who reaps: does not believe what the bell says, a dead publisher may have left it half rung. */
  ringAnyway(): void {
    this.port.store(this.cell, awake);
    this.port.notify(this.cell);
  }
}

export interface RingSetHooks {
  readonly onFrame: OnFrame;
  /** The thread was parked and is awake now: poll soon. */
  onAwake(): void;
}

export class RingSet implements Home {
  /** Frames have been sent since someone last set this to false: answers are likely. */
  sent = false;
  parked = false;

  private readonly port: MemoryPort;
  private readonly cell: number;
  private readonly hooks: RingSetHooks;
  private readonly readers: RingReader[] = [];
  private readonly writers: RingWriter[] = [];
  private readonly onBell: () => void;
  /** A wait of ours is still out, perhaps from an earlier sleep; it serves for the next one as well. */
  private waiting = false;
  private next = 0;
  private polling = false;

  constructor(port: MemoryPort, cell: number, hooks: RingSetHooks) {
    this.port = port;
    this.cell = cell;
    this.hooks = hooks;
    this.onBell = () => {
      this.waiting = false;
      this.stir();
    };
  }

  addReader(reader: RingReader): void {
    this.readers.push(reader);
  }

  addWriter(writer: RingWriter): void {
    this.writers.push(writer);
  }

  /** The reader of a restarted peer takes the place of its old one. */
  swapReader(old: RingReader, fresh: RingReader): void {
    this.readers[this.readers.indexOf(old)] = fresh;
    this.stir();
  }

  /**
   * One turn: every ring may hand out a bounded number of frames, and whoever waits for room is told. When `late` says so
   * the turn ends early and the next one begins with the next ring. Returns the frames handed out; 0 when called from a handler.
   */
  poll(framesMax: number, late: () => boolean): number {
    if (this.polling) return 0;
    this.polling = true;
    let total = 0;
    let look = ringFramesPerLook;
    try {
      const count = this.readers.length;
      const first = this.next;
      this.next = count === 0 ? 0 : (first + 1) % count;
      for (let i = 0; i < count && total < framesMax; i++) {
        const at = (first + i) % count;
        total += this.turn(this.readers[at] as RingReader, Math.min(ringFramesPerTurn, framesMax - total), late);
        if (total < look) continue;
        look = total + ringFramesPerLook;
        if (late()) {
          this.next = (at + 1) % count;
          break;
        }
      }
      for (let i = 0; i < this.writers.length; i++) {
        const writer = this.writers[i] as RingWriter;
        if (writer.restless()) writer.settle();
      }
    } finally {
      this.polling = false;
    }
    return total;
  }

  /** Is there a frame to take? */
  ready(): boolean {
    for (let i = 0; i < this.readers.length; i++) if ((this.readers[i] as RingReader).ready()) return true;
    return false;
  }

  /** Goes to sleep unless there is something to do. False: poll again instead. */
  park(): boolean {
    this.port.store(this.cell, parked);
    if (this.busy() || !this.wait()) {
      this.port.store(this.cell, awake);
      return false;
    }
    this.parked = true;
    return true;
  }

  /** Ends the sleep from inside: this thread has sent something or wants something. */
  stir(): void {
    if (!this.parked) return;
    this.parked = false;
    this.port.store(this.cell, awake);
    this.hooks.onAwake();
  }

  private turn(reader: RingReader, framesMax: number, late: () => boolean): number {
    let taken = 0;
    while (taken < framesMax) {
      const max = Math.min(ringFramesPerLook, framesMax - taken);
      const count = reader.drain(max, this.hooks.onFrame);
      taken += count;
      if (count < max || late()) break;
    }
    return taken;
  }

  private busy(): boolean {
    if (this.ready()) return true;
    for (let i = 0; i < this.writers.length; i++) if ((this.writers[i] as RingWriter).restless()) return true;
    return false;
  }

  private wait(): boolean {
    if (!this.waiting) this.waiting = this.port.wait(this.cell, parked, this.onBell);
    return this.waiting;
  }
}
