// What keeps the order of a sender when the way to a partition changes: its last word by the old way.
//
//     X ──m1──▶ n1 (old owner) ──m1──▶ n2            X hears that n2 owns it now:
//       ──last─▶ n1 ────────────last──▶ n2               behind m1, by the same way
//       ──m2────────────────────────────▶ n2           waits at n2 until X's last word is there
//
// The intuition: links are first in, first out, and n1 sends on what it gets in the order in which it got it. So when the last word
// is there, everything before it is. n2 itself is a sender, too: its own threads wait (held.ts) for its own last word.
//
// Where a link breaks, what was on it is lost or refused, and nothing need be waited for: X says its last word to n2 directly.
// A wait ends after lastWordMs in any case, and is counted: order is kept as long as links hold.
//
// Invariant: from each sender n2 passes on what came by n1 first; the word carries the turn that X believes in, so an old one ends nothing.

import { TroupeError } from '../../errors.ts';
import { handoffHeldMax, lastWordKeepMs, lastWordMs } from '../../limits.ts';
import type { FarMessage } from '../far-moves.ts';
import type { FarRouter } from '../far-router.ts';
import type { Gateway } from '../gateway/gateway.ts';
import type { OnWait } from '../gateway/homes.ts';
import { numberIn, textIn } from '../gateway/words.ts';
import type { BaseRef } from '../refs.ts';
import { ringPartitionOf } from './ring-partition.ts';

interface Waiting {
  readonly entries: { readonly ref: BaseRef; readonly message: FarMessage; readonly from: number }[];
  readonly over: Promise<void>;
  readonly end: () => void;
}

interface Settling {
  readonly turn: number;
  /** The old owner; what comes from there passes. */
  readonly via: string;
  readonly marked: Set<string>;
  readonly waiting: Map<string, Waiting>;
  /** Words of later turns, for whoever owns it by then: not before the one that is missed here, of the same node. */
  readonly later: Map<string, (() => void)[]>;
  /** Resolves with our own last word. */
  readonly own: Promise<void>;
  readonly ownCame: () => void;
  count: number;
}

interface Said {
  readonly turn: number;
  readonly by: string;
}

/** How soon it is looked again whether something still waits here for a mailbox over there. */
const lookAgainMs = 2;

export class LastWords {
  readonly #router: FarRouter;
  readonly #gateway: Gateway;
  readonly #settling = new Map<number, Settling>();
  readonly #said = new Map<number, Said>();
  /** Waits that ended without a word. */
  late = 0;

  constructor(router: FarRouter, gateway: Gateway) {
    this.#router = router;
    this.#gateway = gateway;
    gateway.on('last', (from, word) =>
      this.#heard(numberIn(word?.partition), numberIn(word?.turn), textIn(word?.node), gateway.nameOf(from)),
    );
  }

  get any(): boolean {
    return this.#settling.size !== 0;
  }

  // At the new owner.

  /** It is ours from now on. Resolves when whatever this node has sent by the old way is back. */
  begin(partition: number, turn: number, via: string): void {
    this.#end(partition);
    const { promise: own, resolve: ownCame } = Promise.withResolvers<void>();
    const marked = new Set([via]);
    this.#settling.set(partition, { turn, via, marked, waiting: new Map(), later: new Map(), own, ownCame, count: 0 });
    this.#after(lastWordMs, partition, turn, () => this.#markAll(partition));
    this.#after(lastWordKeepMs, partition, turn, () => this.#end(partition));
  }

