// What keeps the order of a sender when the way to a partition changes: its last word by the old way.
//
//     X ──m1──▶ n1 (old owner) ──m1──▶ n2            X hears that n2 owns it now:
//       ──last─▶ n1 ────────────last──▶ n2               behind m1, by the same way
//       ──m2────────────────────────────▶ n2           waits at n2 until X's last word is there
//
// The intuition: links are first in, first out, and n1 sends on what it gets in the order in which it got it. So when the last word
// is there, everything before it is. n2 itself is a sender, too: its own threads wait (held.ts) for its own last word.
//
// Where a session ends, what was on it is lost or refused, and nothing need be waited for: X says its last word to n2 directly, or,
// where others owned it before n1, by the last of them that it has a session with: what X sent by him may be on its way still.
// Where X only takes n1 for lost, and n2 does not, n1 is told to stop: it refuses what X sent before he knew, and answers behind the rest.
// Where n2 has been started anew it waits for nobody, and what X sent by n1 may still be on a link that is down: so the first that X says
// to n2 is that it has a last word under way. n1 keeps the words for n2 until there is a session with it.
// What waits does so for lastWordMs at most, and is counted when that was too short.
//
// Invariant: from each sender n2 passes on what came by n1 first; the word carries the turn that X believes in, so an old one ends nothing.

import { TroupeError } from '../../errors.ts';
import { handoffHeldMax, lastWordAskMs, lastWordKeepMs, lastWordMs } from '../../limits.ts';
import type { FarMessage } from '../far-moves.ts';
import type { FarRouter } from '../far-router.ts';
import type { Gateway } from '../gateway/gateway.ts';
import type { OnWait } from '../gateway/homes.ts';
import { numberIn, textIn } from '../gateway/words.ts';
import type { Change } from '../ownership/holdings.ts';
import type { BaseRef } from '../refs.ts';
import { Cuts } from './cuts.ts';
import { ringPartitionOf } from './ring-partition.ts';
import {
  type Detained,
  hasSaid,
  type Owed,
  paid,
  type Said,
  type Settling,
  takenOver,
  takeWords,
  unlessOwed,
  unpostpone,
  type Waiting,
  type Word,
  waitsFor,
} from './settling.ts';

/** How soon it is looked again whether something still waits here for a mailbox over there. */
const lookAgainMs = 2;

export class LastWords {
  readonly #router: FarRouter;
  readonly #gateway: Gateway;
  readonly #settling = new Map<number, Settling>();
  readonly #said = new Map<number, Said>();
  /** The turn with which a partition became ours in this life. */
  readonly #begun = new Map<number, number>();
  readonly #cuts: Cuts;
  /** Words of others for an owner that there is no session with, by partition and node. */
  readonly #kept = new Map<string, Word>();
  /** Waits that ended without a word. */
  late = 0;

