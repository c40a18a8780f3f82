// What joins the threads of a simulated process: links inside of one thread, so that which of them runs next is the seed's to say.
//
//     n1/1 ──writer(2)──▶ link 1>2 ──a turn of n1/2──▶ its frames        each thread reads all that has come in one turn of its own
//
// Threads that are made here live and die with their process.

import type { Fabric, MemberPort } from '../runtime/thread-host.ts';
import type { ThreadPortHooks } from '../runtime/thread-port.ts';
import { MemoryLink } from './memory-link.ts';

export class MemoryFabric implements Fabric {
  readonly #ports: MemoryThreadPort[];

  /** `bytesMax`: what may wait on one link. */
  constructor(threads: number, bytesMax: number) {
    this.#ports = Array.from({ length: threads }, (_, thread) => new MemoryThreadPort(thread));
    for (const port of this.#ports)
      for (const to of this.#ports) if (port !== to) port.links.set(to.thread, to.linkFrom(port.thread, bytesMax));
  }

  port(thread: number, hooks: ThreadPortHooks): MemberPort {
    const port = this.#ports[thread] as MemoryThreadPort;
    port.hooks = hooks;
    return port;
  }

  /** They have one clock. */
  clockShift(): number {
    return 0;
  }
}

class MemoryThreadPort implements MemberPort {
  readonly thread: number;
  readonly links = new Map<number, MemoryLink>();
  hooks: ThreadPortHooks | undefined;
  #due: (() => void)[] = [];
  #runs = false;
  #isPlanned = false;
  turns = 0;
  readonly #loop = (): void => this.#turn();

  constructor(thread: number) {
    this.thread = thread;
  }

  linkFrom(from: number, bytesMax: number): MemoryLink {
    return new MemoryLink({
      from,
      bytesMax,
      onFrame: (...frame) => this.hooks?.onFrame(...frame),
      soon: fn => {
        this.#due.push(fn);
        this.#plan();
      },
    });
  }

  writer(to: number): MemoryLink {
    return this.links.get(to) as MemoryLink;
  }

  readAt(to: number): number {
    return this.writer(to).readAt;
  }

  unread(to: number): number {
    return this.writer(to).unread;
  }

  start(): void {
    this.#runs = true;
    if (this.#due.length > 0) this.#plan();
  }

  stop(): void {
    this.#runs = false;
  }

  ref(): void {
    // There is no event loop to keep.
  }

  drainRemainder(): number {
    return 0;
  }

  replace(): void {
    throw new Error('a simulated thread has no next life');
  }

  describe(): object {
    return { thread: this.thread, peers: [...this.links].map(([peer, link]) => ({ peer, ...link.stats() })) };
  }

  #plan(): void {
    if (this.#isPlanned || !this.#runs) return;
    this.#isPlanned = true;
    this.hooks?.soon(this.#loop);
  }

  #turn(): void {
    this.#isPlanned = false;
    this.turns++;
    for (const fn of this.#due.splice(0)) fn();
  }
}
