// A small world in which the relocation cores move counter actors about: hosts, FIFO links, seeded scheduling, virtual time.
//
// The intuition: the cores are the real ones, everything around them is as simple and as nasty as the contract allows. Any
// two links, turns and local jobs may overtake each other; a link may lose and repeat frames; hosts crash, sleep, join, and
// are taken for dead while they only slept. Faults can be aimed: those that strike at random hardly ever meet a move.
//
// Oracles: relocation-ledger.ts (loss, doubles, order, reports, epochs), checkOwner (two owners), #verdict (all comes to rest).

import { Chance } from './relocation-chance.ts';
import type { Control, Cores, Directory, DirectoryEffect, HostEffect, Outcome } from './relocation-cores.ts';
import { Ledger, violation } from './relocation-ledger.ts';
import { type Link, Links } from './relocation-links.ts';
import { limits, SimHost } from './relocation-sim-host.ts';

/**
 * The last five are aimed. Four wait for a unit that settles: 'orphan' takes away its new owner while the old one still
 * forwards, 'orphan-zombie' does so although it lives, 'tombstone' takes the old owner, 'bystander' a host that may have
 * sent to both. 'late-source' waits until the target's word is under way to the directory, and takes the source.
 */
export type Fault =
  | 'crash'
  | 'pause'
  | 'zombie'
  | 'orphan'
  | 'orphan-zombie'
  | 'tombstone'
  | 'bystander'
  | 'late-source';

export interface SimOptions {
  readonly seed: number;
  readonly cores: Cores;
  readonly hosts: number;
  readonly units: number;
  /** Messages each sender (one a host and unit) sends before the last round. */
  readonly messages: number;
  /** Proposals made at random. */
  readonly moves: number;
  readonly faults?: readonly Fault[];
  readonly joins?: number;
  /** How many moves that were aborted are proposed again at once: what the first left behind meets the second. */
  readonly retries?: number;
  /** Links keep sessions: what a trigger breaks is sent again. */
  readonly sessions?: boolean;
  /** Sessions, and frames are lost and repeated at random. */
  readonly lossy?: boolean;
  /** Targets have no room or cannot restore, sources cannot pack, pieces are damaged. */
  readonly refusals?: boolean;
  /** Some turns and local jobs take seconds. */
  readonly slow?: boolean;
  /** Hosts learn of every move, also of units they never talked to (RouteOptions.learnsAll). */
  readonly learnsAll?: boolean;
  readonly trace?: boolean;
}

/** Something that is about to happen on a host. */
export interface Point {
  readonly kind: 'frame' | 'job';
  readonly type: string;
  readonly at: number;
}

const stepsMax = 60_000;
const sleepMsMax = 60_000; // twice the longest bound of the protocol

export class Sim {
  readonly options: SimOptions;
  readonly hosts: SimHost[] = [];
  readonly directory: Directory;
  readonly ledger: Ledger;
  readonly links: Links;
  readonly outcomes = new Map<number, { readonly by: number; readonly got: Outcome[] }>();
  readonly trace: string[] = [];
  /** What happened in this run, for a test that wants to know that everything did. */
  readonly seen = new Set<string>();
  /** Called before a frame or a local job is handled; may inject faults. True: it has done its work. */
  trigger: ((point: Point) => boolean) | undefined;
  triggered = false;
  /** How many messages each sender may have sent by now. */
  quota: number;
  #now = 0;
  readonly #chance: Chance;
  readonly #units: readonly string[];
  #epoch = 0;
  #tickets = 0;
  #faultsLeft: Fault[];
  #joinsLeft: number;
  #movesLeft: number;
  #retriesLeft: number;
  #steps = 0;
  #lastRound = false;
  #justSettled: string | undefined;

