// Hot path: a hierarchical timing wheel (Varghese & Lauck, SOSP 1987, scheme 7). It serves the deadline of every ask:
// millions of add + cancel a second, hardly any of which ever fire, so both are a few field writes and nothing is
// allocated: callers embed the links in their own objects. A binary heap was the simpler idea; its cancel is O(log n)
// and needs an index kept in every entry anyway.
//
// The picture: time in whole ms since the start of the wheel, written in base 64. An entry lives on the level of the
// highest digit in which its tick differs from the present, in the slot of that digit:
//
//     present  ..0 12 07 33      level 0: 64 slots of 1 ms      (digits above are equal to the present)
//     entry    ..0 12 09 50      level 1: 64 slots of 64 ms  <- here, slot 09
//     entry    ..0 13 00 00      level 2: 64 slots of 4.1 s  <- here, slot 13
//
// When the present reaches the start of a slot above level 0, its entries move down ("cascade"). Nine levels cover every
// safe integer. Five of them (2^30 ms, 12 days) fit in one small-integer xor; only beyond that are the upper digits read.
//
// Invariants: a slot in use on level L is numbered above the present's digit of L (on level 0: at or above it); so the
// lowest level in use and its lowest slot are always the next to expire, and entries of one tick keep their order.

export interface WheelEntry {
  /** When it is due, in ms; may be fractional. Kept by the wheel. */
  at: number;
  /** Neighbours in the circular list of the slot; null while the entry is in no wheel. Kept by the wheel. */
  wheelPrev: WheelEntry | null;
  wheelNext: WheelEntry | null;
  /** -1 while the entry is in no wheel. Kept by the wheel. */
  wheelSlot: number;
}

const digitBits = 6;
const slots = 64;
const digitMask: number = slots - 1;
const lowLevels = 5; // 30 bits: one small integer
const levels = 9;
const lowSpan: number = 2 ** (digitBits * lowLevels);
/** Two lists for what was already due when it was added: one is filled while the other fires. */
const lateA: number = levels * slots;
const lateB: number = lateA + 1;
/** Below this many entries in the next slot nextAt looks at each of them instead of answering with the slot's start. */
const peekMax = 8;
/** Level of the highest differing digit, by clz32 of the xor. */
const levelByZeros: Uint8Array = Uint8Array.from({ length: 33 }, (_, zeros) =>
  Math.max(0, Math.floor((31 - zeros) / 6)),
);

export class TimerWheel<E extends WheelEntry = WheelEntry> {
  /** Entries waiting. */
  count = 0;
  /** Tick 0 of this wheel; the zero of a monotonic clock is arbitrary and may lie anywhere. */
  private readonly origin: number;
  /** The present tick is high * 2^30 + low. */
  private low = 0;
  private high = 0;
  private base = 0; // high * 2^30, ready for the hot path
  private readonly heads: (WheelEntry | null)[] = new Array<WheelEntry | null>(lateB + 1).fill(null);
  /** One bit a slot, two words a level: which slots are in use. */
  private readonly used: Int32Array = new Int32Array((lateB >>> 5) + 1);
  private late: number = lateA;
  private advancing = false;

  constructor(nowMs: number) {
    this.origin = Math.floor(nowMs);
    if (!Number.isSafeInteger(this.origin)) throw new RangeError(`a timer wheel cannot start at ${nowMs}`);
  }

  /** Arms the entry; one that waits already is moved. What is due in the past fires at the next advance. */
  add(entry: E, atMs: number): void {
    if (entry.wheelSlot >= 0) this.cancel(entry);
    if (!(atMs <= Number.MAX_SAFE_INTEGER)) throw new RangeError(`a timer cannot be due at ${atMs}`);
    entry.at = atMs;
    this.count++;
    this.place(entry, this.late);
  }

  /** True when it was waiting. O(1). */
  cancel(entry: E): boolean {
    const slot = entry.wheelSlot;
    if (slot < 0) return false;
    this.unlink(entry, slot);
    this.count--;
    return true;
  }

  /**
   * When to call advance next: never later than the next due time rounded up to a whole ms, and exactly that when it lies
   * on the lowest level or shares its slot with fewer than eight others. Infinity when nothing waits.
   */
  nextAt(): number {
    if (this.heads[lateA] !== null || this.heads[lateB] !== null) return this.present + this.origin;
    const slot = this.nextSlot();
    if (slot < 0) return Number.POSITIVE_INFINITY;
    if (slot < slots) return this.startOf(slot) + this.origin; // on level 0 a slot is a tick
    const head = this.heads[slot] as WheelEntry;
    let earliest = head.at;
    let entry = head.wheelNext as WheelEntry;
    for (let seen = 1; entry !== head; entry = entry.wheelNext as WheelEntry) {
      if (++seen > peekMax) return this.startOf(slot) + this.origin;
      if (entry.at < earliest) earliest = entry.at;
    }
    return Math.ceil(earliest);
  }

