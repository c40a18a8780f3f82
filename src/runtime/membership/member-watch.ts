// What one node makes of the others: the verdicts, what follows when a record changes, and the voice with which it is told.
// The lower half of gossip.ts, which decides what the messages mean.
//
// Invariant: a record of another member changes in `become` only, and an event comes from `show` only.

import { TroupeError } from '../../errors.ts';
import {
  gossipBurstsPerRoundMax,
  gossipDigestsMax,
  gossipFanOut,
  gossipStatesMax,
  probesPerRoundMax,
  seedsMax,
  watchedMax,
} from '../../limits.ts';
import type { Millis } from '../world.ts';
import { type GossipBody, refuseOwn } from './gossip-messages.ts';
import {
  type Effect,
  type GossipEvent,
  type GossipOptions,
  gossipDefaults,
  type Halt,
  type MemberView,
  type To,
} from './gossip-types.ts';
import { type AppState, type MemberRecord, notesOf, suspectedBy } from './member.ts';
import { type Entry, isSilent, MemberTable, statusOf } from './member-table.ts';
import { PhiWindow, phiOf } from './phi-accrual.ts';
import { verdict } from './suspicion.ts';

/** Rounds in which news goes into every message; log2 of the largest cluster is 13. */
const newsRounds = 12;
/** Draws for each member that is wanted, before all are looked through: nearly always most will do. */
const triesEach = 8;

export class MemberWatch {
  protected readonly options: Required<GossipOptions>;
  protected readonly table = new MemberTable();
  protected readonly self: Entry;
  protected round = 0;
  protected bursts = 0;
  #watched = 0;
  protected effects: Effect[] = [];
  readonly #news = new Set<string>();
  /** Why this machine has ended. */
  halted: Halt | undefined;

  constructor(options: GossipOptions, now: Millis) {
    this.options = { ...gossipDefaults, wallSeconds: options.incarnation, ...options };
    const { name, incarnation, address, zone, rack, weight, capacity, protocol, app, status } = this.options;
    if (this.options.seeds.length > seedsMax)
      throw new TroupeError(
        'BAD_OPTION',
        `join: ${this.options.seeds.length} addresses; at most ${seedsMax} may be given`,
      );
    const life = { name, incarnation, version: 1, heartbeat: 1, status, suspicions: [], down: false, removed: false };
    const record: MemberRecord = { ...life, address, zone, rack, weight, capacity, protocol, app };
    refuseOwn(this.options.cluster, record);
    this.self = this.table.add(record, this.options.roundMs, now);
    this.self.echoed = true;
    this.self.shown = statusOf(this.self);
  }

  /** In the shape of `node.cluster.members()`, by name. */
  members(now: Millis): MemberView[] {
    return [...this.table.values()]
      .map(entry => {
        const { name, incarnation, heartbeat, weight, zone, rack, address } = entry.record;
        const phi = entry === this.self ? 0 : this.#phi(entry, now);
        const suspects = entry.reports.reporters(entry.record, now);
        return { name, incarnation, heartbeat, status: statusOf(entry), phi, suspects, weight, zone, rack, address };
      })
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** What a member gossips of the application; undefined: nothing, or it is not known. */
  appOf(name: string): AppState | undefined {
    return this.table.get(name)?.record.app;
  }

  protected judge(entry: Entry, now: Millis): void {
    const isNobody = now - (entry.nobodySince ?? now) >= this.options.nobodyMs;
    const suspect = isNobody || this.#phi(entry, now) > this.options.phiThreshold;
    // Most members in most rounds: there is nothing to weigh.
    if (!suspect && !entry.suspect && entry.record.suspicions.length === 0) return;
    entry.suspect = suspect;
    if (entry.suspect && now - entry.reportedAt > this.options.reportMs / 2) {
      entry.reportedAt = now;
      const { name, heartbeat } = this.self.record;
      this.become(entry, suspectedBy(entry.record, name, heartbeat), now);
    }
    this.convict(entry, now);
  }

  /**
   * Where all digests fit, the silence of gossip. Where they take turns that says little: there a member that was asked, and
   * answers neither a ping a round nor those of helpers, is as silent as if all its heartbeats were missed.
   */
  #phi(entry: Entry, now: Millis): number {
    if (!this.takesTurns) return entry.phi.phi(now);
    const heard = entry.phi.phi(now, this.expectedMs());
    return entry.asked === undefined ? heard : Math.max(heard, phiOf(now - entry.asked.at, this.options.roundMs));
  }

  /** This node stood still: that part of a silence proves nothing. */
  protected forgive({ phi, asked }: Entry, pausedMs: Millis, now: Millis): void {
    phi.forgive(pausedMs, now);
    if (asked !== undefined) asked.at = Math.min(now, asked.at + pausedMs);
  }

  protected convict(entry: Entry, now: Millis): void {
    if (entry === this.self || isSilent(entry.record)) return;
    const reporters = entry.reports.reporters(entry.record, now).length;
    const { suspect, asked } = entry;
    const probeFailed = asked !== undefined && now - asked.at >= this.options.probeMs;
    const others = this.table.living - 2;
    const found = verdict({ suspect, reporters, others, probeFailed });
    if (found === 'down') this.become(entry, { ...entry.record, down: true }, now);
    else this.show(entry);
  }

  /** Pings those of whom something is open, within the budget of a round. */
  protected askAround(open: readonly Entry[], now: Millis): void {
    const watched = open.filter(({ asked, suspect }) => asked !== undefined && !suspect).slice(0, watchedMax);
    this.#watched = watched.length;
    let probes = 0;
    for (const entry of watched) probes += this.#probe(entry, now);
    // From a random one on: those that never answer must not use up what newcomers need.
    const others = open.filter(entry => !watched.includes(entry));
    const from = this.options.random();
    for (let seen = 0; seen < others.length && probes < probesPerRoundMax; seen++) {
      probes += this.#probe(others[(from + seen) % others.length] as Entry, now);
    }
  }