  constructor(router: FarRouter, gateway: Gateway) {
    this.#router = router;
    this.#gateway = gateway;
    this.#cuts = new Cuts((ms, fn) => gateway.timers.later(ms, fn));
    gateway.on('last', (from, word) => this.#heard(wordIn(word), gateway.nameOf(from)));
    gateway.on('last-stop', (from, word) => this.#stop(wordIn(word), gateway.nameOf(from)));
    gateway.on('last-ask', (from, word) =>
      this.#asked(numberIn(word?.partition), numberIn(word?.turn), gateway.nameOf(from) ?? ''),
    );
    gateway.on('last-comes', (from, word) =>
      this.#comes(numberIn(word?.partition), numberIn(word?.turn), textIn(word?.by), gateway.nameOf(from)),
    );
  }

  get any(): boolean {
    return this.#settling.size !== 0 || this.#cuts.any;
  }

  // At the new owner.

  /** It is ours from now on. `isTaken`: its owner was lost, and has not given it: nothing that he still sends on is waited for. */
  begin(partition: number, turn: number, via: string, isTaken: boolean): void {
    const owes = this.#owed(partition);
    const before = this.#settling.get(partition);
    const words = takeWords(before);
    const waiting = [...(before?.waiting ?? [])];
    before?.waiting.clear();
    this.#end(partition);
    this.#begun.set(partition, turn);
    const settling = this.#settle(partition, turn, via, { only: null, isTaken, owes });
    for (const [node, entries] of waiting) {
      this.#wait(partition, settling, node, entries);
      const last = entries.entries.at(-1);
      // When the word has come that they have waited for until now: it is owed.
      const letGo = (): void => this.#behindHeld(partition, () => this.#letGo(partition, settling, node, last));
      unlessOwed(settling, node, (before?.turn ?? 0) + 1, letGo);
    }
    for (const [node, each] of words) for (const word of each) unlessOwed(settling, node, word.turn, word.pass);
  }

  /** Who has not said his word of a turn when this was ours before: what he sent by the owner of that time may still come. */
  #owed(partition: number): Owed {
    const before = this.#settling.get(partition);
    const owes: Owed = new Map([...(before?.owes ?? [])].map(([node, turns]) => [node, new Set(turns)]));
    if (before === undefined) return owes;
    for (const node of this.#awaited(before))
      if (waitsFor(before, node) && !hasSaid(before, node) && node !== this.#self)
        owes.set(node, (owes.get(node) ?? new Set()).add(before.turn));
    return owes;
  }

  #settle(partition: number, turn: number, via: string, of: Pick<Settling, 'only' | 'isTaken' | 'owes'>): Settling {
    const { promise: own, resolve: ownCame } = Promise.withResolvers<void>();
    const marked = new Set([via]);
    const none = { waiting: new Map(), later: new Map(), postponed: new Map(), direct: new Set<string>(), count: 0 };
    const settling: Settling = { turn, via, marked, ...of, own, ownCame, ...none };
    this.#settling.set(partition, settling);
    // It was this node's before, too.
    if (via === this.#self) ownCame();
    this.#after(lastWordMs, partition, turn, () => this.#isLate(partition, this.#self));
    this.#after(lastWordKeepMs, partition, turn, () => this.#end(partition));
    return settling;
  }

  /** Of one who has heard that it is ours. In this life it is known whom to wait for; in a later one that has been forgotten. */
  #comes(partition: number, turn: number, by: string, node = ''): void {
    const isOurs = this.#gateway.nodes.ownerOf(partition) === this.#self;
    if (!isOurs || by === this.#self || (this.#begun.get(partition) ?? -1) >= turn) return;
    const settling = this.#settling.get(partition);
    if (settling === undefined || settling.turn < turn) {
      this.#end(partition);
      const isTaken = this.#gateway.replicas?.isDown(by) === true;
      this.#settle(partition, turn, by, { only: new Set([node]), isTaken, owes: new Map() });
    } else if (settling.turn === turn && !settling.marked.has(node)) settling.only?.add(node);
  }

  #after(ms: number, partition: number, turn: number, then: () => void): void {
    this.#gateway.timers.later(ms, () => {
      if (this.#settling.get(partition)?.turn === turn) then();
    });
  }

  /**
   * Another node has taken it over, and whoever knew that this one was down has not said his last word by here: so what was sent here before its
   * sender knew is refused, for it might come behind what was sent there since. `of`: it was taken over from that one, who may have been giving
   * it away when he was lost, and sent on what others had sent him.
   */
  cut(partition: number, turn: number, of: string | null = null): void {
    this.#cuts.add(partition, turn, of);
    if (of === null) this.#refuseWaiting(partition);
  }

  #refuseWaiting(partition: number): void {
    const { host, held } = this.#router;
    const waiting = this.#settling.get(partition)?.waiting;
    const all = [...(waiting?.values() ?? [])];
    waiting?.clear();
    host.outside(() => {
      for (const { ref, message } of all.flatMap(({ entries }) => entries))
        held.refuse(ref, message, takenOver(partition, ref.toString()));
    });
    this.#end(partition);
    for (const { end } of all) end();
  }

