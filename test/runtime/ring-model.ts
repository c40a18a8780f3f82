// A model checker for the rings: runs the very classes of src/runtime (ring-writer, ring-reader, ring-set) over a simulated memory
// and tries every interleaving of their memory accesses, with the death of a thread between any two of them.
//
// How one source can be both production code and a model: a thread is a row of operations (send, poll, park). To move a thread by
// one access, the operation is run again from its start: accesses it has made before get the recorded answer, one more is
// carried out, and the one after that throws `pause`. So a state is plain data: memory, the fields of each thread's objects when
// its operation began, and the answers since. States that were seen before are not searched again.
//
// What is checked: every frame handed out is the next one, whole and unchanged; nobody sleeps while there is something to do and
// no one on the way to wake it; a thread alone comes to rest; where nothing can move any more, everything published has arrived;
// no plain access meets another one of the same cell (then, and only then, searching one access after the other is enough for
// the memory model of JavaScript, which promises sequential consistency to programs without races).

import {
  asleep,
  type Bench,
  Consumer,
  done,
  modeNames,
  Producer,
  type Program,
  Reaper,
  type RingKit,
  scriptsOf,
  stirring,
  waking,
} from './ring-programs.ts';
import { Hash, HashSet, type Pending, pause, SimPort, Stepper, Violation } from './ring-sim.ts';

export interface ModelConfig {
  /** A power of two, at least 32. The window is a quarter of it. */
  readonly capacity: number;
  /** Bytes of each frame (multiples of 4) each producer sends. Larger than the window: in pieces. */
  readonly frames: readonly (readonly number[])[];
  /** Where positions start; near 2^31 they change sign on the way. */
  readonly start?: number;
  /** Frames the consumer takes a poll. */
  readonly pollMax?: number;
  /** Threads that may die, one of them, at any point: 0 is the consumer. */
  readonly mortal?: readonly number[];
  /** How often the sleeping consumer may wake by itself, as if it had something to send. */
  readonly stirs?: number;
  /** False: only atomic accesses are scheduling points. Sound where a full search has found no race. Default true. */
  readonly everyAccess?: boolean;
}

export interface ModelResult {
  readonly states: number;
  readonly steps: number;
  readonly violation: string | null;
  /** Who moved, in order, up to the violation. */
  readonly trace: readonly string[];
}

interface ThreadState extends Pending {
  /** The fields of the thread's objects when the operation began, or since the last one ended. */
  readonly fields: readonly unknown[];
  readonly mode: number;
  /** -1 between operations. */
  readonly operation: number;
  /** Answers the operation has got so far. */
  readonly answers: readonly number[];
  /** A hash over all of this, computed once. */
  readonly hashA: number;
  readonly hashB: number;
}

interface State {
  readonly memory: Int32Array;
  /** The consumer, the producers, the reaper. */
  readonly threads: readonly ThreadState[];
  readonly died: boolean;
}

// A move is operation * 16 + thread, or this + thread when the thread dies instead.
const dying = 1024;
/** Accesses after which a thread alone is taken to go round in circles; all frames of a case take fewer than half. */
const restMax = 500;
const bellCells = 3;

export function checkRings(kit: RingKit, config: ModelConfig): ModelResult {
  return new Search(kit, config).run();
}

class Search {
  private readonly config: ModelConfig;
  private readonly stepper = new Stepper();
  private readonly programs: Program[];
  private readonly producers: number;
  private readonly window: number;
  private readonly ringCells: number;
  private readonly seen = new HashSet();
  private readonly hash = new Hash();
  private steps = 0;

  constructor(kit: RingKit, config: ModelConfig) {
    this.config = config;
    this.producers = config.frames.length;
    this.window = config.capacity / 4;
    this.ringCells = 5 + (config.capacity + this.window + 8) / 4;
    this.stepper.everyAccess = config.everyAccess ?? true;
    this.programs = this.build(kit);
  }

