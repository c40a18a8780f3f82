// Hot path: bench/codec watches it. Numbers for the actors a link talks about, so that a frame names its target in four
// bytes. Each link has one table on the side that sends and one on the side that receives; links are first in, first out,
// so the two agree without a word: `bind(slot, type, key)` comes before the first frame that uses the slot.
//
// The intuition: the sender's side is a direct-mapped cache. An address falls on one slot; whoever is there has to go,
// and is named anew when it is spoken of again. Nobody counts uses and nothing is ever unbound.
//
// A link that is replaced, because a thread died, starts with two empty tables.

import { internedTargetsMax } from '../limits.ts';
import { badMessage } from './wire-ext.ts';

/** Slots a table begins with; it doubles when addresses keep displacing each other. Most links never need more. */
const slotsMin = 256;

export class TargetTable {
  /** null: nothing bound yet. */
  private readonly types: (string | null)[] = new Array<string | null>(slotsMin).fill(null);
  private readonly keys: string[] = new Array<string>(slotsMin).fill('');
  private displaced = 0;

  /**
   * The slot bound to an address, or the complement (~slot) of the slot to bind. `hint`: the slot this address had last
   * time, or -1; it saves hashing the key.
   */
  slotOf(type: string, key: string, hint: number): number {
    if (hint >= 0 && this.keys[hint] === key && this.types[hint] === type) return hint;
    const slot = hashOf(type, key) & (this.keys.length - 1);
    return this.keys[slot] === key && this.types[slot] === type ? slot : ~slot;
  }

  /** Notes that the other side has been told. */
  bind(slot: number, type: string, key: string): void {
    if (this.types[slot] !== null && ++this.displaced > this.keys.length / 4) this.grow();
    this.types[slot] = type;
    this.keys[slot] = key;
  }

  addressOf(slot: number): { type: string; key: string } | undefined {
    const type = this.types[slot];
    return type == null ? undefined : { type, key: this.keys[slot] as string };
  }

  /** What is bound stays bound, to the slot it has; only hints still lead there. */
  private grow(): void {
    this.displaced = 0;
    const slots = this.keys.length;
    if (slots >= internedTargetsMax) return;
    for (let i = 0; i < slots; i++) {
      this.types.push(null);
      this.keys.push('');
    }
  }
}

/** An address the receiver cannot make anything of, e.g. an actor type it does not have. */
export class Unresolved {
  readonly error: unknown;

  constructor(error: unknown) {
    this.error = error;
  }
}

/** The receiver's side: slots to whatever it keeps for an address. */
export class BoundTargets<T> {
  private readonly targets: (T | Unresolved | undefined)[] = [];
  private readonly resolve: (type: string, key: string) => T;

  constructor(resolve: (type: string, key: string) => T) {
    this.resolve = resolve;
  }

  bind(slot: number, type: string, key: string): void {
    if (slot >= internedTargetsMax) throw badMessage(`slot ${slot}, beyond the table`, slotAt);
    while (this.targets.length <= slot) this.targets.push(undefined);
    try {
      this.targets[slot] = this.resolve(type, key);
    } catch (error) {
      // The frames that follow for this slot are refused one by one, the link goes on.
      this.targets[slot] = new Unresolved(error);
    }
  }

  at(slot: number): T | Unresolved {
    const target = slot < this.targets.length ? this.targets[slot] : undefined;
    if (target === undefined) throw badMessage(`slot ${slot}, which was never bound`, slotAt);
    return target;
  }
}

/** Where a frame has its slot, for the message of an error. */
const slotAt = 4;

function hashOf(type: string, key: string): number {
  let hash = type.length;
  for (let i = 0; i < type.length; i++) hash = Math.imul(hash ^ type.charCodeAt(i), 0x0100_0193);
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x0100_0193);
  return (hash ^ (hash >>> 15)) >>> 0;
}