  /**
   * Fires everything due up to nowMs, by due time (whole ms, rounded up, so never early) and then by insertion. `fire` may
   * add and cancel; what it adds for a later ms up to now still fires in this call, what it adds for the present ms or the
   * past waits for the next call, so an entry that re-arms itself cannot hold the loop. Should `fire` throw, the rest stays
   * armed. A now before an earlier one is treated as that earlier one.
   */
  advance(nowMs: number, fire: (entry: E) => void): void {
    if (this.advancing) throw new Error('advance was called from within fire');
    const target = Math.floor(nowMs) - this.origin;
    if (!Number.isSafeInteger(target)) throw new RangeError(`a timer wheel cannot advance to ${nowMs}`);
    this.advancing = true;
    try {
      this.fireLate(fire);
      for (;;) {
        const slot = this.nextSlot();
        const start = slot < 0 ? Number.POSITIVE_INFINITY : this.startOf(slot);
        if (start > target) break;
        this.becomePresent(start);
        if (slot < slots) this.fireAll(slot, fire);
        else this.cascade(slot);
      }
      if (target > this.present) this.becomePresent(target);
    } finally {
      this.advancing = false;
    }
  }

  /** Everything that waits, in no particular order. For reports and tests; visits each entry. */
  *entries(): IterableIterator<E> {
    for (const head of this.heads) {
      if (head === null) continue;
      let entry = head;
      do {
        yield entry as E;
        entry = entry.wheelNext as WheelEntry;
      } while (entry !== head);
    }
  }

  private get present(): number {
    return this.base + this.low;
  }

  private becomePresent(tick: number): void {
    this.high = Math.floor(tick / lowSpan);
    this.base = this.high * lowSpan;
    this.low = tick - this.base;
  }

  /** Puts an entry where its digits say; `ifDue` is the list for one that is due at the present or before. */
  private place(entry: WheelEntry, ifDue: number): void {
    const tick = Math.ceil(entry.at) - this.origin;
    const low = tick - this.base;
    if (low <= this.low) this.link(entry, ifDue);
    else if (low < lowSpan) this.link(entry, slotOf(low, this.low));
    else {
      const high = Math.floor(tick / lowSpan);
      this.link(entry, lowLevels * slots + slotOf(high, this.high));
    }
  }

  private link(entry: WheelEntry, slot: number): void {
    const head = this.heads[slot] as WheelEntry | null;
    entry.wheelSlot = slot;
    if (head === null) {
      entry.wheelPrev = entry;
      entry.wheelNext = entry;
      this.heads[slot] = entry;
      this.used[slot >>> 5] = (this.used[slot >>> 5] as number) | (1 << (slot & 31));
      return;
    }
    const tail = head.wheelPrev as WheelEntry;
    entry.wheelPrev = tail;
    entry.wheelNext = head;
    tail.wheelNext = entry;
    head.wheelPrev = entry;
  }

  private unlink(entry: WheelEntry, slot: number): void {
    const next = entry.wheelNext as WheelEntry;
    if (next === entry) {
      this.heads[slot] = null;
      this.used[slot >>> 5] = (this.used[slot >>> 5] as number) & ~(1 << (slot & 31));
    } else {
      const prev = entry.wheelPrev as WheelEntry;
      prev.wheelNext = next;
      next.wheelPrev = prev;
      if (this.heads[slot] === entry) this.heads[slot] = next;
    }
    entry.wheelPrev = null; // an old entry must not keep young ones alive
    entry.wheelNext = null;
    entry.wheelSlot = -1;
  }

  /** The slot that expires first, or -1: the first bit of the first word in use, see the invariant. */
  private nextSlot(): number {
    for (let word = 0; word < lateA >>> 5; word++) {
      const bits = this.used[word] as number;
      if (bits !== 0) return (word << 5) | (31 - Math.clz32(bits & -bits));
    }
    return -1;
  }

  /** The first tick of a slot: the digits of the present above its level, then its own, then zeros. */
  private startOf(slot: number): number {
    const level = slot >>> digitBits;
    const digit = slot & digitMask;
    if (level < lowLevels) return this.base + startOfDigit(this.low, level * digitBits, digit);
    return startOfDigit(this.high, (level - lowLevels) * digitBits, digit) * lowSpan;
  }

  /** Moves the entries of a slot above level 0, whose start is the present, down to where they belong now. */
  private cascade(slot: number): void {
    const head = this.heads[slot] as WheelEntry;
    let entry = head;
    this.heads[slot] = null;
    this.used[slot >>> 5] = (this.used[slot >>> 5] as number) & ~(1 << (slot & 31));
    do {
      const next = entry.wheelNext as WheelEntry;
      this.place(entry, this.low & digitMask);
      entry = next;
    } while (entry !== head);
  }

  private fireLate(fire: (entry: E) => void): void {
    this.fireAll(this.late === lateA ? lateB : lateA, fire); // only what a throwing fire left behind
    const due = this.late;
    this.late = due === lateA ? lateB : lateA;
    this.fireAll(due, fire);
  }

  private fireAll(slot: number, fire: (entry: E) => void): void {
    for (let entry = this.heads[slot] as WheelEntry | null; entry !== null; entry = this.heads[slot] as typeof entry) {
      this.unlink(entry, slot);
      this.count--;
      fire(entry as E);
    }
  }
}

/** Level of the highest differing digit, and that digit: as a slot number. */
function slotOf(tick: number, present: number): number {
  const level = levelByZeros[Math.clz32(tick ^ present)] as number;
  return (level << digitBits) | ((tick >>> (level * digitBits)) & digitMask);
}

function startOfDigit(present: number, shift: number, digit: number): number {
  return ((present >>> (shift + digitBits)) << (shift + digitBits)) | (digit << shift);
}