  #after(ms: number, partition: number, turn: number, then: () => void): void {
    this.#gateway.timers.later(ms, () => {
      if (this.#settling.get(partition)?.turn === turn) then();
    });
  }

  own(partition: number): Promise<void> {
    return this.#settling.get(partition)?.own ?? Promise.resolve();
  }

  /** Does anything still wait here? */
  isSettled(partition: number): boolean {
    const settling = this.#settling.get(partition);
    return settling === undefined || settling.waiting.size === 0;
  }

  /** False: it passes. Throws OVERLOADED. */
  detain(partition: number, from: number, ref: BaseRef, message: FarMessage, onWait?: OnWait): boolean {
    const settling = this.#settling.get(partition);
    if (settling === undefined || from < this.#router.threads) return false;
    const node = this.#gateway.nameOf(from) ?? '';
    if (settling.marked.has(node)) return false;
    if (settling.count >= handoffHeldMax) {
      const why = `${handoffHeldMax} messages wait for the last word of their senders by the old owner of partition ${partition}; this one, to ${ref.toString()}, was not run`;
      throw new TroupeError('OVERLOADED', why, { details: { partition } });
    }
    let waiting = settling.waiting.get(node);
    if (waiting === undefined) {
      const { promise: over, resolve: end } = Promise.withResolvers<void>();
      waiting = { entries: [], over, end };
      settling.waiting.set(node, waiting);
    }
    waiting.entries.push({ ref, message, from });
    settling.count++;
    if (settling.count > handoffHeldMax / 2) onWait?.(waiting.over);
    return true;
  }

  #markAll(partition: number): void {
    const settling = this.#settling.get(partition);
    if (settling === undefined) return;
    const { turn } = settling;
    if (!settling.marked.has(this.#self)) this.late++;
    for (const node of [this.#self, ...settling.waiting.keys(), ...settling.later.keys()]) {
      if (settling.waiting.has(node)) this.late++;
      this.#mark(partition, turn, node);
    }
  }

  get #self(): string {
    return this.#router.host.node;
  }

  #mark(partition: number, turn: number, node: string): void {
    const settling = this.#settling.get(partition);
    if (settling?.turn !== turn || settling.marked.has(node)) return;
    settling.marked.add(node);
    if (node === this.#self) settling.ownCame();
    const waiting = settling.waiting.get(node);
    settling.waiting.delete(node);
    this.#letGo(partition, waiting);
    const later = settling.later.get(node) ?? [];
    settling.later.delete(node);
    for (const pass of later) pass();
    // It may be handed on by now.
    if (settling.waiting.size === 0) this.#gateway.handoffs.ringChanged();
    const known = [...this.#gateway.nodes.names, ...this.#gateway.peers()];
    if (known.every(each => settling.marked.has(each))) this.#settling.delete(partition);
  }

  #letGo(partition: number, waiting: Waiting | undefined): void {
    if (waiting === undefined) return;
    const { host, held } = this.#router;
    const { homes } = this.#gateway;
    host.outside(() => {
      for (const { ref, message, from } of waiting.entries)
        try {
          const now = held.get(partition);
          if (now !== undefined && now.stage !== 'settling') held.take(now, ref, message);
          else if (homes.take(ref.toString(), message, -1)) continue;
          else if (now === undefined) held.send(ref, message);
          else held.pass(ref, message, from);
        } catch (error) {
          held.refuse(ref, message, error);
        }
    });
    waiting.end();
  }

  #end(partition: number): void {
    const settling = this.#settling.get(partition);
    if (settling === undefined) return;
    this.#markAll(partition);
    this.#settling.delete(partition);
  }

  // Everywhere.

  /** This node goes by the new owner from now on. */
  say(partition: number, turn: number, from: string): void {
    this.#said.set(partition, { turn, by: from });
    this.#gateway.timers.later(lastWordKeepMs, () => {
      if (this.#said.get(partition)?.turn === turn) this.#said.delete(partition);
    });
    this.#say(partition, turn, from);
  }

  #say(partition: number, turn: number, by: string): void {
    const word = { partition, turn, node: this.#self };
    const old = this.#gateway.linked(by);
    if (old !== undefined) this.#gateway.say(old, 'last', word);
    // Nothing of ours is on its way there.
    else this.#heard(partition, turn, this.#self);
  }

  /**
   * For us, or for whoever owns it by now: behind everything that we have sent on to him. A node that has spoken of a turn after ours
   * directly may have sent by our old owner what is not here yet: its word waits for the one of our turn, which comes by that way.
   */
  #heard(partition: number, turn: number, node: string, from?: string): void {
    const settling = this.#settling.get(partition);
    if (settling?.turn === turn) return this.#mark(partition, turn, node);
    const pass = (): void => this.#router.held.behind(partition, () => this.#pass(partition, turn, node));
    if (settling !== undefined && settling.turn < turn && !settling.marked.has(node)) {
      if (from !== settling.via) {
        settling.later.set(node, [...(settling.later.get(node) ?? []), pass]);
        return;
      }
      this.#mark(partition, settling.turn, node);
    }
    pass();
  }

  #pass(partition: number, turn: number, node: string): void {
    const owner = this.#gateway.nodes.ownerOf(partition);
    if (owner === this.#self) return;
    const number = owner === undefined ? undefined : this.#gateway.linked(owner);
    if (number === undefined) return;
    const isOf = (unit: string): boolean => ringPartitionOf(this.#router.host, unit) === partition;
    if (this.#router.peers[number]?.hasWaiting(isOf) === true)
      this.#gateway.timers.later(lookAgainMs, () => this.#pass(partition, turn, node));
    else this.#gateway.say(number, 'last', { partition, turn, node });
  }

  /** A session has ended: nothing that was on it comes any more. */
  lost(name: string): void {
    for (const [partition, { via }] of this.#settling) if (via === name) this.#markAll(partition);
    for (const [partition, { turn, by }] of this.#said) if (by === name) this.#say(partition, turn, by);
  }

  /** A session begins: what was said while there was none may not have come. */
  linked(name: string): void {
    for (const [partition, { turn, by }] of this.#said)
      if (this.#gateway.nodes.ownerOf(partition) === name) this.#say(partition, turn, by);
  }

  describe(): object {
    return {
      settling: [...this.#settling].map(([partition, { via, count, waiting }]) => ({
        partition,
        via,
        detained: count,
        waitFor: [...waiting.keys()],
      })),
      late: this.late,
    };
  }
}
