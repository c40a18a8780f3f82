// Hot path: the bounded mailbox of one actor. Nothing is allocated per message, and an idle actor holds no mailbox at all:
// the first message takes one from the pool of the thread, the slice that empties it gives it back.
//
// The picture: a circular flat array, four slots a message (measured against a linked list of pooled nodes and against
// heads in an Int32Array: no faster, or slower by 2 ns). A push and a shift together take 7 to 8 ns.
//
//      slots   | head a0 a1 meta | head a0 a1 meta | ...        head, 30 bits:  units 20 | method 8 | argc 2
//                first ^            first + count ^             argc 0, 1, 2, or 3 = a0 holds the array of all arguments
//
// A message that finds the mailbox empty does not go into the array: it waits in the fields, which is where shift would put
// it. An actor that gets one message at a time (ping-pong, a ring) never touches its array: 8 % of what such a message costs.
//
// A unit is 64 bytes of payload, rounded up by the sender. `meta` is the caller's (the open ask, or null). A message that
// nobody wants any more stays where it is: the caller sees by its meta, after shift, that it is dead. Taking it out of
// the middle would cost every cancelled ask a walk; dropDead does it for all of them at once when the mailbox is full.
//
// Invariants: push never lets count exceed capacity nor the units exceed their bound. A slot that holds no message holds
// no reference. A mailbox in the pool is empty and belongs to nobody.

import { mailboxesPooledMax, mailboxRoomPooledMax } from '../limits.ts';

export const unitBytes = 64;
export const unitsPerMessageMax: number = (1 << 20) - 1;

/** argc 3 means: all arguments are in an array in a0. Units above 20 bits saturate; 64 MiB is past any frame. */
export function packHead(argc: 0 | 1 | 2 | 3, method: number, units: number): number {
  return argc | (method << 2) | (Math.min(units, unitsPerMessageMax) << 10);
}
/** How many units a mailbox of so many bytes holds: whole ones, at least one. */
export function unitsIn(bytes: number): number {
  return Math.max(1, Math.floor(bytes / unitBytes));
}
export const argcOf = (head: number): number => head & 3;
export const methodOf = (head: number): number => (head >>> 2) & 255;
export const unitsOfHead = (head: number): number => head >>> 10;

const stride = 4;
const roomMin = 8;

export class Mailbox {
  // The oldest message while `fronted`, else the one taken by the last shift. a1 is undefined where argc is not 2.
  head = 0;
  a0: unknown = undefined;
  a1: unknown = undefined;
  meta: unknown = null;

  /** The oldest message waits in the fields above, those behind it in the array. */
  fronted = false;
  /** Messages waiting. */
  count = 0;
  /** Their payload in units of 64 bytes. */
  units = 0;
  /** Messages it may hold, 0 while it is in the pool. */
  private capacity = 0;
  /** -1 while it is in the pool. */
  private unitsMax = -1;
  /** The array is full or the mailbox is: min(room, capacity), so that push compares once. */
  private limit = 0;
  private first = 0;
  private slots: unknown[] = newSlots(roomMin);
  private mask: number = roomMin * stride - 1;

  private static readonly pool: Mailbox[] = [];
  private static poolRoom = 0;

  /** An empty mailbox with these bounds. Bytes count in whole units, at least one. */
  static take(capacity: number, bytes: number): Mailbox {
    const pooled = Mailbox.pool.pop();
    const box = pooled ?? new Mailbox();
    if (pooled !== undefined) Mailbox.poolRoom -= pooled.room;
    box.capacity = capacity;
    box.unitsMax = unitsIn(bytes);
    box.limit = Math.min(box.room, capacity);
    return box;
  }

  /** Gives an empty mailbox back. Its old owner must forget it. */
  static give(box: Mailbox): void {
    if (box.count !== 0) throw new Error(`a mailbox that holds ${box.count} messages was given back`);
    if (box.capacity === 0) throw new Error('a mailbox was given back twice');
    box.capacity = 0;
    box.limit = 0;
    box.unitsMax = -1;
    box.forget();
    if (Mailbox.pool.length >= mailboxesPooledMax || Mailbox.poolRoom + box.room > mailboxRoomPooledMax) return;
    Mailbox.poolRoom += box.room;
    Mailbox.pool.push(box);
  }

  /** Takes a message, or answers false: full by count or by units. The caller rejects, or lets the sender wait. */
  push(head: number, a0: unknown, a1: unknown, meta: unknown): boolean {
    const count = this.count;
    const units = this.units + (head >>> 10);
    if (count === 0) {
      if (units > this.unitsMax) return false;
      this.head = head;
      this.a0 = a0;
      this.a1 = (head & 3) === 2 ? a1 : undefined;
      this.meta = meta;
      this.fronted = true;
      this.count = 1;
      this.units = units;
      return true;
    }
    if (count >= this.limit || units > this.unitsMax) return this.pushSlow(head, a0, a1, meta);
    const slots = this.slots;
    const at = (this.first + (this.fronted ? count - 1 : count) * stride) & this.mask;
    slots[at] = head;
    slots[at + 1] = a0;
    if ((head & 3) === 2) slots[at + 2] = a1;
    slots[at + 3] = meta;
    this.count = count + 1;
    this.units = units;
    return true;
  }

