// What the threads of the model do: producers send a script of frames and wait for room, the consumer polls and parks, and when
// somebody has died a reaper rings every bell. They use the production classes; here is only the loop that thread-port.ts runs
// around them, and how the fields of those classes are saved and loaded between two steps.

import type { OnFrame } from '../../src/runtime/link.ts';
import { frameOf, SimPort, type Stepper, Violation, wordOf } from './ring-sim.ts';

// The classes arrive as values, because the mutants are classes of other modules that look almost the same.
export type RingKit = typeof import('../../src/runtime/ring-writer.ts') &
  typeof import('../../src/runtime/ring-reader.ts') &
  typeof import('../../src/runtime/ring-set.ts') &
  typeof import('../../src/runtime/shared-ring.ts');

// Modes of a thread between two operations; the first three name the operation that comes next.
export const sending = 0;
export const polling = 1;
export const parking = 2;
export const asleep = 3;
export const done = 4;
/** Operations that do not follow from the mode: the wake-up arrives, the thread has something to do by itself. */
export const waking = 5;
export const stirring = 6;
export const modeNames: readonly string[] = ['send', 'poll', 'park', 'asleep', 'done', 'wake', 'stir'];

/** What the programs share: the machine, and where things are in its memory. */
export interface Bench {
  readonly kit: RingKit;
  readonly stepper: Stepper;
  readonly capacity: number;
  /** The script of each producer. */
  readonly frames: readonly (readonly Uint8Array[])[];
  readonly pollMax: number;
  readonly stirs: number;
  /** The bells of all threads; a thread's cell, the kernel's waiter and its wake-up behind it. */
  readonly bells: SimPort;
  bellAt(thread: number): number;
  portOf(producer: number): SimPort;
  /** Frames (or pieces) this producer has published: the checker's own count. */
  published(producer: number): number;
}

// How a field is kept. `skip` is for counters and for what never changes; a field that is not listed stops the checker, so
// that a new one cannot be forgotten.
type Kind = 'value' | 'bytes' | 'waiters' | 'skip';
type Fields = Readonly<Record<string, Kind>>;

function fieldsOf(kinds: Partial<Record<Kind, string>>): Fields {
  const fields: Record<string, Kind> = {};
  for (const [kind, names] of Object.entries(kinds)) for (const name of names.split(' ')) fields[name] = kind as Kind;
  return fields;
}

const writerFields = fieldsOf({
  value: 'tail room window blocked restAt error',
  bytes: 'rest',
  waiters: 'waiters',
  skip: 'bytes view windowMax port salt capacity reader home frames sentBytes refused pieces dropped',
});
const readerFields = fieldsOf({
  value: 'head tail released wholeAt error',
  bytes: 'whole',
  skip: 'from port capacity salt writer midway orphans frames',
});
const setFields = fieldsOf({
  value: 'parked waiting next polling',
  skip: 'sent port cell hooks readers writers onBell',
});

type Loose = Record<string, unknown>;

/** The objects of one thread, and what it does with them. */
export abstract class Program {
  mode = polling;
  abstract readonly name: string;
  private readonly slots: [object: Loose, name: string, kind: Kind][] = [];
  /** The one callback this thread ever registers with onWritable. */
  protected readonly go: () => void = () => {};

  abstract run(operation: number): void;

  /** May it wake by itself? */
  restive(_fields: readonly unknown[]): boolean {
    return false;
  }

  save(): unknown[] {
    return this.slots.map(([object, name, kind]) => {
      const value = object[name];
      if (kind === 'waiters') return (value as unknown[]).length;
      return kind === 'bytes' && value !== null ? (value as Uint8Array).slice() : value;
    });
  }

  load(fields: readonly unknown[]): void {
    for (let i = 0; i < this.slots.length; i++) {
      const [object, name, kind] = this.slots[i] as [Loose, string, Kind];
      const value = fields[i];
      if (kind === 'waiters') {
        const waiters = object[name] as (() => void)[];
        waiters.length = 0;
        for (let n = value as number; n > 0; n--) waiters.push(this.go);
      } else object[name] = kind === 'bytes' && value !== null ? (value as Uint8Array).slice() : value;
    }
  }

  protected keep(object: object, fields: Fields): void {
    for (const name of Object.keys(object)) {
      const kind = fields[name];
      if (kind === undefined) throw new Error(`the model checker does not know the field ${name}`);
      if (kind !== 'skip') this.slots.push([object as Loose, name, kind]);
    }
  }
}

/** A thread with a bell: production threads are this and a loop. */
abstract class Sleeper extends Program {
  protected readonly bench: Bench;
  protected readonly set: InstanceType<RingKit['RingSet']>;
  private readonly thread: number;

  constructor(bench: Bench, thread: number, onFrame: OnFrame) {
    super();
    this.bench = bench;
    this.thread = thread;
    const onAwake = (): void => {
      this.mode = polling;
    };
    this.set = new bench.kit.RingSet(bench.bells, bench.bellAt(thread), { onFrame, onAwake });
  }

  protected park(): void {
    this.mode = this.set.park() ? asleep : polling;
  }

  protected wake(): void {
    this.bench.bells.store(this.bench.bellAt(this.thread) + SimPort.wake, 0);
    (this.set as unknown as { onBell(): void }).onBell();
  }
}

export class Consumer extends Sleeper {
  readonly name = 'consumer';
  /** Frames taken of each producer. */
  private readonly taken: number[] = [];
  private readonly ports: SimPort[] = [];
  private readonly life: { stirs: number };

