// The simulated machine under the model checker: a memory whose accesses can be recorded, repeated and interrupted, behind the
// same MemoryPort that production code uses, and the hashes by which states are recognised.

import type { MemoryPort } from '../../src/runtime/memory-port.ts';
import { dataCell } from '../../src/runtime/shared-ring.ts';

export class Violation extends Error {}
export const pause: Error = new Error('pause');

/** The access a thread will make next; the cell is -1 when it is between operations. */
export interface Pending {
  readonly alive: boolean;
  readonly cell: number;
  readonly plain: boolean;
  readonly writes: boolean;
}

/** The memory of the run that is being repeated, and how far it has got. */
export class Stepper {
  memory: Int32Array = new Int32Array(0);
  answers: number[] = [];
  at = 0;
  moved = false;
  paused = false;
  cell = -1;
  plain = false;
  writes = false;
  everyAccess = true;
  thread = 0;
  others: readonly Pending[] = [];

  private quiet = false;

  /** Accesses made by fn are carried out at once and leave no record: constructors, before the search. */
  outside<T>(fn: () => T): T {
    this.quiet = true;
    try {
      return fn();
    } finally {
      this.quiet = false;
    }
  }

  prepare(memory: Int32Array, answers: number[], thread: number, others: readonly Pending[]): void {
    this.memory = memory;
    this.answers = answers;
    this.at = 0;
    this.moved = false;
    this.paused = false;
    this.thread = thread;
    this.others = others;
  }

  /** Answers from the record, or carries the access out, or pauses before it. */
  access(cell: number, plain: boolean, writes: boolean, act: () => number): number {
    if (this.quiet) return act();
    if (this.paused) return 0; // a finally clause on the way out
    if (this.at < this.answers.length) return this.answers[this.at++] as number;
    const free = plain && !this.everyAccess;
    if (this.moved && !free) {
      this.paused = true;
      this.cell = cell;
      this.plain = plain;
      this.writes = writes;
      throw pause;
    }
    if (!free) this.moved = true;
    this.meet(cell, plain, writes);
    const answer = act();
    this.answers.push(answer);
    this.at++;
    return answer;
  }

  private meet(cell: number, plain: boolean, writes: boolean): void {
    for (let i = 0; i < this.others.length; i++) {
      const other = this.others[i] as Pending;
      if (i === this.thread || other.cell !== cell || !other.alive) continue;
      if ((plain || other.plain) && (writes || other.writes)) {
        throw new Violation(`race: threads ${this.thread} and ${i} meet at cell ${cell}`);
      }
    }
  }
}

/** A piece of the simulated memory. `place` maps the cells of the real layout to those we bother to simulate. */
export class SimPort implements MemoryPort {
  readonly bytes = new Uint8Array(0);
  readonly view = new DataView(new ArrayBuffer(0));
  private readonly stepper: Stepper;
  private readonly place: (cell: number) => number;
  private readonly onStore: (cell: number) => void;
  /** The cells of the kernel's waiter and wake-up, relative to the bell's. */
  static readonly waiter = 1;
  static readonly wake = 2;

  constructor(stepper: Stepper, place: (cell: number) => number, onStore: (cell: number) => void = () => {}) {
    this.stepper = stepper;
    this.place = place;
    this.onStore = onStore;
  }

  load(cell: number): number {
    const at = this.place(cell);
    return this.stepper.access(at, false, false, () => this.stepper.memory[at] as number);
  }

  store(cell: number, value: number): void {
    const at = this.place(cell);
    this.stepper.access(at, false, true, () => {
      this.stepper.memory[at] = value;
      this.onStore(cell);
      return 0;
    });
  }

  cas(cell: number, expected: number, value: number): boolean {
    const at = this.place(cell);
    const won = this.stepper.access(at, false, true, () => {
      if (this.stepper.memory[at] !== expected) return 0;
      this.stepper.memory[at] = value;
      return 1;
    });
    return won === 1;
  }

  peek(cell: number): number {
    const at = this.place(cell);
    return this.stepper.access(at, true, false, () => this.stepper.memory[at] as number);
  }