  /** Takes a message whatever the bounds: one that was accepted before, and comes back or arrives with a move. */
  force(head: number, a0: unknown, a1: unknown, meta: unknown): void {
    if (this.capacity === 0) throw new Error('a message was put into a mailbox that was given back');
    if (this.count === this.room) this.grow();
    const slots = this.slots;
    const at = (this.first + (this.fronted ? this.count - 1 : this.count) * stride) & this.mask;
    slots[at] = head;
    slots[at + 1] = a0;
    if ((head & 3) === 2) slots[at + 2] = a1;
    slots[at + 3] = meta;
    this.count++;
    this.units += head >>> 10;
  }

  /** Moves the oldest message into head, a0, a1 and meta; false when there is none. */
  shift(): boolean {
    if (this.count === 0) return false;
    if (this.fronted) {
      this.fronted = false;
      this.count--;
      this.units -= this.head >>> 10;
      return true;
    }
    const slots = this.slots;
    const at = this.first;
    const head = slots[at] as number;
    this.head = head;
    this.a0 = slots[at + 1];
    slots[at + 1] = undefined;
    if ((head & 3) === 2) {
      this.a1 = slots[at + 2];
      slots[at + 2] = undefined;
    } else this.a1 = undefined;
    const meta = slots[at + 3];
    if (meta !== null) {
      this.meta = meta;
      slots[at + 3] = null;
    } else this.meta = null;
    this.first = (at + stride) & this.mask;
    this.count--;
    this.units -= head >>> 10;
    return true;
  }

  /** It holds one message, and that in the fields. */
  get sole(): boolean {
    return this.count === 1 && this.fronted;
  }

  /** What shift does for a sole message. */
  takeFront(): void {
    this.fronted = false;
    this.count = 0;
    this.units = 0;
  }

  /** The head of the oldest message. Only while count > 0. */
  peekHead(): number {
    return this.fronted ? this.head : (this.slots[this.first] as number);
  }

  /**
   * Could push ever take a message of so many units? One that exceeds the whole bound never fits, not even into an empty
   * mailbox: letting it in would make the bound a wish. The caller says TOO_LARGE for it, and OVERLOADED or waits for others.
   */
  fits(units: number): boolean {
    return units <= this.unitsMax;
  }

  /** Bytes of all messages, in whole units. */
  get bytes(): number {
    return this.units * unitBytes;
  }

  /** Messages the array has room for. */
  get room(): number {
    return (this.mask + 1) >>> 2;
  }

  /** Hands every message over, oldest first, and ends empty. Each is taken before fn sees it: if fn throws, the rest stays. */
  drainTo(fn: (head: number, a0: unknown, a1: unknown, meta: unknown) => void): number {
    let drained = 0;
    while (this.shift()) {
      drained++;
      fn(this.head, this.a0, this.a1, this.meta);
    }
    this.forget();
    return drained;
  }

  /**
   * Drops the messages whose meta is dead, keeps the order of the others, and says how many went. A null meta is alive.
   * Forgets the message taken last, as drainTo does: read head, a0, a1 and meta first.
   */
  dropDead(isDead: (meta: unknown) => boolean): number {
    const before = this.count;
    for (let i = 0; i < before; i++) {
      this.shift();
      if (this.meta === null || !isDead(this.meta)) this.force(this.head, this.a0, this.a1, this.meta);
    }
    this.forget();
    return before - this.count;
  }

  private pushSlow(head: number, a0: unknown, a1: unknown, meta: unknown): boolean {
    if (this.count >= this.capacity || this.units + (head >>> 10) > this.unitsMax) return false;
    this.force(head, a0, a1, meta);
    return true;
  }

  private grow(): void {
    const old = this.slots;
    const slots = newSlots(this.room * 2);
    for (let i = 0; i < old.length; i++) slots[i] = old[(this.first + i) & this.mask];
    this.slots = slots;
    this.first = 0;
    this.mask = slots.length - 1;
    this.limit = Math.min(this.room, this.capacity);
  }

  /** Lets go of the message taken last. */
  private forget(): void {
    this.head = 0;
    this.a0 = undefined;
    this.a1 = undefined;
    this.meta = null;
  }
}

function newSlots(room: number): unknown[] {
  return new Array<unknown>(room * stride).fill(undefined);
}
