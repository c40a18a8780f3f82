// Which requests a vnode has done lately: operation id -> the dot its write was given. A client whose answer got lost sends
// the same request again; without this memory the retry would be a second write, and the key would have two siblings with
// the same value (A-83, research/wounds.md W11).
//
// Intuition: the id also lies beside the value in the record, which survives crashes; this memo answers when the value has
// already been replaced, and survives sleep and moves. Both can only forget: then a retry becomes a sibling, which is a nuisance
// and not a loss.
//
// Invariant: at most `max` operations are remembered, the oldest go first; an operation belongs to one key of one store.

import { opMemoMax } from '../limits.ts';
import { nameOf } from '../storage/key.ts';
import type { Dot } from './dvv.ts';

/** By operation, key and store; the oldest first. Plain data: it is the state of the vnode, and travels with it. */
export type Operations = Map<string, Dot>;

export class OpMemo {
  private readonly dots: Operations;
  private readonly max: number;

  constructor(dots: Operations = new Map(), max: number = opMemoMax) {
    this.dots = dots;
    this.max = max;
  }

  get size(): number {
    return this.dots.size;
  }

  dotOf(store: string, key: Uint8Array, opId: string): Dot | undefined {
    return this.dots.get(joined(store, key, opId));
  }

  remember(store: string, key: Uint8Array, opId: string, dot: Dot): void {
    const name = joined(store, key, opId);
    this.dots.delete(name);
    this.dots.set(name, dot);
    if (this.dots.size > this.max) this.dots.delete(this.dots.keys().next().value as string);
  }

  /** Its write was refused after all. */
  forget(store: string, key: Uint8Array, opId: string): void {
    this.dots.delete(joined(store, key, opId));
  }
}

/** Operation ids and store names hold no NUL, so the parts cannot run into each other. */
function joined(store: string, key: Uint8Array, opId: string): string {
  return `${opId}\0${store}\0${nameOf(key)}`;
}