  poke(cell: number, value: number): void {
    const at = this.place(cell);
    this.stepper.access(at, true, true, () => {
      this.stepper.memory[at] = value;
      if (cell < dataCell) this.onStore(cell); // a mutant that publishes with a plain store still publishes
      return 0;
    });
  }

  copyIn(at: number, source: Uint8Array, start: number, count: number): void {
    for (let i = 0; i < count; i += 4) this.poke((at + i) >> 2, wordOf(source, start + i));
  }

  copyOut(at: number, target: Uint8Array, start: number, count: number): void {
    for (let i = 0; i < count; i += 4) setWord(target, start + i, this.peek((at + i) >> 2));
  }

  digest(at: number, count: number): number {
    let sum = 0;
    for (let i = 0; i < count; i += 4) sum = (Math.imul(sum, 31) + this.peek((at + i) >> 2)) | 0;
    return sum;
  }

  wait(cell: number, expected: number): boolean {
    const at = this.place(cell);
    const waits = this.stepper.access(at, false, true, () => {
      const memory = this.stepper.memory;
      if (memory[at + SimPort.waiter] !== 0) throw new Violation('a second wait of one thread');
      if (memory[at] !== expected) return 0;
      memory[at + SimPort.waiter] = 1;
      return 1;
    });
    return waits === 1;
  }

  notify(cell: number): void {
    const at = this.place(cell);
    this.stepper.access(at, false, true, () => {
      const memory = this.stepper.memory;
      if (memory[at + SimPort.waiter] === 1) memory[at + SimPort.wake] = 1;
      memory[at + SimPort.waiter] = 0;
      return 0;
    });
  }
}

export function wordOf(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getInt32(at, true);
}

export function setWord(bytes: Uint8Array, at: number, word: number): void {
  new DataView(bytes.buffer, bytes.byteOffset).setInt32(at, word, true);
}

export function frameOf(producer: number, number: number, size: number): Uint8Array {
  const frame = new Uint8Array(size);
  for (let i = 0; i < size; i += 4) setWord(frame, i, (producer << 16) | (number << 8) | (i + 1));
  return frame;
}

/** Two 32-bit lanes of a Murmur-like hash. */
export class Hash {
  a = 0;
  b = 0;

  reset(): this {
    this.a = 1;
    this.b = 0x9747b28c;
    return this;
  }

  mix(value: number): void {
    let k = Math.imul(value, 0xcc9e2d51);
    k = Math.imul((k << 15) | (k >>> 17), 0x1b873593);
    const a = this.a ^ k;
    this.a = (Math.imul((a << 13) | (a >>> 19), 5) + 0xe6546b64) | 0;
    const b = Math.imul(this.b ^ value ^ (this.b >>> 15), 0x85ebca6b);
    this.b = b ^ (b >>> 13);
  }

  mixAll(values: ArrayLike<number>): void {
    this.mix(values.length);
    for (let i = 0; i < values.length; i++) this.mix(values[i] as number);
  }

  mixField(value: unknown): void {
    if (typeof value === 'number') this.mix(value);
    else if (typeof value === 'boolean') this.mix(value ? 1 : 0);
    else if (value instanceof Uint8Array) this.mixAll(value);
    else this.mix(value === null ? -7 : -9);
  }

  /** 52 bits: among two million states two share one with a chance of one in two thousand. */
  value(): number {
    return (this.a >>> 0) + (this.b & 0xfffff) * 2 ** 32;
  }
}

/** Hashes seen, in one flat table: a Set of numbers takes five times the memory. */
export class HashSet {
  size = 0;
  private table = new Float64Array(1 << 16).fill(-1);

  add(hash: number): boolean {
    if (!this.put(hash)) return false;
    this.size++;
    if (this.size * 2 > this.table.length) {
      const old = this.table;
      this.table = new Float64Array(old.length * 4).fill(-1);
      for (let i = 0; i < old.length; i++) if ((old[i] as number) >= 0) this.put(old[i] as number);
    }
    return true;
  }

  private put(hash: number): boolean {
    const mask = this.table.length - 1;
    for (let at = Math.imul(hash | 0, 0x9e3779b1) >>> 7; ; at++) {
      const found = this.table[at & mask];
      if (found === hash) return false;
      if (found === -1) {
        this.table[at & mask] = hash;
        return true;
      }
    }
  }
}