  knows(node: string, turnOf: (partition: number) => number): void {
    this.#cuts.knows(node, turnOf);
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
    if (from < this.#router.threads) return false;
    const node = this.#gateway.nameOf(from) ?? '';
    if (this.#cuts.has(partition, node)) throw takenOver(partition, ref.toString());
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
    this.#after(lastWordMs, partition, settling.turn, () => this.#isLate(partition, node));
  }

  /** Whoever has just come to the cluster has never gone by another owner, and says no last word unless he is asked for it. */
  #askLater(partition: number, settling: Settling, node: string): void {
    this.#after(lastWordAskMs, partition, settling.turn, () => {
      const waiting = settling.waiting.get(node);
      if (waiting === undefined || !waitsFor(settling, node)) return;
      const number = this.#gateway.linked(node);
      // A later life knows nothing of what an earlier one has sent.
      if (number !== undefined && waiting.entries[0]?.from === number)
        this.#gateway.say(number, 'last-ask', { partition, turn: settling.turn });
      this.#askLater(partition, settling, node);
    });
  }

  /** It has not come in time. */
  #isLate(partition: number, node: string): void {
    const settling = this.#settling.get(partition);
    if (settling === undefined || !waitsFor(settling, node)) return;
    this.late++;
    this.#mark(partition, settling.turn, node);
  }

  #awaited({ only }: Settling): Iterable<string> {
    return only ?? [...this.#gateway.nodes.names, ...this.#gateway.peers()];
  }

  get #self(): string {
    return this.#router.host.node;
  }

  #markInOrder({ partition, turn, node }: Pick<Word, 'partition' | 'turn' | 'node'>): void {
    const mark = (): void => this.#mark(partition, turn, node);
    if (node === this.#self) mark();
    else this.#behindHeld(partition, mark);
  }

  /** What they had sent when it was this node's before may wait here still: it is held, with what this node sends itself, and is before that. */
  #behindHeld(partition: number, then: () => void): void {
    const now = this.#router.held.get(partition);
    if (now?.stage === 'settling' && now.hasOlder) this.#router.held.behind(partition, then);
    else then();
  }

  #mark(partition: number, turn: number, node: string): void {
    const settling = this.#settling.get(partition);
    if (settling?.turn !== turn || settling.marked.has(node)) return;
    settling.marked.add(node);
    settling.owes.delete(node);
    if (node === this.#self) {
      settling.ownCame();
      if ((this.#said.get(partition)?.turn ?? 0) <= turn) this.#said.delete(partition);
    }
    this.#letGo(partition, settling, node, settling.waiting.get(node)?.entries.at(-1));
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
  #letGo(partition: number, settling: Settling, node: string, upTo: Detained | undefined): void {
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

  #end(partition: number): void {
    const settling = this.#settling.get(partition);
    if (settling === undefined) return;
    const { waiting, later, postponed } = settling;
    for (const node of new Set([this.#self, ...waiting.keys(), ...later.keys(), ...postponed.keys()])) {
      if (waiting.has(node)) this.late++;
      this.#mark(partition, settling.turn, node);
    }
    this.#settling.delete(partition);
  }

  // Everywhere.

  /** This node goes by the new owner from now on. */
  say({ partition, turn, from, to }: Change): void {
    const by = [from, ...(this.#said.get(partition)?.by ?? []).filter(name => name !== from)];
    this.#said.set(partition, { turn, to, by });
    this.#gateway.timers.later(lastWordKeepMs, () => {
      if (this.#said.get(partition)?.turn === turn) this.#said.delete(partition);
    });
    this.#say(partition, { turn, to, by });
  }

  #say(partition: number, { turn, to, by }: Said): void {
    const owner = this.#gateway.nodes.ownerOf(partition) ?? '';
    const number = owner === by[0] ? undefined : this.#gateway.linked(owner);
    if (number !== undefined) this.#gateway.say(number, 'last-comes', { partition, turn, by: by[0] });
    // One that is lost passes nothing on: when it is back it refuses what comes of before (cut). Who has given it to us does not.
    const { replicas } = this.#gateway;
    const hasGiven = owner === this.#self && replicas?.isTaken(partition, turn) === false;
    const isLost = (name: string): boolean => replicas?.isDown(name) === true && !(hasGiven && name === by[0]);
    const old = by.find(name => name !== owner && !isLost(name) && this.#gateway.linked(name) !== undefined);
    const word = { partition, turn, to, node: this.#self };
    // Nothing of ours is on its way there.
    if (old === undefined) this.#heard(word);
    else this.#tell(old, word);
  }

  /** That node waits for a word of ours. Where one has been said it is on its way: by any other it might come too early. */
  #asked(partition: number, turn: number, to: string): void {
    const isOwed = this.#gateway.nodes.ownerOf(partition) === to && !this.#said.has(partition);
    if (isOwed) this.#tell(to, { partition, turn, to, node: this.#self });
  }

  #tell(name: string, word: Word): void {
    const number = this.#gateway.linked(name);
    if (number !== undefined) this.#gateway.say(number, 'last', word);
  }

  /**
   * For us, or for whoever owns it by now: behind everything that we have sent on to him. A node that has spoken of a turn after ours
   * directly may have sent by our old owner what is not here yet: its word waits for the one of our turn, which comes by that way.
   */
  #heard(word: Word, from?: string): void {
    const { partition, turn, node } = word;
    const settling = this.#settling.get(partition);
    // What has come from the same node, and waits here, is before it.
    const before = from === node ? undefined : settling?.waiting.get(from ?? '');
    if (before !== undefined) {
      void before.over.then(() => this.#heard(word, from));
      return;
    }
    if (settling?.turn === turn) {
      if (from === node && this.#asksVia(settling, word)) return;
      return unlessOwed(settling, node, turn, () => this.#markInOrder(word));
    }
    if (settling !== undefined && settling.turn > turn) return this.#heardOfBefore(settling, word, from);
    // Our own of a turn that was ours is where it was for: passed on it would look as if whoever owns it now had owned it before that turn.
    if (node === this.#self && from !== undefined && word.to === this.#self) return;
    // Said by none but us: it is for whoever that turn made the owner, and not for a later one, who is told of a later turn.
    const isDirect = node === this.#self && from === undefined;
    const pass = (): void => this.#router.held.behind(partition, () => this.#pass(word, isDirect));
    if (settling !== undefined && settling.turn < turn && waitsFor(settling, node)) {
      if (from !== settling.via) {
        settling.later.set(node, [...(settling.later.get(node) ?? []), { turn, pass }]);
        return;
      }
      this.#mark(partition, settling.turn, node);
    }
    pass();
  }

  /** Of a turn before it became ours once more. */
  #heardOfBefore(settling: Settling, word: Word, from?: string): void {
    const { partition, turn, node, to } = word;
    if (from === node && to !== this.#self) {
      // What that node had sent here by then is older than what it has sent to whoever owned it in between. Where that has to wait, what
      // comes here directly meanwhile is not older.
      const last = settling.waiting.get(node)?.entries.at(-1);
      const letGo = (): void => {
        this.#letGo(partition, settling, node, last);
        this.#toOwnerThen(word, from);
      };
      unlessOwed(settling, node, turn, () => this.#behindHeld(partition, letGo));
    } else this.#toOwnerThen(word, from);
    paid(settling, node, turn);
  }

  /** Whoever became the owner with that turn may wait for it, with later ones of that node: it has come to us past him. */
  #toOwnerThen(word: Word, from?: string): void {
    if (word.to !== from && word.to !== this.#self) this.#tell(word.to, word);
  }

  /**
   * Said directly, by one who takes the old owner for lost. To us he is not: he has given it, and what that node had sent him may be on its way
   * still. So he is told to pass nothing of that on any more, and answers behind what he has.
   */
  #asksVia({ via, marked, isTaken, direct }: Settling, word: Word): boolean {
    const { node } = word;
    const number = marked.has(node) || via === this.#self ? undefined : this.#gateway.linked(via);
    if (this.#gateway.replicas === null || isTaken || number === undefined) return false;
    // Once: he would refuse what that node sends him after it knows.
    if (!direct.has(node)) this.#gateway.say(number, 'last-stop', word);
    direct.add(node);
    return true;
  }

  #stop(word: Word, by = ''): void {
    const { partition, turn, node } = word;
    if (this.#gateway.nodes.ownerOf(partition) !== by) return;
    this.cut(partition, turn, node);
    this.#router.held.behind(partition, () => this.#pass(word));
  }

  #pass(word: Word, isDirect = false): void {
    const { partition } = word;
    const owner = isDirect ? word.to : this.#gateway.nodes.ownerOf(partition);
    // It has come back, and with it what was in front of the word.
    if (owner === this.#self) return this.#toOwnerThen(word);
    const number = owner === undefined ? undefined : this.#gateway.linked(owner);
    if (number === undefined) return this.#keep(word);
    const isOf = (unit: string): boolean => ringPartitionOf(this.#router.host, unit) === partition;
    if (this.#router.peers[number]?.hasWaiting(isOf) === true)
      this.#gateway.timers.later(lookAgainMs, () => this.#pass(word, isDirect));
    else this.#gateway.say(number, 'last', word);
  }

  /** Nothing can pass to that owner meanwhile, so it is still behind everything when there is a session. */
  #keep(word: Word): void {
    const id = `${word.partition} ${word.node}`;
    if ((this.#kept.get(id)?.turn ?? -1) > word.turn) return;
    this.#kept.set(id, word);
    this.#gateway.timers.later(lastWordKeepMs, () => {
      if (this.#kept.get(id) === word) this.#kept.delete(id);
    });
  }

  /** A session has ended: nothing that was on it comes any more. */
  lost(name: string): void {
    for (const [partition, settling] of this.#settling)
      for (const node of settling.via === name ? settling.direct : [])
        unlessOwed(settling, node, settling.turn, () => this.#markInOrder({ partition, turn: settling.turn, node }));
    for (const [partition, said] of this.#said) if (said.by.includes(name)) this.#say(partition, said);
  }

  /** A session begins: what was said while there was none may not have come. */
  linked(name: string): void {
    for (const [partition, said] of this.#said)
      if (this.#gateway.nodes.ownerOf(partition) === name) this.#say(partition, said);
    for (const [id, word] of this.#kept) {
      if (this.#gateway.nodes.ownerOf(word.partition) !== name) continue;
      this.#kept.delete(id);
      this.#heard(word);
    }
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

/** Older versions do not say to whom. Throws BAD_MESSAGE. */
function wordIn(word: Partial<Word> | null | undefined): Word {
  const { partition, turn, node, to } = word ?? {};
  return { partition: numberIn(partition), turn: numberIn(turn), node: textIn(node), to: textIn(to ?? '') };
}