  constructor(bench: Bench) {
    super(bench, 0, (from, bytes, _view, start, end) => this.take(from, bytes, start, end));
    const { kit, frames, capacity } = bench;
    for (let p = 1; p <= frames.length; p++) {
      const port = bench.portOf(p);
      const bell = new kit.Bell(bench.bells, bench.bellAt(p));
      const reader = new kit.RingReader(port, { capacity, salt: saltOf(p) }, bell, p);
      this.keep(reader, readerFields);
      this.set.addReader(reader);
      this.ports[p] = port;
      this.taken[p] = 0;
    }
    this.life = { stirs: bench.stirs };
    this.keep(this.set, setFields);
    this.keep(this.taken, fieldsOf({ value: Object.keys(this.taken).join(' ') }));
    this.keep(this.life, fieldsOf({ value: 'stirs' }));
  }

  run(operation: number): void {
    if (operation === polling) this.mode = this.set.poll(this.bench.pollMax, () => false) > 0 ? polling : parking;
    else if (operation === parking) this.park();
    else if (operation === waking) this.wake();
    else {
      this.life.stirs--;
      this.set.stir();
    }
  }

  override restive(fields: readonly unknown[]): boolean {
    return (fields.at(-1) as number) > 0; // `stirs` is kept last
  }

  private take(from: number, bytes: Uint8Array, start: number, end: number): void {
    const number = this.taken[from] as number;
    const frame = this.bench.frames[from - 1]?.[number];
    if (frame === undefined || number >= this.whole(from)) {
      throw new Violation(`producer ${from}: frame ${number} was handed out and never published`);
    }
    this.taken[from] = number + 1;
    if (end - start !== frame.length) throw new Violation(`producer ${from}: frame ${number} has ${end - start} bytes`);
    const port = this.ports[from] as SimPort;
    for (let i = 0; i < frame.length; i += 4) {
      const word = bytes === port.bytes ? port.peek((start + i) >> 2) : wordOf(bytes, start + i);
      if (word !== wordOf(frame, i)) throw new Violation(`producer ${from}: frame ${number} is torn`);
    }
  }

  /** Frames of this producer that are published to their last piece. */
  private whole(from: number): number {
    const window = this.bench.kit.windowOf(this.bench.capacity);
    let left = this.bench.published(from);
    let whole = 0;
    for (const frame of this.bench.frames[from - 1] ?? []) {
      left -= frame.length <= window ? 1 : Math.ceil((frame.length + this.bench.kit.leadBytes) / window);
      if (left < 0) break;
      whole++;
    }
    return whole;
  }
}

export class Producer extends Sleeper {
  readonly name: string;
  private readonly writer: InstanceType<RingKit['RingWriter']>;
  private readonly port: SimPort;
  private readonly frames: readonly Uint8Array[];
  private readonly life = { next: 0, called: false };
  protected override readonly go = (): void => {
    this.life.called = true;
  };

  constructor(bench: Bench, number: number) {
    super(bench, number, () => {});
    const { kit, capacity } = bench;
    this.name = `producer ${number}`;
    this.mode = sending;
    this.frames = bench.frames[number - 1] ?? [];
    this.port = bench.portOf(number);
    const bell = new kit.Bell(bench.bells, bench.bellAt(0));
    this.writer = new kit.RingWriter(this.port, { capacity, salt: saltOf(number) }, bell, this.set);
    this.set.addWriter(this.writer);
    this.keep(this.writer, writerFields);
    this.keep(this.set, setFields);
    this.keep(this.life, fieldsOf({ value: 'next called' }));
  }

  run(operation: number): void {
    if (operation === sending) this.send();
    else if (operation === parking) this.park();
    else if (operation === waking) this.wake();
    else {
      this.set.poll(99, () => false);
      this.mode = this.life.called ? sending : this.over() ? done : parking;
      this.life.called = false;
    }
  }

  private send(): void {
    if (this.give(this.frames[this.life.next] as Uint8Array)) {
      this.life.next++;
      this.mode = this.life.next < this.frames.length ? sending : this.over() ? done : polling;
    } else {
      this.writer.onWritable(this.go);
      this.mode = polling;
    }
  }

  /** Every other small frame is encoded in place, the rest are copied. */
  private give(frame: Uint8Array): boolean {
    const { writer } = this;
    if (this.life.next % 2 === 1 || frame.length === 0 || frame.length > writer.windowMax) return writer.send(frame);
    const at = writer.begin(Math.min(writer.windowMax, frame.length + 4));
    if (at < 0) return false;
    for (let i = 0; i < frame.length; i += 4) this.port.poke((at + i) >> 2, wordOf(frame, i));
    writer.end(frame.length);
    return true;
  }

  private over(): boolean {
    return this.life.next === this.frames.length && (this.writer as unknown as Loose).rest === null;
  }
}

/** Comes to life when somebody has died, and does what replacePeer() does: rings every bell, whatever it says. */
export class Reaper extends Program {
  readonly name = 'reaper';
  private readonly bench: Bench;

  constructor(bench: Bench) {
    super();
    this.bench = bench;
  }

  run(): void {
    const { kit, bells, frames } = this.bench;
    for (let thread = 0; thread <= frames.length; thread++) new kit.Bell(bells, this.bench.bellAt(thread)).ringAnyway();
    this.mode = done;
  }
}

export function scriptsOf(sizes: readonly (readonly number[])[]): Uint8Array[][] {
  return sizes.map((row, i) => row.map((size, n) => frameOf(i + 1, n, size)));
}

function saltOf(producer: number): number {
  return producer * 2 + 1;
}
