// The few things a ring may do to memory that other threads also touch. The ring, its bell and its parking protocol are
// written against this interface and nothing else, so the very lines that run in production over a SharedArrayBuffer
// are the lines that the model checker (test/runtime/ring-model.ts) interleaves step by step over a simulated memory.
//
// Two kinds of access, and the difference is the whole protocol:
//   load, store, cas     atomic and sequentially consistent; how threads agree.
//   peek, poke, copy...  plain; allowed only on cells that no other thread may touch at that moment. The checker proves
//                        it: two plain accesses that could meet are reported as a race. Race-free programs run as if all
//                        steps were interleaved one by one (ECMAScript memory model, SC for DRF), which is what is searched.
//
// Hot path: AtomicsPort is the only implementation production loads, so every call here is monomorphic and inlined. Measured
// against a copy of the ring with Atomics written out by hand: 50-55 ns a frame (written and read on one core) against 49-53.

export interface MemoryPort {
  /** All of the memory, for encoders and decoders that work in place. Offsets are bytes from its start. */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  load(cell: number): number;
  store(cell: number, value: number): void;
  /** True when the cell held `expected` and now holds `value`. */
  cas(cell: number, expected: number, value: number): boolean;
  peek(cell: number): number;
  poke(cell: number, value: number): void;
  /** Copies source[start, start + count) to offset `at` of this memory. */
  copyIn(at: number, source: Uint8Array, start: number, count: number): void;
  /** Copies `count` bytes from offset `at` of this memory to target[start...]. */
  copyOut(at: number, target: Uint8Array, start: number, count: number): void;
  /** A digest of the `count` bytes at `at` (a multiple of 4): every word of a short frame, both ends of a long one. */
  digest(at: number, count: number): number;
  /** Calls woken once, in a later turn, after a notify of this cell; false (and never calls) if it does not hold `expected`. */
  wait(cell: number, expected: number, woken: () => void): boolean;
  /** Wakes whoever waits for the cell; a bell has one owner, so that is one or nobody. */
  notify(cell: number): void;
}

/** Frames up to this many words are digested whole; of longer ones this many words in all, half from either end. */
export const digestWords = 16;

export class AtomicsPort implements MemoryPort {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  private readonly cells: Int32Array;

  constructor(memory: SharedArrayBuffer) {
    this.bytes = new Uint8Array(memory);
    this.view = new DataView(memory);
    this.cells = new Int32Array(memory);
  }

  load(cell: number): number {
    return Atomics.load(this.cells, cell);
  }

  store(cell: number, value: number): void {
    Atomics.store(this.cells, cell, value);
  }

  cas(cell: number, expected: number, value: number): boolean {
    return Atomics.compareExchange(this.cells, cell, expected, value) === expected;
  }

  peek(cell: number): number {
    return this.cells[cell] as number;
  }

  poke(cell: number, value: number): void {
    this.cells[cell] = value;
  }

  copyIn(at: number, source: Uint8Array, start: number, count: number): void {
    this.bytes.set(count === source.length ? source : source.subarray(start, start + count), at);
  }

  copyOut(at: number, target: Uint8Array, start: number, count: number): void {
    target.set(this.bytes.subarray(at, at + count), start);
  }

  digest(at: number, count: number): number {
    const cells = this.cells;
    const first = at >> 2;
    const words = (count + 3) >> 2;
    let sum = 0;
    if (words <= digestWords) {
      for (let i = first; i < first + words; i++) sum = ((sum << 5) - sum + (cells[i] as number)) | 0;
      return sum;
    }
    const last = first + words - digestWords / 2;
    for (let i = 0; i < digestWords / 2; i++) {
      sum = ((sum << 5) - sum + (cells[first + i] as number)) | 0;
      sum = ((sum << 5) - sum + (cells[last + i] as number)) | 0;
    }
    return sum;
  }

  wait(cell: number, expected: number, woken: () => void): boolean {
    const answer = Atomics.waitAsync(this.cells, cell, expected);
    if (!answer.async) return false;
    void answer.value.then(woken);
    return true;
  }

  notify(cell: number): void {
    Atomics.notify(this.cells, cell);
  }
}
