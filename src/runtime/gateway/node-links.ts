// The links a gateway writes to: rings to the threads of its process, and above their numbers those to other nodes.

import type { FarLinks } from '../far-wire.ts';
import type { LinkWriter } from '../link.ts';
import type { Clock } from '../world.ts';

/** A link to another node that also says how far the other side is: 32-bit positions, of which only the difference counts. */
export interface NodeLink extends LinkWriter {
  readonly readAt: number;
  readonly unread: number;
}

export class NodeLinks implements FarLinks {
  readonly #threads: FarLinks;
  readonly #count: number;
  readonly #clock: Clock;
  readonly #links = new Map<number, NodeLink>();
  #own = 0;
  #turning = false;

  /** `count`: how many numbers belong to threads. */
  constructor(threads: FarLinks, count: number, clock: Clock) {
    this.#threads = threads;
    this.#count = count;
    this.#clock = clock;
  }

  /** Of the port's polls and of our own turns: both only rise. A process of one thread never polls. */
  get turns(): number {
    if (!this.#turning) {
      this.#turning = true;
      this.#clock.soon(() => {
        this.#turning = false;
        this.#own++;
      });
    }
    return this.#threads.turns + this.#own;
  }

  add(number: number, link: NodeLink): void {
    this.#links.set(number, link);
  }

  remove(number: number): void {
    this.#links.delete(number);
  }

  writer(to: number): LinkWriter {
    return to < this.#count ? this.#threads.writer(to) : this.#link(to);
  }

  readAt(to: number): number {
    return to < this.#count ? this.#threads.readAt(to) : this.#link(to).readAt;
  }

  unread(to: number): number {
    return to < this.#count ? this.#threads.unread(to) : this.#link(to).unread;
  }

  #link(number: number): NodeLink {
    const link = this.#links.get(number);
    if (link === undefined) throw new Error(`there is no link of number ${number}`);
    return link;
  }
}