  constructor(options: SimOptions) {
    this.options = options;
    this.quota = options.messages;
    this.#chance = new Chance(options.seed);
    this.#units = Array.from({ length: options.units }, (_, index) => `counter/${index}`);
    this.#faultsLeft = [...(options.faults ?? [])];
    this.#joinsLeft = options.joins ?? 0;
    this.#movesLeft = options.moves;
    this.#retriesLeft = options.retries ?? 0;
    this.ledger = new Ledger(id => this.host(id).isUp);
    const lossy = options.lossy ?? false;
    this.links = new Links(this.#chance, { lossy, sessions: lossy || options.sessions === true }, id => this.host(id));
    const ids = Array.from({ length: options.hosts }, (_, id) => id);
    const place = (_unit: string, live: readonly number[]) => this.#chance.pick(live);
    this.directory = new options.cores.Directory({ hosts: ids, place, limits });
    for (const id of ids) this.#addHost(id);
  }

  host(id: number): SimHost {
    return this.hosts[id] as SimHost;
  }

  // ---------------------------------------------------------------------------------------------------------------
  // Running

  run(): this {
    try {
      this.runUntilQuiet();
      // Life goes on: without further faults each unit takes a message from everyone.
      this.#lastRound = true;
      this.#faultsLeft = [];
      const firstOfLastRound = this.ledger.messages.length;
      for (const host of this.hosts) if (host.isUp) for (const sender of host.senders) host.send(sender);
      this.runUntilQuiet();
      this.#verdict(firstOfLastRound);
      return this;
    } catch (error) {
      const recent = this.trace.slice(-200).join('\n');
      (error as Error).message =
        `seed ${this.options.seed}, step ${this.#steps}: ${(error as Error).message}\n${recent}`;
      throw error;
    }
  }

  runUntilQuiet(): this {
    while (this.#step()) if (++this.#steps > stepsMax) violation('does not come to rest');
    return this;
  }

  /** One thing happens. False when nothing ever will again. */
  #step(): boolean {
    const actions = this.#actions();
    if (actions.length > 0) {
      this.#now += this.#chance.under(0.7) ? 0 : this.#chance.below(3);
      this.#chance.pick(actions)();
      return true;
    }
    const next = this.#nextMoment();
    if (next === Number.POSITIVE_INFINITY) return this.#hasPlans(); // chance has held them back this time
    this.#now = Math.max(this.#now, next);
    return true;
  }

  #actions(): (() => void)[] {
    const actions: (() => void)[] = [];
    for (const link of this.links.all) {
      if (!this.host(link.to).isAwake(this.#now) || link.cloggedUntil > this.#now) continue;
      if (this.links.hasFrame(link)) actions.push(() => this.#onWire(link));
      else if (this.links.hasUnsent(link)) actions.push(() => this.links.resend(link));
    }
    for (const host of this.hosts) if (host.isAwake(this.#now)) this.#actionsOf(host, actions);
    if (this.#movesLeft > 0 && this.#chance.under(0.3)) actions.push(() => this.#proposeAny());
    if (this.#mayFault()) actions.push(() => this.#faultAny());
    if (this.#joinsLeft > 0 && this.#chance.under(0.05)) actions.push(() => this.#join());
    return actions;
  }

  #actionsOf(host: SimHost, actions: (() => void)[]) {
    const now = this.#now;
    if ((host.jobs[0]?.notBefore ?? Number.POSITIVE_INFINITY) <= now) actions.push(() => this.#runJob(host));
    for (const instance of host.instances.values()) {
      const { turn, turnEndsAt, mode, mailbox } = instance;
      if (turn !== undefined && turnEndsAt <= now) actions.push(() => host.endTurn(instance));
      if (turn === undefined && mode === 'running' && mailbox.length > 0) actions.push(() => host.beginTurn(instance));
    }
    if ((host.route.deadlineAt ?? Number.POSITIVE_INFINITY) <= now) actions.push(() => host.step({ type: 'tick' }));
    if (host.id === 0 && (this.directory.deadlineAt ?? Number.POSITIVE_INFINITY) <= now) {
      actions.push(() => this.#decide({ type: 'tick' }));
    }
    // Sending is slower than moving, or all would have been said before the first switch.
    if (this.#lastRound || this.#chance.under(0.7)) return;
    const sender = this.#chance.pick(host.senders);
    if (sender.sent < this.quota) actions.push(() => host.send(sender));
  }

  #hasPlans(): boolean {
    if (this.#movesLeft > 0 || this.#joinsLeft > 0) return true;
    const mayStillSend = (host: SimHost) =>
      host.isAwake(this.#now) && host.senders.some(({ sent }) => sent < this.quota);
    return !this.#lastRound && this.hosts.some(mayStillSend);
  }

  #nextMoment(): number {
    const now = this.#now;
    const ofHosts = this.hosts
      .filter(({ alive }) => alive)
      .map(host => (host.pausedUntil > now ? host.pausedUntil : host.nextMoment()));
    const ofLinks = this.links.all.map(({ cloggedUntil }) => (cloggedUntil > now ? cloggedUntil : Infinity));
    const ofDirectory = this.host(0).isAwake(now) ? (this.directory.deadlineAt ?? Infinity) : Infinity;
    return Math.min(...ofHosts, ...ofLinks, ofDirectory);
  }

  #onWire(link: Link) {
    if (this.#chance.under(link.slowness)) return;
    this.#pull({ kind: 'frame', type: this.links.first(link).type, at: link.to });
    // The trigger may have taken the reader or the connection away.
    const host = this.host(link.to);
    if (!host.isAwake(this.#now) || !this.links.hasFrame(link)) return;
    const message = this.links.take(link);
    if (message === undefined) return;
    const payload = payloadOf(message);
    if (payload !== undefined) this.ledger.reaches(payload, host.id);
    if (this.options.cores.isForDirectory(message)) this.#decide({ type: 'heard', from: link.from, message });
    else host.hear(link.from, message);
  }

  #runJob(host: SimHost) {
    const job = host.jobs[0];
    if (job !== undefined) this.#pull({ kind: 'job', type: job.type, at: host.id });
    if (host.isAwake(this.#now)) host.jobs.shift()?.run();
  }

  #pull(point: Point) {
    if (this.triggered || this.trigger?.(point) !== true) return;
    this.triggered = true;
    this.#track(() => `--- trigger at ${point.type} on ${point.at}`);
  }

  #post(from: number, to: number, message: Control<number>) {
    this.#track(() => `${from} -> ${to} ${show(message)}`);
    const payload = payloadOf(message);
    if (payload !== undefined) {
      if (this.host(from).hungUp.has(to)) violation(`${from} sends ${payload} to ${to}, knowing it is dead`);
      this.ledger.leaves(payload, from, to, message.type === 'direct' ? message.epoch : undefined);
    }
    this.links.post(from, to, message);
  }

  // ---------------------------------------------------------------------------------------------------------------
  // The directory and its proposals

  #proposeAny() {
    this.#movesLeft--;
    const host = this.#chance.pick(this.hosts);
    if (!host.isUp || !host.isAwake(this.#now)) return;
    const unit = this.#chance.pick(this.#units);
    const known = host.route.ownerOf(unit)?.epoch ?? 0;
    this.propose(host.id, unit, this.#chance.below(this.hosts.length), this.#chance.under(0.1) ? known : 0);
  }

  propose(by: number, unit: string, to: number, expect = 0): number {
    const ticket = ++this.#tickets;
    this.outcomes.set(ticket, { by, got: [] });
    this.host(by).step({ type: 'propose', unit, to, expect, ticket });
    return ticket;
  }

  #decide(input: Parameters<Directory['step']>[0]) {
    const fresh = this.directory.spent < this.#epoch ? this.#epoch : ++this.#epoch;
    this.#justSettled = undefined;
    for (const effect of this.directory.step(input, this.#now, fresh)) this.#onDecision(effect);
  }

  #onDecision(effect: DirectoryEffect) {
    this.#mark(effect);
    if (effect.type === 'event') return;
    const { message } = effect;
    if (message.type === 'reserve' || message.type === 'grant' || message.type === 'thaw') {
      this.ledger.names(message.unit, message.epoch);
    } else if (message.type === 'moved') {
      const { unit, epoch, to, how } = message;
      if (how === 'shipped') this.ledger.committed(unit, epoch, to);
      else if (epoch !== this.ledger.namedLast(unit)) this.ledger.names(unit, epoch); // once, not for each host told
    }
    this.#post(0, effect.to, message);
  }

  #mark(effect: DirectoryEffect) {
    if (effect.type === 'send') {
      const { message } = effect;
      if (message.type === 'moved') this.seen.add(`moved ${message.how}`);
      if (message.type !== 'outcome') return;
      this.seen.add(`outcome ${message.outcome.result}`);
      if (message.outcome.result === 'refused') this.seen.add(message.outcome.reason);
      return;
    }
    const { event } = effect;
    this.seen.add(event.name === 'aborted' ? `aborted ${event.reason}` : event.name);
    if (event.name === 'relocating' && this.#justSettled === event.unit) this.seen.add('moved in line');
    this.#justSettled = event.name === 'settled' ? event.unit : undefined;
    if (event.name === 'aborted' && this.#retriesLeft-- > 0) {
      const run = () => this.propose(0, event.unit, this.#chance.below(this.hosts.length));
      this.host(0).jobs.push({ type: 'retry', notBefore: this.#now, run });
    }
  }

  // ---------------------------------------------------------------------------------------------------------------
  // Faults

  crash(id: number) {
    const host = this.host(id);
    if (!host.alive) return;
    this.#track(() => `--- ${id} crashes`);
    host.crash();
    this.#excuse(id);
    // The directory hears of it some time later.
    this.host(0).jobs.push({ type: 'death', notBefore: this.#now, run: () => this.declareDead(id) });
  }

  /** True of a crashed host, untrue of a sleeping one: from here on it is a zombie. */
  declareDead(id: number) {
    const host = this.host(id);
    if (host.declared) return;
    this.#track(() => `--- ${id} is declared dead`);
    host.declared = true;
    this.#excuse(id);
    this.#decide({ type: 'died', host: id });
  }

  pause(id: number, ms: number) {
    this.#track(() => `--- ${id} sleeps for ${ms} ms`);
    const host = this.host(id);
    host.pausedUntil = Math.max(host.pausedUntil, this.#now + ms);
  }

  breakAllLinks() {
    for (const from of this.hosts.keys()) {
      for (const to of this.hosts.keys()) if (from !== to) this.links.breakOff(from, to, this.#now);
    }
  }

  #excuse(id: number) {
    const payloads = [...this.links.aroundHost(id)].map(payloadOf).filter(payload => payload !== undefined);
    this.ledger.excuse(id, payloads);
  }

  #mayFault(): boolean {
    const fault = this.#faultsLeft[0];
    if (fault === undefined || !this.#chance.under(0.2)) return false;
    return !isAimed(fault) || this.#aim(fault) > 0;
  }

  #faultAny() {
    const fault = this.#faultsLeft.shift() as Fault;
    const id = isAimed(fault) ? this.#aim(fault) : this.#victim();
    if (id <= 0 || !this.host(id).isUp) return;
    const sleepMs = 1 + this.#chance.below(sleepMsMax);
    if (fault === 'pause') return this.pause(this.#chance.under(0.2) ? 0 : id, sleepMs);
    if (!fault.endsWith('zombie')) return this.crash(id);
    this.pause(id, sleepMs);
    this.declareDead(id);
  }

  #aim(fault: Fault): number {
    if (fault === 'late-source') return this.#sourceOfInstalled();
    const settling = this.directory.describe().motion.find(({ phase, via }) => phase === 'settling' && via !== -1);
    if (settling === undefined) return -1;
    if (fault === 'tombstone') return settling.via ?? -1;
    if (fault !== 'bystander') return settling.host;
    const isBystander = ({ id, isUp }: SimHost) => isUp && id > 0 && id !== settling.host && id !== settling.via;
    return this.hosts.find(isBystander)?.id ?? -1;
  }

  /** The link that carries the target's word is held up as well, so that it arrives when another move may be on. */
  #sourceOfInstalled(): number {
    const link = this.links.all.find(it => this.links.hasFrame(it) && this.links.first(it).type === 'installed');
    const move = this.directory.describe().motion.find(({ phase, to }) => phase === 'shipping' && to === link?.from);
    if (link === undefined || move === undefined || move.from === 0) return -1;
    link.cloggedUntil = this.#now + 60;
    return move.from ?? -1;
  }

  /** Anybody, or somebody whom a move under way is all about. */
  #victim(): number {
    const { motion } = this.directory.describe();
    const move = motion[this.#chance.below(motion.length)];
    const involved = move === undefined || this.#chance.under(0.3) ? [] : [move.host, move.to ?? -1, move.via ?? -1];
    const chosen = involved[this.#chance.below(involved.length)] ?? -1;
    return chosen > 0 ? chosen : 1 + this.#chance.below(this.hosts.length - 1);
  }

  #join() {
    this.#joinsLeft--;
    const id = this.hosts.length;
    this.#addHost(id);
    this.#decide({ type: 'joined', host: id });
  }

  #addHost(id: number) {
    const { cores, refusals = false, slow = false, learnsAll = false } = this.options;
    const host = new SimHost(id, this.#units, {
      cores,
      refusals,
      slow,
      learnsAll,
      chance: this.#chance,
      ledger: this.ledger,
      now: () => this.#now,
      post: (from, to, message) => this.#post(from, to, message),
      onOutcome: (ticket, outcome) => this.outcomes.get(ticket)?.got.push(outcome),
      checkOwner: (owner, unit, epoch) => this.#checkOwner(owner, unit, epoch),
      note: (mark, at, effect) => this.#note(mark, at, effect),
    });
    this.hosts.push(host);
  }

  #note(mark: string, at: number, effect: HostEffect<number>) {
    this.seen.add(mark);
    if (effect.type !== 'send') this.#track(() => `    ${at}: ${show(effect)}`);
  }

  // ---------------------------------------------------------------------------------------------------------------
  // Oracles

  /** Only what the directory has granted may run, under a higher epoch than ever, and nowhere else at that moment. */
  #checkOwner(host: SimHost, unit: string, epoch: number) {
    if (host.isZombie) return;
    const owner = this.directory.ownerOf(unit);
    // An abort may have raised the epoch again by now; its `thaw` is then on the way.
    if (owner?.host !== host.id || owner.epoch < epoch) {
      violation(`${unit} runs on ${host.id} under ${epoch}, but is ${owner?.host}'s under ${owner?.epoch}`);
    }
    this.ledger.runs(unit, epoch);
    for (const other of this.hosts) {
      const twin = other === host || !other.isUp ? undefined : other.instances.get(unit);
      const runs = twin?.mode === 'running' || twin?.turn !== undefined;
      if (runs) violation(`${unit} runs on ${host.id} and ${other.id}`);
    }
  }

  /** Nobody is left waiting and nothing is left in motion. */
  #verdict(firstOfLastRound: number) {
    this.ledger.verdict(firstOfLastRound);
    const { motion, aborted, started, committed } = this.directory.describe();
    if (motion.length > 0) violation(`the directory still moves ${JSON.stringify(motion)}`);
    const abortedCount = Object.values(aborted).reduce((sum, count) => sum + count, 0);
    if (started !== committed + abortedCount) violation(`${started} moves did not all end`);
    for (const host of this.hosts) if (host.isUp) this.#verdictOf(host);
    for (const [ticket, { by, got }] of this.outcomes) {
      const isRight = got.length === 1 || (got.length === 0 && !this.host(by).isUp);
      if (!isRight) violation(`proposal ${ticket} had ${got.length} outcomes`);
    }
  }

  #verdictOf({ id, route, installs, instances }: SimHost) {
    const { motions, resolving, strays } = route.describe();
    if (motions.length > 0) violation(`${id} still moves ${JSON.stringify(motions)}`);
    if (resolving > 0) violation(`${id} still resolves ${resolving} messages`);
    if (strays > 0) violation(`${id} met ${strays} strays`);
    if (installs.size > 0) violation(`${id} keeps an installed copy`);
    for (const { unit, mode } of instances.values()) {
      if (mode !== 'running') violation(`${unit} is left ${mode} on ${id}`);
      if (this.directory.ownerOf(unit)?.host !== id) violation(`${id} keeps an orphan of ${unit}`);
    }
  }

  #track(line: () => string) {
    if (this.options.trace === true) this.trace.push(`${this.#now} ${line()}`);
  }
}

function payloadOf(message: Control<number>): number | undefined {
  return message.type === 'direct' || message.type === 'forward' ? message.payload : undefined;
}

const isAimed = (fault: Fault): boolean => !['crash', 'pause', 'zombie'].includes(fault);

const show = (value: object): string =>
  JSON.stringify(value, (key, field) => (key === 'piece' || key === 'pieces' ? '...' : field));