  /** The peer of a round has to answer like one that was pinged: so everybody is asked by somebody, whatever the size. */
  protected askedBySyn(peer: Entry, now: Millis): void {
    if (!peer.echoed || peer.asked !== undefined || this.#watched >= watchedMax) return;
    peer.asked = { at: now, seq: this.self.record.heartbeat };
  }

  /** Directly; and where that was in vain, or of a suspect, through two others: their link may be whole where ours is not. */
  #probe(entry: Entry, now: Millis): number {
    const seq = this.self.record.heartbeat;
    const { name } = entry.record;
    this.send({ name, address: entry.record.address }, { type: 'ping', seq });
    const isFirst = entry.asked === undefined;
    if (entry.echoed || entry.suspect) entry.asked ??= { at: now, seq };
    if (!entry.suspect && isFirst) return 1;
    const helpers = this.some(2, each => each !== entry && !isSilent(each.record) && !each.suspect);
    for (const helper of helpers) this.send(toOf(helper), { type: 'probe', seq, target: name });
    return 1 + helpers.length;
  }

  /** The only place where a record changes. What follows from the change for what this node alone knows is here too. */
  protected become(entry: Entry, record: MemberRecord, now: Millis): void {
    const before = entry.record;
    if (record === before) return;
    this.table.replace(entry, record);
    const isNext = record.incarnation > before.incarnation;
    if (isNext) {
      entry.phi = new PhiWindow(2 * this.expectedMs(), now);
      entry.echoed = false;
      entry.asked = undefined;
      entry.nobodySince = undefined;
      entry.goneAt = undefined;
      this.event({ name: 'member-restarted', member: record.name, incarnation: record.incarnation });
    }
    const lives = isNext || record.heartbeat > before.heartbeat;
    if (lives) {
      entry.phi.heard(now, 2 * this.expectedMs());
      entry.suspect = false;
      // Later than we knew, and said by somebody who waits for it in vain: no reason to wait from the beginning.
      if (record.suspicions.length === 0) entry.asked = undefined;
      entry.reportedAt = Number.NEGATIVE_INFINITY;
      entry.reports.clear();
    }
    entry.reports.noted(record, this.options.reportMs, now);
    if (isSilent(record)) entry.echoed = false;
    if (record.removed || record.status === 'left') entry.goneAt ??= now;
    if (lives && !isNext && record.version === before.version && notesOf(record) === 0) return this.show(entry);
    this.tell(entry);
    this.convict(entry, now);
    this.show(entry);
    if (record.app?.hash === before.app?.hash && record.app?.epoch === before.app?.epoch) return;
    this.event({ name: 'app-changed', member: record.name, app: record.app });
  }

  protected show(entry: Entry): void {
    const status = statusOf(entry);
    if (status === entry.shown || entry === this.self) return;
    const { name, incarnation } = entry.record;
    if (entry.shown === undefined) this.event({ name: 'member-joined', member: name, incarnation });
    entry.shown = status;
    if (status !== 'joining') this.event({ name: `member-${status}`, member: name, incarnation });
  }

  protected tell(entry: Entry): void {
    this.table.tell(entry, this.round + newsRounds);
    this.#news.add(entry.record.name);
  }

  protected flushNews(): void {
    if (this.#news.size === 0 || this.bursts >= gossipBurstsPerRoundMax || this.halted !== undefined) return;
    this.bursts++;
    const entries = [...this.#news].slice(0, gossipStatesMax).map(name => this.table.get(name));
    this.#news.clear();
    const states = entries.flatMap(entry => (entry === undefined ? [] : [entry.record]));
    for (const peer of this.some(gossipFanOut, isLive)) this.send(toOf(peer), { type: 'states', states });
  }

  protected get takesTurns(): boolean {
    return this.table.size > gossipDigestsMax;
  }

  /** The usual distance of two heartbeats of one member: a round, or more where digests take turns. */
  protected expectedMs(): Millis {
    return this.options.roundMs * Math.max(1, this.table.size / gossipDigestsMax);
  }

  protected becomeHalted(why: Halt, incarnation: number, address: string): void {
    this.halted = why;
    this.event({ name: 'halted', why, incarnation, address });
  }

  protected send(to: To, body: GossipBody): void {
    const { name: from, incarnation } = this.self.record;
    this.effects.push({ type: 'send', to, message: { cluster: this.options.cluster, from, incarnation, body } });
  }

  protected event(event: GossipEvent): void {
    this.effects.push({ type: 'event', event });
  }

  /** Up to `count` different others, by chance. */
  protected some(count: number, wanted: (entry: Entry) => boolean): Entry[] {
    const { random } = this.options;
    const chosen = new Set<Entry>();
    const isWanted = (entry: Entry): boolean => entry !== this.self && !chosen.has(entry) && wanted(entry);
    for (let tries = 0; tries < triesEach * count && chosen.size < count; tries++) {
      const entry = this.table.at(random());
      if (isWanted(entry)) chosen.add(entry);
    }
    if (chosen.size === count) return [...chosen];
    const rest = [...this.table.values()].filter(isWanted);
    while (chosen.size < count && rest.length > 0) {
      for (const entry of rest.splice(random() % rest.length, 1)) chosen.add(entry);
    }
    return [...chosen];
  }

  protected chance(probability: number): boolean {
    return this.options.random() / 2 ** 32 < probability;
  }
}

export const toOf = ({ record: { name, address } }: Entry): To => ({ name, address });
export const isLive = ({ record, linked }: Entry): boolean => linked && !isSilent(record);