  run(): ModelResult {
    const stack: { state: State; moves: number[]; next: number }[] = [];
    const enter = (state: State): void => {
      if (!this.seen.add(this.hashOf(state))) return;
      this.checkSleep(state);
      this.checkRest(state);
      const moves = this.moves(state);
      if (moves.every(move => move >= dying)) this.checkEnd(state);
      stack.push({ state, moves, next: 0 });
    };
    let violation: string | null = null;
    try {
      const threads = this.programs.map(program => this.resting(program));
      enter({ memory: this.stepper.memory.slice(), threads, died: false });
      for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
        if (top.next === top.moves.length) stack.pop();
        else enter(this.move(top.state, top.moves[top.next++] as number));
      }
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      violation = error instanceof Violation ? error.message : `${error.name}: ${error.message}`;
    }
    const trace = stack.map(({ state, moves, next }) => this.tell(state, moves[next - 1] as number));
    return { states: this.seen.size, steps: this.steps, violation, trace };
  }

  // Memory: three cells a thread (bell, waiter, wake-up), then a ring a producer: tail, head, waiting, status, published, data.
  private bellAt(thread: number): number {
    return thread * bellCells;
  }

  private ringAt(producer: number): number {
    return (this.producers + 1) * bellCells + (producer - 1) * this.ringCells;
  }

  private build(kit: RingKit): Program[] {
    const { stepper, config, producers } = this;
    stepper.memory = new Int32Array(this.ringAt(producers + 1));
    for (let p = 1; p <= producers; p++) stepper.memory.fill(config.start ?? 0, this.ringAt(p), this.ringAt(p) + 2);
    const bench: Bench = {
      kit,
      stepper,
      capacity: config.capacity,
      frames: scriptsOf(config.frames),
      pollMax: config.pollMax ?? 99,
      stirs: config.stirs ?? 0,
      bells: new SimPort(stepper, cell => cell),
      bellAt: thread => this.bellAt(thread),
      portOf: p => this.portOf(kit, p),
      published: p => stepper.memory[this.ringAt(p) + 4] as number,
    };
    return stepper.outside(() => {
      const programs: Program[] = [new Consumer(bench)];
      for (let p = 1; p <= producers; p++) programs.push(new Producer(bench, p));
      return [...programs, new Reaper(bench)];
    });
  }

  private portOf(kit: RingKit, producer: number): SimPort {
    const base = this.ringAt(producer);
    const control = [kit.tailCell, kit.headCell, kit.waitingCell, kit.statusCell];
    const place = (cell: number): number => {
      if (cell >= kit.dataCell) return base + 5 + cell - kit.dataCell;
      if (!control.includes(cell)) throw new Error(`the model has no cell ${cell}`);
      return base + control.indexOf(cell);
    };
    return new SimPort(this.stepper, place, cell => {
      if (cell === kit.tailCell) (this.stepper.memory[base + 4] as number)++;
    });
  }

  /** What can happen next. */
  private moves({ threads, memory, died }: State): number[] {
    const moves: number[] = [];
    for (let i = 0; i < threads.length; i++) {
      const { alive, operation, mode, fields } = threads[i] as ThreadState;
      const reaper = i > this.producers;
      if (!alive || mode === done || (reaper && !died)) continue;
      if (operation >= 0) moves.push(operation * 16 + i);
      else {
        if (mode < asleep) moves.push(mode * 16 + i);
        if (!reaper && memory[this.bellAt(i) + SimPort.wake] === 1) moves.push(waking * 16 + i);
        if (mode === asleep && this.programs[i]?.restive(fields)) moves.push(stirring * 16 + i);
      }
      if (!died && this.config.mortal?.includes(i)) moves.push(dying + i);
    }
    return moves;
  }

  private move(state: State, move: number): State {
    const index = move % 16;
    const threads = state.threads.slice();
    const before = threads[index] as ThreadState;
    if (move >= dying) {
      const { fields, mode, operation, answers } = before;
      threads[index] = this.threadOf(false, fields, mode, operation, answers, -1, false, false);
      return { memory: state.memory, threads, died: true };
    }
    this.steps++;
    const program = this.programs[index] as Program;
    const stepper = this.stepper;
    const operation = move >> 4;
    stepper.prepare(state.memory.slice(), before.answers.slice(), index, state.threads);
    program.load(before.fields);
    program.mode = before.mode;
    try {
      program.run(operation);
    } catch (error) {
      if (error !== pause) throw error;
    }
    if (stepper.paused) {
      const { answers, cell, plain, writes } = stepper;
      threads[index] = this.threadOf(true, before.fields, before.mode, operation, answers, cell, plain, writes);
    } else threads[index] = this.resting(program);
    return { memory: stepper.memory, threads, died: state.died };
  }

  /** Nobody sleeps through something unless somebody else is in the middle of an operation that may wake it. */
  private checkSleep({ memory, threads, died }: State): void {
    for (let p = 1; p <= this.producers; p++) {
      if (memory[this.ringAt(p) + 3] !== 0) throw new Violation(`the ring of producer ${p} was closed`);
    }
    if (!quiet(threads) || (died && threads[this.producers + 1]?.mode !== done)) return;
    for (let p = 1; p <= this.producers; p++) {
      const held = ((memory[this.ringAt(p)] as number) - (memory[this.ringAt(p) + 1] as number)) | 0;
      if (held > 0 && this.sleeps(threads, 0, memory)) {
        throw new Violation(`the consumer sleeps while producer ${p} has published`);
      }
      const room = this.config.capacity - held;
      if (threads[0]?.alive && room >= this.window + 8 && this.sleeps(threads, p, memory)) {
        throw new Violation(`producer ${p} sleeps although there is room`);
      }
    }
  }

  /** While the others stand still, each thread comes to rest by itself: it sleeps, or it is done. */
  private checkRest(state: State): void {
    if (!quiet(state.threads)) return;
    for (let i = 0; i <= this.producers; i++) {
      let now = state;
      for (let count = 0; ; count++) {
        const move = this.moves(now).find(next => next % 16 === i && next < dying && next >> 4 !== stirring);
        if (move === undefined) break;
        if (count === restMax) throw new Violation(`${this.programs[i]?.name} never comes to rest`);
        now = this.move(now, move);
      }
    }
  }

  /** Nothing can move any more: then everything has arrived, unless the consumer is dead. */
  private checkEnd({ memory, threads }: State): void {
    const [consumer, ...others] = threads as [ThreadState, ...ThreadState[]];
    for (let p = 1; p <= this.producers; p++) {
      const { alive, mode } = others[p - 1] as ThreadState;
      if (alive && mode !== done && (consumer.alive || mode !== asleep)) throw new Violation(`producer ${p} is stuck`);
      if (consumer.alive && memory[this.ringAt(p)] !== memory[this.ringAt(p) + 1]) {
        throw new Violation(`frames of producer ${p} were left behind`);
      }
    }
  }

  private sleeps(threads: readonly ThreadState[], index: number, memory: Int32Array): boolean {
    const { alive, mode } = threads[index] as ThreadState;
    return alive && mode === asleep && memory[this.bellAt(index) + SimPort.wake] === 0;
  }

  private resting(program: Program): ThreadState {
    return this.threadOf(true, program.save(), program.mode, -1, [], -1, false, false);
  }

  private threadOf(
    alive: boolean,
    fields: readonly unknown[],
    mode: number,
    operation: number,
    answers: readonly number[],
    cell: number,
    plain: boolean,
    writes: boolean,
  ): ThreadState {
    const hash = this.hash.reset();
    hash.mix(((alive ? 1 : 0) << 16) | ((mode + 1) << 8) | (operation + 1));
    if (alive) {
      for (let i = 0; i < fields.length; i++) hash.mixField(fields[i]);
      hash.mixAll(answers);
    }
    return { alive, fields, mode, operation, answers, cell, plain, writes, hashA: hash.a, hashB: hash.b };
  }

  private hashOf({ memory, threads, died }: State): number {
    const hash = this.hash.reset();
    hash.mix(died ? 1 : 0);
    hash.mixAll(memory);
    for (let i = 0; i < threads.length; i++) {
      const thread = threads[i] as ThreadState;
      hash.mix(thread.hashA);
      hash.mix(thread.hashB);
    }
    return hash.value();
  }

  private tell(state: State, move: number): string {
    const name = this.programs[move % 16]?.name;
    if (move >= dying) return `${name} dies`;
    const { answers, operation } = state.threads[move % 16] as ThreadState;
    return `${name}: ${modeNames[move >> 4]}${operation < 0 ? '' : `, access ${answers.length + 1}`}`;
  }
}

/** Nobody alive is in the middle of an operation. */
function quiet(threads: readonly ThreadState[]): boolean {
  for (let i = 0; i < threads.length; i++) {
    const thread = threads[i] as ThreadState;
    if (thread.alive && thread.operation >= 0) return false;
  }
  return true;
}
