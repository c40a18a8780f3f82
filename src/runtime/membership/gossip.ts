// Who is in the cluster and who is alive, as one state machine a node. It decides and never acts: a mailbox actor feeds it
// ticks, messages and orders, and carries out its effects.
//
//      (heard of) ──echo answered──▶ up ──phi──▶ suspect ──2 reporters──▶ down ──later heartbeat, echo──▶ up
//                                    └─ stop ─▶ down   └─ leave ─▶ leaving ─▶ left      remove ─▶ removed, quarantined
//
// The intuition: everybody tells one random peer a round what it knows (digests both ways, records where they differ), which
// reaches n nodes in about log2 n rounds at a cost that does not grow with n; news is passed on at once besides.
//
// Invariants: nothing but a join (member.ts) changes a record; a message that is refused changes nothing; what is sent in one
// round is bounded by limits.ts, whatever arrives. A clean stop, a removal and a second process under the same name end this
// machine (`halted`): it never speaks again, because two lives under one name cannot both be right.

import { conflictsMax, goodbyesMax, gossipStatesMax } from '../../limits.ts';
import type { Millis } from '../world.ts';
import { checkMessage, type GossipBody, type GossipMessage, type RefuseReason, refuseOwn } from './gossip-messages.ts';
import type { Effect, GossipOptions, Halt, Input, OwnChange, To } from './gossip-types.ts';
import { beat, type Digest, digestOf, type MemberRecord, merge, notesOf } from './member.ts';
import { type Entry, isDownOnly, isSilent, statusOf } from './member-table.ts';
import { isLive, MemberWatch, toOf } from './member-watch.ts';
import { PauseGuard, phiOf } from './phi-accrual.ts';

const yearSeconds = 366 * 86_400;
/** An answer counts as an echo for so many rounds: a replayed one must not bring anybody up. */
const echoRounds = 10;

export class Gossip extends MemberWatch {
  readonly #guard: PauseGuard;
  readonly #startedAt: Millis;
  /** Since when whoever is not in the table has been silent. */
  #listensSince: Millis;
  #nextAt: Millis;
  readonly #conflicts = new Set<string>();
  readonly #refused = new Map<RefuseReason, number>();

  constructor(options: GossipOptions, now: Millis) {
    super(options, now);
    this.#guard = new PauseGuard(this.options.roundMs, this.options.pauseMsMax, now);
    this.#startedAt = now;
    this.#listensSince = now;
    this.#nextAt = now;
  }

  /** When the next tick is due. */
  get nextAt(): Millis {
    return this.halted === undefined ? this.#nextAt : Number.POSITIVE_INFINITY;
  }

  step(input: Input, now: Millis): Effect[] {
    if (this.halted !== undefined) return [];
    this.effects = [];
    switch (input.type) {
      case 'tick':
        if (now >= this.#nextAt) this.#onTick(now);
        break;
      case 'heard':
        this.#onHeard(input.message, input.via, now);
        break;
      case 'link-up':
      case 'link-down':
        this.#onLink(input.name, input.type === 'link-up');
        break;
      case 'dial-refused':
      case 'dial-failed':
        this.#onDialled(input.name, input.type === 'dial-refused', now);
        break;
      case 'set':
        this.#say(input.change);
        break;
      case 'leave':
        this.#say({ status: 'leaving' });
        break;
      case 'left':
      case 'stop':
        return this.#becomeSilent(input.type === 'left' ? 'left' : 'stopped');
      case 'mark-down':
      case 'remove':
        this.#onOrder(input.name, input.type, now);
        break;
    }
    this.flushNews();
    return this.effects;
  }

  /**
   * Down; or never heard of in this life, by nobody, for as long as makes a newcomer suspect: when all have been started anew, whoever does not
   * come back is in no table. Not by the word of one that is alone.
   */
  isLost(name: string, now: Millis): boolean {
    const entry = this.table.get(name);
    if (entry !== undefined) return statusOf(entry) === 'down';
    return this.table.living > 1 && phiOf(now - this.#listensSince, 2 * this.expectedMs()) > this.options.phiThreshold;
  }

  #onTick(now: Millis): void {
    const { pausedMs, trusted } = this.#guard.round(now);
    this.#listensSince = Math.min(now, this.#listensSince + pausedMs);
    this.#nextAt = now + this.options.roundMs;
    this.round++;
    this.bursts = 0;
    this.self.record = beat(this.self.record, this.self.record.heartbeat + 1);
    const open: Entry[] = [];
    for (const entry of this.table.values()) {
      if (entry === this.self) continue;
      if (pausedMs > 0) this.forgive(entry, pausedMs, now);
      if (entry.goneAt !== undefined && now - entry.goneAt > this.options.deadKeptMs) this.table.forget(entry);
      if (isSilent(entry.record)) continue;
      if (trusted) this.judge(entry, now);
      if (!entry.echoed || entry.suspect || entry.asked !== undefined) open.push(entry);
    }
    this.askAround(open, now);
    this.#gossip(now);
  }

  /** One live peer; sometimes one that is down, or the two halves of a healed cluster would never meet; sometimes a seed. */
  #gossip(now: Millis): void {
    const { living, lost } = this.table;
    const [peer] = [...this.some(1, isLive), ...this.some(1, ({ record }) => !isSilent(record))];
    if (peer !== undefined) this.#syn(toOf(peer));
    if (peer !== undefined && this.takesTurns) this.askedBySyn(peer, now);
    if (this.chance(lost / living)) {
      for (const entry of this.some(1, ({ record }) => isDownOnly(record))) this.#syn(toOf(entry));
    }
    const seeds = this.options.seeds.filter(address => address !== this.options.address);
    if (peer !== undefined && seeds.includes(peer.record.address)) return;
    const seed = seeds[this.options.random() % seeds.length];
    if (seed !== undefined && this.chance(seeds.length / Math.max(1, living - 1 + lost))) this.#syn({ address: seed });
  }

