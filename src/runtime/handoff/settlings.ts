// Partitions that have become this node's, while last words of their senders are under way: what waits for them here (last-words.ts).
//
//     begin ──▶ X's m2 comes: kept ──▶ X's word, behind his m1 ──▶ m2 runs          all have said theirs ──▶ over
//                                └─ asked for, late ─┘
//
// Intuition: a word ends the wait of one turn. Where the partition has been here before, and words of that time are still owed, what they are
// behind comes first; so words wait for words, and messages for what was sent before them, also when the partition comes once more meanwhile.
//
// Invariant: of one sender, what waits here leaves in order, and behind whatever came by an owner before.

import { TroupeError } from '../../errors.ts';
import { handoffHeldMax, lastWordAskMs, lastWordKeepMs, lastWordMs } from '../../limits.ts';
import type { FarRouter } from '../far-router.ts';
import type { Gateway } from '../gateway/gateway.ts';
import type { OnWait } from '../gateway/homes.ts';
import {
  type Detained,
  hasSaid,
  type Owed,
  paid,
  type Settling,
  takenOver,
  takeWords,
  unlessOwed,
  unpostpone,
  type Waiting,
  type Word,
  waitsFor,
} from './settling.ts';

export class Settlings {
  readonly #router: FarRouter;
  readonly #gateway: Gateway;
  /** What this node itself has sent by the old way is back. */
  readonly #onOwn: (partition: number, turn: number) => void;
  readonly #settling = new Map<number, Settling>();
  /** The turn with which a partition became ours in this life. */
  readonly #begun = new Map<number, number>();
  /** Who had not said the last word of that turn when there was no more waiting: it may have been stopped all the time, and say it yet. */
  readonly #missed = new Map<number, { readonly turn: number; readonly nodes: Set<string> }>();
  /** By partition and node: the turn of the last word that has come, perhaps before the one that it is under way. */
  readonly #came = new Map<string, number>();
  /** Waits that ended without a word. */
  late = 0;

  constructor(router: FarRouter, gateway: Gateway, onOwn: (partition: number, turn: number) => void) {
    this.#router = router;
    this.#gateway = gateway;
    this.#onOwn = onOwn;
  }

  get any(): boolean {
    return this.#settling.size !== 0;
  }

  get(partition: number): Settling | undefined {
    return this.#settling.get(partition);
  }

  all(): Iterable<[partition: number, settling: Settling]> {
    return this.#settling;
  }

  /** It is ours from now on. `isTaken`: its owner was lost, and has not given it: nothing that he still sends on is waited for. */
  begin(partition: number, turn: number, via: string, isTaken: boolean): void {
    const owes = this.#owed(partition);
    const before = this.#settling.get(partition);
    const words = takeWords(before);
    const waiting = [...(before?.waiting ?? [])];
    before?.waiting.clear();
    this.end(partition);
    this.#begun.set(partition, turn);
    this.#missed.delete(partition);
    const settling = this.#settle(partition, turn, via, { only: null, isTaken, owes });
    for (const [node, entries] of waiting) {
      this.#wait(partition, settling, node, entries);
      // What the old owner sends passes: as soon as it is ours (entered).
      if (node === via) continue;
      const last = entries.entries.at(-1);
      // When the word has come that they have waited for until now: it is owed.
      const letGo = (): void => this.behindHeld(partition, () => this.letGo(partition, settling, node, last));
      unlessOwed(settling, node, (before?.turn ?? 0) + 1, letGo);
    }
    for (const [node, each] of words) for (const word of each) unlessOwed(settling, node, word.turn, word.pass);
  }

  /** It is ours now: so is what waits of whoever need not be waited for. */
  entered(partition: number): void {
    const settling = this.#settling.get(partition);
    for (const [node, { entries }] of [...(settling?.waiting ?? [])])
      if (settling?.marked.has(node) === true) this.letGo(partition, settling, node, entries.at(-1));
  }

  /** Who has not said his word of a turn when this was ours before: what he sent by the owner of that time may still come. */
  #owed(partition: number): Owed {
    const before = this.#settling.get(partition);
    const owes: Owed = new Map([...(before?.owes ?? [])].map(([node, turns]) => [node, new Map(turns)]));
    if (before === undefined) return owes;
    for (const node of this.#awaited(before))
      if (waitsFor(before, node) && !hasSaid(before, node) && node !== this.#self)
        owes.set(node, (owes.get(node) ?? new Map()).set(before.turn, before.via));
    return owes;
  }

  #settle(partition: number, turn: number, via: string, of: Pick<Settling, 'only' | 'isTaken' | 'owes'>): Settling {
    const { promise: own, resolve: ownCame } = Promise.withResolvers<void>();
    const marked = new Set([via]);
    const none = { waiting: new Map(), later: new Map(), postponed: new Map(), direct: new Set<string>(), count: 0 };
    const expire = (then: () => void): void => this.#after(lastWordMs, partition, turn, then);
    const settling: Settling = { turn, via, marked, ...of, own, ownCame, expire, ...none };
    this.#settling.set(partition, settling);
    // It was this node's before, too.
    if (via === this.#self) ownCame();
    this.#after(lastWordMs, partition, turn, () => this.#isLate(partition, this.#self));
    this.#after(lastWordKeepMs, partition, turn, () => {
      const nodes = new Set(
        [...this.#awaited(settling)].filter(node => node !== this.#self && waitsFor(settling, node)),
      );
      this.#missed.set(partition, { turn, nodes });
      this.end(partition);
    });
    return settling;
  }

