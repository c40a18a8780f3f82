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
// A word says for whom it is: whoever became the owner with its turn. Where the partition has gone on since, it goes past him, with what it is behind; and
// the owner of now tells him, for later words of that node may wait for it there.
// Who has just come to the cluster has gone by no other owner, and has no last word to say: he is asked for it. Nor has he who was down while it
// changed hands, and has begun with the turn of now: his next word says so, and stands for those before.
// What waits does so for lastWordMs at most, and is counted when that was too short.
//
// Invariant: from each sender n2 passes on what came by n1 first; the word carries the turn that X believes in, so an old one ends nothing.

import { lastWordKeepMs, lastWordsKeptMax } from '../../limits.ts';
import type { FarMessage } from '../far-moves.ts';
import type { FarRouter } from '../far-router.ts';
import type { Gateway } from '../gateway/gateway.ts';
import type { OnWait } from '../gateway/homes.ts';
import { numberIn, textIn } from '../gateway/words.ts';
import type { Change } from '../ownership/holdings.ts';
import type { BaseRef } from '../refs.ts';
import { Cuts } from './cuts.ts';
import { Gifts } from './gifts.ts';
import { ringPartitionOf } from './ring-partition.ts';
import {
  neverSays,
  type Postponed,
  paid,
  type Said,
  type Settling,
  takenOver,
  unlessOwed,
  type Word,
  waitsFor,
  wordIn,
} from './settling.ts';
import { Settlings } from './settlings.ts';

/** How soon it is looked again whether something still waits here for a mailbox over there. */
const lookAgainMs = 2;

export class LastWords {
  readonly #router: FarRouter;
  readonly #gateway: Gateway;
  readonly #settlings: Settlings;
  /** The latest first. Of those before it, too, for whoever that turn made the owner waits for it, with all that is later. */
  readonly #said = new Map<number, readonly Said[]>();
  /** The turn that each was known to have before the first word of it, and that of the last one: until nobody waits for them any more. */
  readonly #since = new Map<number, { readonly since: number; readonly turn: number }>();
  readonly #cuts: Cuts;
  readonly #gifts: Gifts;
  /** Words of others for an owner that there is no session with, by partition and node. */
  readonly #kept = new Map<string, Word>();
  /** ... and those that were passed on: the session may end before they are there, of which whoever has said them hears nothing. */
  readonly #passed = new Map<string, { readonly word: Word; readonly owner: string }>();

  /** How often a partition has changed hands, as this node knows; 0 without a ring. */
  turnOf: (partition: number) => number = () => 0;