  #syn(to: To): void {
    const digests = this.table.digests(this.self, this.round);
    this.send(to, { type: 'syn', seq: this.self.record.heartbeat, count: this.table.size, digests });
  }

  #onHeard(raw: unknown, via: unknown, now: Millis): void {
    const message = checkMessage(raw);
    if (message === undefined) return this.#refuse('bad-message', undefined, via);
    const refusal = this.#refusal(message, now);
    if (refusal !== undefined) return this.#refuse(refusal, message, via);
    if (message.from === this.self.record.name) return this.#onNamesake(message.incarnation, undefined, message, via);
    const sender = this.table.get(message.from);
    if (sender !== undefined) sender.nobodySince = undefined;
    const { body } = message;
    const to: To = { name: message.from, via };
    switch (body.type) {
      case 'syn':
        return this.#onSyn(to, body, now);
      case 'ack':
        return this.#onAck(message, body, to, now);
      case 'states':
        return this.#learnAll(body.states, now);
      case 'ping':
        return this.send(to, { ...body, type: 'pong', digest: digestOf(this.self.record) });
      case 'probe':
        return this.#onProbe(message.from, body.target);
      case 'pong':
        return this.#onPong(message, body, now);
      case 'refuse':
        return this.#onRefused(body.why, body.incarnation, message.from, now);
    }
  }

  #refusal({ cluster, from, incarnation }: GossipMessage, now: Millis): RefuseReason | undefined {
    if (cluster !== this.options.cluster) return 'wrong-cluster';
    return from === this.self.record.name ? undefined : this.#refusalOf(from, incarnation, now);
  }

  #refusalOf(name: string, incarnation: number, now: Millis): RefuseReason | undefined {
    const known = this.table.get(name);
    if (this.#isFarFuture(incarnation, now)) return 'far-future-incarnation';
    if (known === undefined) return this.table.full ? 'table-full' : undefined;
    if (incarnation < known.record.incarnation) return 'stale-incarnation';
    if (!known.record.removed) return undefined;
    if (incarnation === known.record.incarnation) return 'removed';
    return now < (known.goneAt ?? now) + this.options.quarantineMs ? 'quarantined' : undefined;
  }

  #isFarFuture(incarnation: number, now: Millis): boolean {
    return incarnation > this.options.wallSeconds + (now - this.#startedAt) / 1_000 + yearSeconds;
  }

  #refuse(why: RefuseReason, message: GossipMessage | undefined, via: unknown): void {
    this.#refused.set(why, (this.#refused.get(why) ?? 0) + 1);
    this.event({ name: 'refused', why, member: message?.from, incarnation: message?.incarnation });
    // A refusal is not refused in its turn: two clusters would talk about it for ever.
    if (message === undefined || message.body.type === 'refuse') return;
    const incarnation = this.table.get(message.from)?.record.incarnation ?? 0;
    if (why === 'stale-incarnation') this.#conflict(message.from, incarnation, message.incarnation, '');
    this.send({ name: message.from, via }, { type: 'refuse', why, incarnation });
  }

  #onSyn(to: To, { seq, count, digests: theirs }: Extract<GossipBody, { type: 'syn' }>, now: Millis): void {
    const digests: Digest[] = [];
    const known: MemberRecord[] = [];
    for (const digest of theirs) {
      const { want, give } = this.#compare(digest, now);
      const record = this.table.get(digest[0])?.record;
      if (give === 'record' && record !== undefined) known.push(record);
      if (want || give === 'beat') digests.push(record ? digestOf(record) : [digest[0], 0, 0, 0, 0]);
    }
    const size = this.table.size;
    const states = count < size ? this.table.page(this.options.random() % size, known) : known;
    // Where digests take turns there is room for what a syn of our own would say.
    const said = this.takesTurns ? this.table.digests(this.self, this.round, digests) : digests;
    this.send(to, { type: 'ack', seq, count: size, digests: said, states });
  }

  #onAck(message: GossipMessage, body: Extract<GossipBody, { type: 'ack' }>, to: To, now: Millis): void {
    this.#learnAll(body.states, now);
    this.#echo(message, body.seq);
    const asked: MemberRecord[] = [];
    for (const digest of body.digests) {
      const { give } = this.#compare(digest, now);
      const record = this.table.get(digest[0])?.record;
      if (give === 'record' && record !== undefined) asked.push(record);
    }
    const size = this.table.size;
    const states = body.count < size ? this.table.page(this.options.random() % size, asked) : asked;
    if (states.length > 0) this.send(to, { type: 'states', states: states.slice(0, gossipStatesMax) });
  }

  /** What a digest tells, and who knows more. A heartbeat is taken from it directly; whatever else changed needs the record. */
  #compare(digest: Digest, now: Millis): { want: boolean; give: 'record' | 'beat' | undefined } {
    const [name, incarnation, version, heartbeat, notes] = digest;
    const entry = this.table.get(name);
    if (entry === undefined) return { want: true, give: undefined };
    const { record } = entry;
    const order = incarnation - record.incarnation || version - record.version;
    if (order !== 0) return { want: order > 0, give: order < 0 ? 'record' : undefined };
    const isBeat = notes === 0 && heartbeat > record.heartbeat && entry !== this.self;
    if (isBeat) this.become(entry, beat(record, heartbeat), now);
    if (heartbeat < record.heartbeat) return { want: false, give: notesOf(record) === 0 ? 'beat' : 'record' };
    const differs = notes !== notesOf(entry.record) || (entry === this.self && heartbeat > record.heartbeat);
    return { want: differs, give: differs ? 'record' : undefined };
  }

  #onProbe(asker: string, target: string): void {
    const entry = this.table.get(target);
    if (entry === undefined || entry === this.self) return;
    this.send(toOf(entry), { type: 'ping', seq: this.self.record.heartbeat, for: asker });
  }

  /** Of the member itself, an echo; relayed, only its heartbeat counts: that it answers somebody else is no echo. */
  #onPong(message: GossipMessage, body: Extract<GossipBody, { type: 'pong' }>, now: Millis): void {
    this.#compare(body.digest, now);
    if (body.digest[0] !== message.from) return;
    if (body.for === undefined) return this.#echo(message, body.seq);
    const asker = this.table.get(body.for);
    if (asker !== undefined && asker !== this.self) this.send(toOf(asker), { ...body });
  }

  #echo({ from, incarnation }: GossipMessage, seq: number): void {
    const entry = this.table.get(from);
    const own = this.self.record.heartbeat;
    if (entry?.record.incarnation !== incarnation || seq > own || own - seq > echoRounds) return;
    entry.echoed = true;
    if (entry.asked !== undefined && seq >= entry.asked.seq) entry.asked = undefined;
    this.show(entry);
  }

  #onRefused(why: RefuseReason, incarnation: number, by: string, now: Millis): void {
    this.event({ name: 'refused-by', why, member: by, incarnation });
    if (
      why === 'stale-incarnation' &&
      incarnation > this.self.record.incarnation &&
      !this.#isFarFuture(incarnation, now)
    ) {
      this.becomeHalted('superseded', incarnation, '');
    }
    if (why === 'removed') this.becomeHalted('removed', incarnation, '');
  }

  #learnAll(states: readonly MemberRecord[], now: Millis): void {
    for (const record of states) {
      if (record.name === this.self.record.name)
        this.#onNamesake(record.incarnation, record, undefined, undefined, now);
      else this.#learn(record, now);
      if (this.halted !== undefined) return;
    }
  }

  #learn(record: MemberRecord, now: Millis): void {
    const refusal = this.#refusalOf(record.name, record.incarnation, now);
    if (refusal !== undefined) {
      // Old news of a third party is what gossip is made of; the rest is worth telling.
      if (refusal === 'far-future-incarnation' || refusal === 'table-full') this.#refuse(refusal, undefined, undefined);
      return;
    }
    const entry = this.table.get(record.name);
    if (entry !== undefined) return this.become(entry, merge(entry.record, record), now);
    const nothingYet = { suspicions: [], app: undefined };
    this.become(this.table.add({ ...record, ...nothingYet }, 2 * this.expectedMs(), now), record, now);
  }

  #onLink(name: string, up: boolean): void {
    const entry = this.table.get(name);
    if (entry === this.self) return;
    // A link to somebody not heard of, such as a seed: it is told of us.
    if (entry === undefined) {
      if (up) this.#syn({ name });
      return;
    }
    entry.linked = up;
    if (up) this.#syn(toOf(entry));
  }

  /** A machine that refuses says more than one that is silent: the process that listened there is gone, or was told not to listen to us. */
  #onDialled(name: string, isRefused: boolean, now: Millis): void {
    const entry = this.table.get(name);
    if (entry === undefined || entry === this.self) return;
    entry.nobodySince = isRefused ? (entry.nobodySince ?? now) : undefined;
  }

  /** What this member says of itself is new: a version of its own, told at once. */
  #say(change: OwnChange): void {
    const record = { ...this.self.record, ...change, version: this.self.record.version + 1 };
    refuseOwn(this.options.cluster, record);
    this.self.record = record;
    this.self.shown = statusOf(this.self);
    this.tell(this.self);
  }

  /** The last word: to a few peers directly, who pass it on. */
  #becomeSilent(why: 'left' | 'stopped'): Effect[] {
    this.#say({ status: why });
    for (const peer of this.some(goodbyesMax, isLive)) {
      this.send(toOf(peer), { type: 'states', states: [this.self.record] });
    }
    this.becomeHalted(why, this.self.record.incarnation, this.self.record.address);
    return this.effects;
  }

  #onOrder(name: string, order: 'mark-down' | 'remove', now: Millis): void {
    const entry = this.table.get(name);
    if (entry === undefined || entry === this.self) return;
    const change = order === 'remove' ? { removed: true } : { down: true };
    // Told to the member itself too, if it still lives: it has to stop.
    const record = { ...entry.record, ...change };
    if (order === 'remove') this.send(toOf(entry), { type: 'states', states: [record] });
    this.become(entry, record, now);
  }

  /** Somebody speaks of, or under, our own name. */
  #onNamesake(
    incarnation: number,
    record: MemberRecord | undefined,
    message?: GossipMessage,
    via?: unknown,
    now = this.#startedAt,
  ): void {
    const own = this.self.record;
    if (this.#isFarFuture(incarnation, now)) return this.#refuse('far-future-incarnation', undefined, undefined);
    if (incarnation > own.incarnation) {
      this.#conflict(own.name, incarnation, own.incarnation, record?.address ?? '');
      return this.becomeHalted('superseded', incarnation, record?.address ?? '');
    }
    if (incarnation < own.incarnation) {
      // Of the life before this one there is much gossip; only a message of its own proves that it still lives.
      if (message !== undefined && message.body.type !== 'refuse') {
        this.#conflict(own.name, own.incarnation, incarnation, '');
        this.send({ name: own.name, via }, { type: 'refuse', why: 'stale-incarnation', incarnation: own.incarnation });
      }
      return;
    }
    if (record === undefined) return;
    if (record.removed) return this.becomeHalted('removed', incarnation, record.address);
    if (record.address !== own.address) this.#conflict(own.name, incarnation, incarnation, record.address);
    const isAccused = record.heartbeat >= own.heartbeat && (record.down || record.suspicions.length > 0);
    if (record.version <= own.version && record.heartbeat <= own.heartbeat && !isAccused) return;
    // A heartbeat above all that was said: it refutes whatever is held against us.
    const heartbeat = Math.max(own.heartbeat, record.heartbeat) + 1;
    const version = record.version > own.version ? record.version + 1 : own.version;
    this.self.record = { ...own, heartbeat, version };
    this.tell(this.self);
  }

  #conflict(name: string, incarnation: number, other: number, address: string): void {
    const key = `${name} ${incarnation} ${other} ${address}`;
    if (this.#conflicts.has(key) || this.#conflicts.size >= conflictsMax) return;
    this.#conflicts.add(key);
    this.event({ name: 'name-conflict', member: name, incarnation, other, address });
  }

  describe(): { round: number; halted: Halt | undefined; members: number; refused: Readonly<Record<string, number>> } {
    const { round, halted, table } = this;
    return { round, halted, members: table.size, refused: Object.fromEntries(this.#refused) };
  }
}