  /** Of one who has heard that it is ours. In this life it is known whom to wait for; in a later one that has been forgotten. */
  comes(partition: number, turn: number, by: string, node = ''): void {
    const isOurs = this.#gateway.nodes.ownerOf(partition) === this.#self;
    const isKnown = (this.#begun.get(partition) ?? -1) >= turn && !this.said(partition, turn, node);
    const came = this.#came.get(`${partition} ${node}`) ?? -1;
    if (!isOurs || by === this.#self || isKnown || came >= turn) return;
    const settling = this.#settling.get(partition);
    if (settling === undefined || settling.turn < turn) {
      this.end(partition);
      const isTaken = this.#gateway.replicas?.isDown(by) === true;
      this.#settle(partition, turn, by, { only: new Set([node]), isTaken, owes: new Map() });
    } else if (settling.turn === turn && !settling.marked.has(node)) settling.only?.add(node);
  }

  /** It takes another way than the word that it comes, which may be longer: who has just been started anew waits for nothing that is here. */
  hasCome(partition: number, turn: number, node: string): void {
    const id = `${partition} ${node}`;
    if ((this.#came.get(id) ?? -1) >= turn) return;
    this.#came.set(id, turn);
    this.#gateway.timers.later(lastWordKeepMs, () => {
      if (this.#came.get(id) === turn) this.#came.delete(id);
    });
  }

  /** It is missed no more. Was it? */
  said(partition: number, turn: number, node: string): boolean {
    const missed = this.#missed.get(partition);
    return missed?.turn === turn && missed.nodes.delete(node);
  }

  /**
   * What a word says of earlier turns. Whoever has begun with a turn has sent nothing by an owner before, and says no word of the turns until then;
   * and what comes by an owner is behind all that he had from the same node.
   */
  standsFor({ partition, node, since = -1 }: Word, from: string | undefined): void {
    const settling = this.#settling.get(partition);
    if (settling === undefined || node === this.#self) return;
    for (const [turn, via] of [...(settling.owes.get(node) ?? [])])
      if (turn <= since || (via === from && from !== node)) paid(settling, node, turn);
    if (settling.turn <= since) this.markInOrder({ partition, turn: settling.turn, node });
  }

  #after(ms: number, partition: number, turn: number, then: () => void): void {
    this.#gateway.timers.later(ms, () => {
      if (this.#settling.get(partition)?.turn === turn) then();
    });
  }

  /** `of` null: of everybody. */
  refuseWaiting(partition: number, of: string | null): void {
    const { host, held } = this.#router;
    const settling = this.#settling.get(partition);
    if (settling === undefined) return;
    const { waiting } = settling;
    const some = [...waiting].filter(([node]) => of === null || node === of);
    for (const [node] of some) waiting.delete(node);
    const all = some.map(([, each]) => each);
    host.outside(() => {
      for (const { ref, message } of all.flatMap(({ entries }) => entries))
        held.refuse(ref, message, takenOver(partition, ref.toString()));
    });
    for (const { end } of all) end();
    // Words go on waiting for those that are missed: what is sent to the next owner is behind them, too. Nothing of this node's does.
    if (of === null) this.mark(partition, settling.turn, this.#self);
  }

  /** Does anything still wait here? */
  isSettled(partition: number): boolean {
    const settling = this.#settling.get(partition);
    return settling === undefined || settling.waiting.size === 0;
  }

  /** False: it passes. Throws OVERLOADED. */
  detain(partition: number, node: string, { ref, message, from }: Detained, onWait?: OnWait): boolean {
    const settling = this.#settling.get(partition);
    if (settling === undefined) return false;
    if (!waitsFor(settling, node)) return false;
    if (settling.count >= handoffHeldMax) {
      const why = `${handoffHeldMax} messages wait for the last word of their senders by the old owner of partition ${partition}; this one, to ${ref.toString()}, was not run`;
      throw new TroupeError('OVERLOADED', why, { details: { partition } });
    }
    let waiting = settling.waiting.get(node);
    if (waiting === undefined) {
      const { promise: over, resolve: end } = Promise.withResolvers<void>();
      waiting = { entries: [], over, end };
      this.#wait(partition, settling, node, waiting);
    }
    waiting.entries.push({ ref, message, from });
    settling.count++;
    if (settling.count > handoffHeldMax / 2) onWait?.(waiting.over);
    return true;
  }

  #wait(partition: number, settling: Settling, node: string, waiting: Waiting): void {
    settling.waiting.set(node, waiting);
    settling.count += waiting.entries.length;
    this.#askLater(partition, settling, node);
    // What has been refused meanwhile waits no more.
    this.#after(lastWordMs, partition, settling.turn, () => {
      if (settling.waiting.get(node) === waiting) this.#isLate(partition, node);
    });
  }

