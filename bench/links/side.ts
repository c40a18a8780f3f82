// What a way between two processes has to do to take part: carry frames of bytes to a child process and back. The far process counts
// and sums what it is told (so that a frame is confirmed by its receiver) and sends back what it is asked.
//
//     a frame: [ what u8 | zero 3 | number u32 | payload ]             little-endian

import { type ChildProcess, fork } from 'node:child_process';
import type { Done } from '../harness.ts';

/** One end of a way, either process's. */
export interface Pipe {
  /** False: it is full and has taken nothing. */
  send(frame: Uint8Array): boolean;
  /** Calls fn once when there may be room again. */
  onWritable(fn: () => void): void;
  close(): Promise<void>;
}

export type OnFrame = (bytes: Uint8Array, view: DataView, start: number, end: number) => void;

/** How the two ends of a way come about. What `listen` returns is sent to the other process for `dial`. */
export interface Way {
  /** What the far end is made of beside its name: plain data. */
  readonly far?: unknown;
  listen(onFrame: OnFrame): Promise<{ address: string; pipe: Promise<Pipe> }>;
  dial(address: string, onFrame: OnFrame, child: ChildProcess): Promise<Pipe>;
}

export const headBytes = 8;
export const whatHit = 1;
export const whatEcho = 2;
export const whatTally = 3;

export class LinkSide {
  private readonly name: string;
  private readonly way: () => Promise<Way>;
  private child: ChildProcess | undefined;
  private pipe: Pipe | undefined;
  private numbers = 0;
  private readonly waiting = new Map<number, (reply: Uint8Array) => void>();

  /** `name`: of the way, for far.ts; `way`: this process's end of it. */
  constructor(name: string, way: () => Promise<Way>) {
    this.name = name;
    this.way = way;
  }

  async setup(): Promise<void> {
    const way = await this.way();
    const child = fork(new URL('./far.ts', import.meta.url), [this.name], { serialization: 'advanced' });
    this.child = child;
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    child.once('message', address => resolve(address as string));
    child.send({ far: way.far });
    child.once('exit', code => reject(new Error(`the far process ended with ${code}`)));
    const address = await promise;
    this.pipe = await way.dial(address, (bytes, view, start, end) => this.onFrame(bytes, view, start, end), child);
    await this.tally();
  }

  /** n frames of so many bytes one way, each sent on its own as it comes. */
  async hit(n: number, bytes: number): Promise<Done> {
    const frame = frameOf(whatHit, bytes);
    const view = new DataView(frame.buffer);
    const before = await this.tally();
    const began = performance.now();
    for (let i = 0; i < n; i++) {
      view.setUint32(4, i, true);
      while (!this.open.send(frame)) await new Promise<void>(resolve => this.open.onWritable(resolve));
    }
    const after = await this.tally();
    return { done: after.count - before.count, ms: performance.now() - began, hash: (after.sum - before.sum) >>> 0 };
  }

  /** The number and the bytes there and back. Resolves with how many bytes came back. */
  async echo(bytes: number): Promise<number> {
    return (await this.ask(whatEcho, bytes)).length;
  }

  async teardown(): Promise<void> {
    await this.pipe?.close();
    const { child } = this;
    if (child === undefined || child.exitCode !== null) return;
    const gone = new Promise(resolve => child.once('exit', resolve));
    child.kill();
    await gone;
  }

  private get open(): Pipe {
    if (this.pipe === undefined) throw new Error('run before setup');
    return this.pipe;
  }

  private async tally(): Promise<{ count: number; sum: number }> {
    const reply = await this.ask(whatTally, headBytes + 16);
    const view = new DataView(reply.buffer);
    return { count: view.getFloat64(headBytes, true), sum: view.getUint32(headBytes + 8, true) };
  }

  private async ask(what: number, bytes: number): Promise<Uint8Array> {
    const number = this.numbers++ >>> 0;
    const { promise, resolve } = Promise.withResolvers<Uint8Array>();
    this.waiting.set(number, resolve);
    const frame = frameOf(what, bytes);
    new DataView(frame.buffer).setUint32(4, number, true);
    while (!this.open.send(frame)) await new Promise<void>(go => this.open.onWritable(go));
    return promise;
  }

  private onFrame(bytes: Uint8Array, view: DataView, start: number, end: number): void {
    const number = view.getUint32(start + 4, true);
    this.waiting.get(number)?.(new Uint8Array(bytes.subarray(start, end)));
    this.waiting.delete(number);
  }
}

export function frameOf(what: number, bytes: number): Uint8Array {
  const frame = new Uint8Array(bytes).fill(7);
  frame.fill(0, 0, headBytes);
  frame[0] = what;
  return frame;
}