  constructor(router: FarRouter, gateway: Gateway) {
    this.#router = router;
    this.#gateway = gateway;
    this.#settlings = new Settlings(router, gateway, (partition, turn) => {
      if ((this.#saidOf(partition)?.turn ?? 0) <= turn) this.#said.delete(partition);
    });
    this.#cuts = new Cuts((ms, fn) => gateway.timers.later(ms, fn));
    this.#gifts = new Gifts((ms, fn) => gateway.timers.later(ms, fn));
    gateway.on('last', (from, word) => this.#heard(wordIn(word), gateway.nameOf(from)));
    gateway.on('last-stop', (from, word) => this.#stop(wordIn(word), gateway.nameOf(from)));
    gateway.on('last-ask', (from, word) =>
      this.#asked(numberIn(word?.partition), numberIn(word?.turn), gateway.nameOf(from) ?? '', word?.isAnew === true),
    );
    gateway.on('last-none', (_from, word) => this.#hasNone(wordIn(word)));
    gateway.on('last-comes', (from, word) =>
      this.#settlings.comes(numberIn(word?.partition), numberIn(word?.turn), textIn(word?.by), gateway.nameOf(from)),
    );
  }

  get any(): boolean {
    return this.#settlings.any || this.#cuts.any || this.#gifts.any;
  }

  /** Waits that ended without a word. */
  get late(): number {
    return this.#settlings.late;
  }

  // At the new owner.

  /** It is ours from now on. `isTaken`: its owner was lost, and has not given it: nothing that he still sends on is waited for. */
  begin(partition: number, turn: number, via: string, isTaken: boolean): void {
    this.#gifts.ended(partition);
    this.#settlings.begin(partition, turn, via, isTaken);
  }

  /** Resolves when whatever this node has sent by the old way is back. */
  own(partition: number): Promise<void> {
    return this.#settlings.get(partition)?.own ?? Promise.resolve();
  }

  isSettled(partition: number): boolean {
    return this.#settlings.isSettled(partition);
  }

  /** False: it passes. Throws OVERLOADED, FENCED. */
  detain(partition: number, from: number, ref: BaseRef, message: FarMessage, onWait?: OnWait): boolean {
    if (from < this.#router.threads) return false;
    const node = this.#gateway.nameOf(from) ?? '';
    if (this.#cuts.has(partition, node) || this.#gifts.has(partition, node)) throw takenOver(partition, ref.toString());
    return this.#settlings.detain(partition, node, { ref, message, from }, onWait);
  }

  /**
   * Another node has taken it over, and whoever knew that this one was down has not said his last word by here: so what was sent here before its
   * sender knew is refused, for it might come behind what was sent there since. `of`: it was taken over from that one, who may have been giving
   * it away when he was lost, and sent on what others had sent him.
   */
  cut(partition: number, turn: number, of: string | null = null): void {
    this.#cuts.add(partition, turn, of);
    if (of === null) this.#settlings.refuseWaiting(partition, null);
  }

  /** This node has given it away. */
  gave({ partition, turn, to }: Change): void {
    this.#gifts.gave(partition, turn, to);
    if (this.#gateway.linked(to) === undefined) this.#stopsOf(to);
  }

  /** What waits here of his, for a word of an earlier turn, is not passed on either. */
  #stopsOf(name: string): void {
    for (const { partition, of } of this.#gifts.lost(name, this.#gateway.replicas !== null))
      this.#settlings.refuseWaiting(partition, of);
  }

  knows(node: string, turnOf: (partition: number) => number): void {
    this.#cuts.knows(node, turnOf);
    this.#gifts.knows(node, turnOf);
  }

  // Everywhere.

  #saidOf(partition: number): Said | undefined {
    return this.#said.get(partition)?.[0];
  }

  get #self(): string {
    return this.#router.host.node;
  }

  /** This node goes by the new owner from now on. */
  say({ partition, turn, from, to, known }: Change): void {
    if (to === this.#self) this.#settlings.entered(partition);
    const before = this.#said.get(partition) ?? [];
    const by = [from, ...(before[0]?.by ?? []).filter(name => name !== from)];
    const since = this.#since.get(partition)?.since ?? known;
    this.#since.set(partition, { since, turn });
    const said: Said = { turn, to, by, since, after: known };
    this.#said.set(partition, [said, ...before].slice(0, lastWordsKeptMax));
    this.#gateway.timers.later(lastWordKeepMs, () => {
      if (this.#saidOf(partition)?.turn === turn) this.#said.delete(partition);
      if (this.#since.get(partition)?.turn === turn) this.#since.delete(partition);
    });
    this.#say(partition, said);
    this.#sayKept();
  }

  #say(partition: number, { turn, to, by, since, after }: Said): void {
    const owner = this.#gateway.nodes.ownerOf(partition) ?? '';
    const number = owner === by[0] ? undefined : this.#gateway.linked(owner);
    if (number !== undefined) this.#gateway.say(number, 'last-comes', { partition, turn, by: by[0] });
    // One from whom it was taken over passes nothing on: when it is back it refuses what comes of before (cut). Who has given it does, and may
    // only be thought to be lost: as long as there is a session with him, what we sent him may come yet.
    const { replicas } = this.#gateway;
    const hasGiven = owner === this.#self && replicas?.isTaken(partition, turn) === false;
    const isLost = replicas?.isDown(by[0] as string) === true && !hasGiven;
    const isWay = (name: string): boolean => name !== owner && !(isLost && name === by[0]);
    const old = by.find(name => isWay(name) && this.#gateway.linked(name) !== undefined);
    const isPast = isLost || this.#gateway.linked(by[0] as string) === undefined;
    const word = { partition, turn, to, node: this.#self, past: isPast ? by[0] : undefined, since, after };
    // Nothing of ours is on its way there.
    if (old === undefined) this.#heard(word);
    else this.#tell(old, word);
  }

  /** That node waits for a word of ours. Where one has been said it is on its way: by any other it might come too early. */
  #asked(partition: number, turn: number, to: string, isAnew: boolean): void {
    const isOwed = this.#gateway.nodes.ownerOf(partition) === to && !this.#said.has(partition);
    // In this life it has gone by no other turn.
    const word = { partition, turn, to, node: this.#self, since: this.turnOf(partition) };
    if (isOwed) this.#tell(to, word, isAnew ? 'last-none' : 'last');
  }

  #tell(name: string, word: Word, what = 'last'): void {
    const number = this.#gateway.linked(name);
    if (number !== undefined) this.#gateway.say(number, what, word);
  }

  /**
   * For us, or for whoever owns it by now: behind everything that we have sent on to him. A node that has spoken of a turn after ours
   * directly may have sent by our old owner what is not here yet: its word waits for the one of our turn, which comes by that way.
   */
  #heard(word: Word, from?: string): void {
    const { partition, turn, node } = word;
    const settling = this.#settlings.get(partition);
    this.#settlings.said(partition, turn, node);
    // What has come from the same node, and waits here, is before it.
    const before = from === node ? undefined : settling?.waiting.get(from ?? '');
    if (before !== undefined) {
      void before.over.then(() => this.#heard(word, from));
      return;
    }
    this.#settlings.standsFor(word, from);
    // By the way of what it is behind.
    const isBehind = from !== node || this.#gateway.replicas === null;
    if (isBehind && word.to === this.#self) this.#settlings.hasCome(partition, turn, node);
    if (settling?.turn === turn) {
      if (this.#asksVia(settling, word, from)) return;
      return unlessOwed(settling, node, turn, () => this.#settlings.markInOrder(word));
    }
    if (settling !== undefined && settling.turn > turn) return this.#heardOfBefore(settling, word, from);
    // Our own of a turn that was ours is where it was for: passed on it would look as if whoever owns it now had owned it before that turn.
    if (node === this.#self && from !== undefined && word.to === this.#self) return;
    // Said by none but us: it is for whoever that turn made the owner, and not for a later one, who is told of a later turn.
    const isDirect = node === this.#self && from === undefined;
    const pass = (): void => this.#router.held.behind(partition, () => this.#pass(word, from, isDirect));
    if (settling !== undefined && settling.turn < turn && waitsFor(settling, node)) {
      // What it had sent before it came here by who has brought the word, or by us: it has come when our own word is back, or his is here.
      const hasNone = neverSays(word, settling) && (from === node || settling.marked.has(from ?? ''));
      const letPass = (): void => {
        this.#settlings.mark(partition, settling.turn, node);
        pass();
      };
      if (from === settling.via) letPass();
      else if (hasNone) void settling.own.then(letPass);
      else this.#later(settling, node, { turn, pass });
      return;
    }
    pass();
  }

  #later({ later }: Settling, node: string, word: Postponed): void {
    later.set(node, [...(later.get(node) ?? []), word]);
  }

  /** Of a turn before it became ours once more. */
  #heardOfBefore(settling: Settling, word: Word, from?: string): void {
    const { partition, turn, node, to } = word;
    if (from === node && to !== this.#self) {
      // What that node had sent here by then is older than what it has sent to whoever owned it in between. Where that has to wait, what
      // comes here directly meanwhile is not older.
      const last = settling.waiting.get(node)?.entries.at(-1);
      const letGo = (): void => {
        this.#settlings.letGo(partition, settling, node, last);
        this.#toOwnerThen(word, from);
      };
      unlessOwed(settling, node, turn, () => this.#settlings.behindHeld(partition, letGo));
    } else this.#toOwnerThen(word, from);
    paid(settling, node, turn);
  }

  /** Whoever became the owner with that turn may wait for it, with later ones of that node: it has come to us past him. */
  #toOwnerThen(word: Word, from?: string): void {
    if (word.to !== from && word.to !== this.#self) this.#tell(word.to, word);
  }

  /**
   * Said directly, or by an owner before, by one who takes the old owner for lost. To us he is not: he has given it, and what that node had sent
   * him may be on its way still. So he is told to pass nothing of that on any more, and answers behind what he has.
   */
  #asksVia({ via, marked, isTaken, direct }: Settling, word: Word, from?: string): boolean {
    const { node, past } = word;
    const isPast = past === via && from !== via && (from === node || !direct.has(node));
    if (!isPast && (from !== node || this.#gateway.replicas === null)) return false;
    const number = marked.has(node) || via === this.#self ? undefined : this.#gateway.linked(via);
    if (isTaken || number === undefined) return false;
    // Once: he would refuse what that node sends him after it knows.
    if (!direct.has(node)) this.#gateway.say(number, 'last-stop', word);
    direct.add(node);
    return true;
  }

  /**
   * Of what he had sent in an earlier session he knows no word: he has been started anew. The old owner says when nothing of that comes any more.
   */
  #hasNone({ partition, turn, node }: Word): void {
    const settling = this.#settlings.get(partition);
    if (settling?.turn !== turn || !waitsFor(settling, node)) return;
    const { via, isTaken } = settling;
    if (!isTaken && via !== this.#self && this.#gateway.linked(via) === undefined) return;
    const word = { partition, turn, node, to: this.#self, past: via };
    if (!this.#asksVia(settling, word, node)) unlessOwed(settling, node, turn, () => this.#settlings.markInOrder(word));
  }

  #stop(word: Word, by = ''): void {
    const { partition, turn, node } = word;
    if (this.#gateway.nodes.ownerOf(partition) !== by) {
      // It has changed hands since, and nothing of that turn goes there any more: he passes on what waits for this word.
      if (this.turnOf(partition) > turn) this.#router.held.behind(partition, () => this.#tell(by, word));
      return;
    }
    this.cut(partition, turn, node);
    const pass = (): void => this.#router.held.behind(partition, () => this.#pass(word, by));
    const settling = this.#settlings.get(partition);
    // What he sent before that may come here yet, by the owner before, and is passed on.
    if (settling === undefined || settling.turn >= turn || !waitsFor(settling, node)) pass();
    else this.#later(settling, node, { turn, pass });
  }

  #pass(word: Word, from?: string, isDirect = false): void {
    const { partition } = word;
    const owner = isDirect ? word.to : this.#gateway.nodes.ownerOf(partition);
    // It has come back, and with it what was in front of the word.
    if (owner === this.#self) return this.#toOwnerThen(word, from);
    const number = owner === undefined ? undefined : this.#gateway.linked(owner);
    if (number === undefined) {
      // Ours is said again when there is a session, if it is still the last.
      if (!isDirect) this.#keep(word);
      return;
    }
    const isOf = (unit: string): boolean => ringPartitionOf(this.#router.host, unit) === partition;
    if (this.#router.peers[number]?.hasWaiting(isOf) === true)
      this.#gateway.timers.later(lookAgainMs, () => this.#pass(word, from, isDirect));
    else {
      this.#gateway.say(number, 'last', word);
      if (!isDirect) this.#hasPassed(word, owner as string);
    }
  }

  #hasPassed(word: Word, owner: string): void {
    const id = `${word.partition} ${word.node}`;
    const passed = { word, owner };
    this.#passed.set(id, passed);
    this.#gateway.timers.later(lastWordKeepMs, () => {
      if (this.#passed.get(id) === passed) this.#passed.delete(id);
    });
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
    this.#stopsOf(name);
    for (const [id, { word, owner }] of this.#passed)
      if (owner === name) {
        this.#passed.delete(id);
        this.#keep(word);
      }
    this.#sayKept();
    for (const [partition, settling] of this.#settlings.all())
      for (const node of settling.via === name ? settling.direct : [])
        unlessOwed(settling, node, settling.turn, () =>
          this.#settlings.markInOrder({ partition, turn: settling.turn, node }),
        );
    for (const [partition, all] of this.#said)
      for (const said of [...all].reverse())
        if (said === all[0] ? said.by.includes(name) : said.by[0] === name) this.#say(partition, said);
  }

  /** A session begins: what was said while there was none may not have come. */
  linked(name: string): void {
    for (const [partition, [said]] of this.#said)
      if (said !== undefined && this.#gateway.nodes.ownerOf(partition) === name) this.#say(partition, said);
    this.#sayKept();
  }

  /** As soon as there is a way to whoever owns it by then: whom they were for hears of them by him. */
  #sayKept(): void {
    for (const [id, word] of [...this.#kept]) {
      const owner = this.#gateway.nodes.ownerOf(word.partition) ?? '';
      if (owner !== this.#self && this.#gateway.linked(owner) === undefined) continue;
      this.#kept.delete(id);
      this.#heard(word);
    }
  }

  describe(): object {
    return { settling: this.#settlings.describe(), late: this.late };
  }
}