  /** Whoever has just come to the cluster has never gone by another owner, and says no last word unless he is asked for it. */
  #askLater(partition: number, settling: Settling, node: string): void {
    this.#after(lastWordAskMs, partition, settling.turn, () => {
      const waiting = settling.waiting.get(node);
      if (waiting === undefined || !waitsFor(settling, node)) return;
      const number = this.#gateway.linked(node);
      // A later life knows nothing of what an earlier one has sent: it says that it knows of no word.
      const isAnew = waiting.entries[0]?.from !== number;
      if (number !== undefined) this.#gateway.say(number, 'last-ask', { partition, turn: settling.turn, isAnew });
      this.#askLater(partition, settling, node);
    });
  }

  /** It has not come in time. */
  #isLate(partition: number, node: string): void {
    const settling = this.#settling.get(partition);
    if (settling === undefined || !waitsFor(settling, node)) return;
    this.late++;
    this.mark(partition, settling.turn, node);
  }

  #awaited({ only }: Settling): Iterable<string> {
    return only ?? [...this.#gateway.nodes.names, ...this.#gateway.peers()];
  }

  get #self(): string {
    return this.#router.host.node;
  }

  markInOrder({ partition, turn, node }: Pick<Word, 'partition' | 'turn' | 'node'>): void {
    const mark = (): void => this.mark(partition, turn, node);
    if (node === this.#self) mark();
    else this.behindHeld(partition, mark);
  }

  /** What they had sent when it was this node's before may wait here still: it is held, with what this node sends itself, and is before that. */
  behindHeld(partition: number, then: () => void): void {
    const now = this.#router.held.get(partition);
    if (now?.stage === 'settling' && now.hasOlder) this.#router.held.behind(partition, then);
    else then();
  }

  mark(partition: number, turn: number, node: string): void {
    const settling = this.#settling.get(partition);
    if (settling?.turn !== turn || settling.marked.has(node)) return;
    settling.marked.add(node);
    settling.owes.delete(node);
    if (node === this.#self) {
      settling.ownCame();
      this.#onOwn(partition, turn);
    }
    this.letGo(partition, settling, node, settling.waiting.get(node)?.entries.at(-1));
    unpostpone(settling, node);
    const later = settling.later.get(node) ?? [];
    settling.later.delete(node);
    for (const each of later) each.pass();
    // It may be handed on by now.
    if (settling.waiting.size === 0) this.#gateway.handoffs.ringChanged();
    const isOver = settling.waiting.size === 0 && settling.later.size === 0;
    if (isOver && [...this.#awaited(settling)].every(each => settling.marked.has(each)))
      this.#settling.delete(partition);
  }

  /** Up to that one. */
  letGo(partition: number, settling: Settling, node: string, upTo: Detained | undefined): void {
    const waiting = settling.waiting.get(node);
    if (waiting === undefined || upTo === undefined) return;
    const entries = waiting.entries.splice(0, waiting.entries.indexOf(upTo) + 1);
    if (waiting.entries.length === 0) settling.waiting.delete(node);
    const { host, held } = this.#router;
    const { homes } = this.#gateway;
    host.outside(() => {
      for (const { ref, message, from } of entries)
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
    if (waiting.entries.length === 0) waiting.end();
  }

  end(partition: number): void {
    const settling = this.#settling.get(partition);
    if (settling === undefined) return;
    const { waiting, later, postponed } = settling;
    for (const node of new Set([this.#self, ...waiting.keys(), ...later.keys(), ...postponed.keys()])) {
      if (waiting.has(node)) this.late++;
      this.mark(partition, settling.turn, node);
    }
    for (const [node, { entries }] of [...waiting]) this.letGo(partition, settling, node, entries.at(-1));
    this.#settling.delete(partition);
    this.#gateway.handoffs.ringChanged();
  }

  describe(): object[] {
    return [...this.#settling].map(([partition, { via, count, waiting, owes }]) => ({
      partition,
      via,
      detained: count,
      waitFor: [...waiting.keys()],
      // Words of earlier turns.
      owed: [...owes.keys()],
    }));
  }
}
