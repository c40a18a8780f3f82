// What joins the threads of a simulated process: links inside of one thread, so that which of them runs next is the seed's to say.
//
//     n1/1 ──writer(2)──▶ link 1>2 ──a turn of n1/2──▶ its frames        each thread reads all that has come in one turn of its own
//
// A thread that dies has sent what it has sent: that is read still, behind which its successor begins with links of its own.

import type { Fabric, MemberPort } from '../runtime/thread-host.ts';
import type { ThreadPortHooks } from '../runtime/thread-port.ts';
import { MemoryLink } from './memory-link.ts';

export class MemoryFabric implements Fabric {
  readonly #ports: MemoryThreadPort[];
  readonly #bytesMax: number;

  /** `bytesMax`: what may wait on one link. */
  constructor(threads: number, bytesMax: number) {
    this.#bytesMax = bytesMax;
    this.#ports = Array.from({ length: threads }, (_, thread) => new MemoryThreadPort(thread));
    for (const port of this.#ports)
      for (const to of this.#ports) if (port !== to) port.links.set(to.thread, to.linkFrom(port.thread, bytesMax));
  }

  /** What is on its way to that thread is lost, and it sends nothing more. The others go on with its successor once they replace() it. */
  die(thread: number): void {
    const dead = this.#ports[thread] as MemoryThreadPort;
    const next = new MemoryThreadPort(thread);
    this.#ports[thread] = next;
    dead.stop();
    for (const link of dead.links.values()) link.mute();
    for (const other of this.#ports) {
      if (other === next) continue;
      const link = next.linkFrom(other.thread, this.#bytesMax);
      next.links.set(other.thread, other.linkFrom(thread, this.#bytesMax));
      // One that has not begun yet begins with what there is then, and never hears what was sent to it before.
      if (!other.runs) {
        for (const unread of [dead.links, dead.fresh]) unread.get(other.thread)?.close();
        other.links.set(thread, link);
        continue;
      }
      other.links.get(thread)?.close();
      other.fresh.set(thread, link);
      other.dead.set(thread, dead);
    }
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
  /** To the successors of threads that have died. */
  readonly fresh = new Map<number, MemoryLink>();
  /** Of which there may be something to read. */
  readonly dead = new Map<number, MemoryThreadPort>();
  hooks: ThreadPortHooks | undefined;
  #due: (() => void)[] = [];
  runs = false;
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
    this.runs = true;
    if (this.#due.length > 0) this.#plan();
  }

  stop(): void {
    this.runs = false;
  }

  ref(): void {
    // There is no event loop to keep.
  }

  drainRemainder(peer: number): number {
    return this.dead.get(peer)?.links.get(this.thread)?.drain() ?? 0;
  }

  replace(peer: number): void {
    const fresh = this.fresh.get(peer);
    if (fresh === undefined) return;
    this.drainRemainder(peer);
    this.fresh.delete(peer);
    this.dead.delete(peer);
    this.links.get(peer)?.followBy(fresh);
    this.links.set(peer, fresh);
  }

  describe(): object {
    return { thread: this.thread, peers: [...this.links].map(([peer, link]) => ({ peer, ...link.stats() })) };
  }

  #plan(): void {
    if (this.#isPlanned || !this.runs) return;
    this.#isPlanned = true;
    this.hooks?.soon(this.#loop);
  }

  #turn(): void {
    this.#isPlanned = false;
    this.turns++;
    for (const fn of this.#due.splice(0)) fn();
  }
}
