// Which requests a vnode has done lately: operation id -> the dot its write was given. A client whose answer got lost sends
// the same request again; without this memory the retry would be a second write, and the key would have two siblings with
// the same value (A-83, research/wounds.md W11).
//
// Intuition: the id also lies beside the value in the record, which survives crashes; this memo answers when the value has
// already been replaced. Both can only forget: then a retry becomes a sibling, which is a nuisance and not a loss.
//
// Invariant: at most `max` operations are remembered, the oldest go first; an operation belongs to one key of one store.

import { opMemoMax } from '../limits.ts';
import type { Dot } from './dvv.ts';

export class OpMemo {
  private readonly dots = new Map<string, Dot>();
  private readonly max: number;

  constructor(max: number = opMemoMax) {
    this.max = max;
  }

  get size(): number {
    return this.dots.size;
  }

  dotOf(store: string, key: Uint8Array, opId: string): Dot | undefined {
    return this.dots.get(nameOf(store, key, opId));
  }

  remember(store: string, key: Uint8Array, opId: string, dot: Dot): void {
    const name = nameOf(store, key, opId);
    this.dots.delete(name);
    this.dots.set(name, dot);
    if (this.dots.size > this.max) this.dots.delete(this.dots.keys().next().value as string);
  }

  /** Its write was refused after all. */
  forget(store: string, key: Uint8Array, opId: string): void {
    this.dots.delete(nameOf(store, key, opId));
  }
}

/** Operation ids hold no spaces and no NUL, store names neither, so the parts cannot run into each other. */
function nameOf(store: string, key: Uint8Array, opId: string): string {
  let text = `${opId}\0${store}\0`;
  for (let i = 0; i < key.length; i++) text += String.fromCharCode(key[i] as number);
  return text;
}
