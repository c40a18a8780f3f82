// One partition that is handed to another node, by its owner: the steps, and what is given up when one of them fails.
//
//     copying ──all pages──▶ catching-up ──little is left──▶ frozen ──stored there──▶ committed ──▶ gone, cleared away
//        │                       │                             │ hold, flush, rest, tail, actors, ready
//        └───────────────────────┴──────── anything fails ─────┘──▶ thaw, release, cancel: nothing has changed
//
// The intuition: everything that takes long happens while the partition serves. Frozen it is only for what was written last, and for what
// its awake actors have in memory. Then one write on this node's own disk decides (cluster.handOn): before it nothing has
// changed, after it nothing can be undone, and nobody but this node can make it.
//
// Invariant: at the commit, everything of the partition is durable on the other node, nothing of it is on its way between
// threads, and none of its actors runs.

import { TroupeError } from '../../errors.ts';
import {
  handoffPageBytes,
  handoffPageRecords,
  handoffRoundsMax,
  handoffRoundsMin,
  handoffStepMs,
  handoffTailKeys,
} from '../../limits.ts';
import type { TransferPhase } from '../cluster/handoff-hooks.ts';
import type { FarRouter } from '../far-router.ts';
import type { Gateway } from '../gateway/gateway.ts';
import { inTime } from '../in-time.ts';
import type { Unit } from '../relocation-messages.ts';
import type { Millis } from '../world.ts';
import type { Crew } from './crew.ts';
import type { Packed } from './hands.ts';
import type { Change, Page, Part, Span } from './hands-records.ts';
import type { OneAtRest } from './one-at-rest.ts';
import { Pages } from './pages.ts';

export interface HandingSeams {
  readonly router: FarRouter;
  readonly gateway: Gateway;
  readonly crew: Crew;
  readonly rests: OneAtRest;
  /** Its actors have so long to come to rest. */
  readonly patienceMs: Millis;
  /** As those of HandoffCluster. */
  handOn(): Promise<unknown>;
  ringStored(): Promise<void>;
  readonly partition: number;
  readonly to: string;
  /** Names this try: a word about another one means nothing. */
  readonly id: string;
}

export interface HandingStats {
  readonly pausedMs: number;
  readonly bytes: number;
  readonly records: number;
  readonly actors: number;
}

export class Handing {
  readonly partition: number;
  readonly to: string;
  readonly id: string;
  phase: TransferPhase = 'pending';
  /** It has failed, and is being taken back: as long as a thread that hangs needs for it. */
  why: string | null = null;
  bytes = 0;
  records = 0;
  /** What there was when it began; 0 while that is not known. */
  total = 0;
  since = 0;
  #seams: HandingSeams;
  #isOff = false;
  /** Of threads of this node, before it began. */
  readonly #deaths: number;
  /** Shards of stores of which the other node has something already, of an earlier try. */
  #there: ReadonlySet<string> = new Set();
  #actors = 0;
  /** Bytes that were there already. */
  #kept = 0;
  #frozenAt = 0;

  constructor(seams: HandingSeams) {
    this.#seams = seams;
    this.partition = seams.partition;
    this.to = seams.to;
    this.id = seams.id;
    this.#deaths = seams.router.deaths.count;
  }

  /** Ms until the copy is there, as far as that can be said. */
  get etaMs(): number | null {
    const { router } = this.#seams;
    if (this.phase !== 'copying' || this.total === 0 || this.bytes + this.#kept === 0) return null;
    const done = this.bytes + this.#kept;
    const left = Math.max(0, this.total - done);
    return Math.ceil((left * (router.host.now() - this.since)) / done);
  }

  /** Ends before the commit, or not at all. */
  callOff(): void {
    this.#isOff = true;
  }

  /** Resolves when the partition is the other node's. Rejects, unchanged, with the reason. */
  async run(): Promise<HandingStats> {
    const { crew, gateway, partition, handOn, rests } = this.#seams;
    const { host } = this.#seams.router;
    let mayBeTheirs = false;
    try {
      await this.#begin();
      this.#goesOn();
      if (gateway.replicas === null) {
        await this.#copy();
        // What takes a disk its time is done while it serves; of what is written from here on little is left when it stands still.
        await gateway.handoffs.leftovers.mark(partition);
        await this.#ask('handoff-settle', {});
        await this.#catchUp();
      }
      const packed = await rests.alone(hasWaited => this.#freeze(hasWaited));
      await this.#sendAll(packed);
      this.#goesOn();
      await handOn().catch(error => {
        mayBeTheirs = error.outcome === 'unknown';
        throw error;
      });
    } catch (error) {
      this.phase = 'pending';
      this.why = error instanceof Error ? error.message : String(error);
      // This node has stopped, and its next life reads whose it is: nobody is told that it stays, or they would throw it away.
      if (!mayBeTheirs) await (gateway.nodes.ownerOf(partition) === host.node ? this.#stay() : this.#letGo());
      throw error;
    }
    this.phase = 'committed';
    await crew.surely('part-gone', partition);
    // This thread's first: what it has kept for others is older than what they keep themselves.
    this.#seams.router.held.release(partition);
    await crew.surely('part-release', partition);
    const pausedMs = host.now() - this.#frozenAt;
    await this.#forget();
    return { pausedMs, bytes: this.bytes, records: this.records, actors: this.#actors };
  }

  async #stay(): Promise<void> {
    const { crew, gateway, router, partition } = this.#seams;
    // Each thread hears these in this order. One that hangs keeps no other waiting.
    const told: Promise<unknown>[] = [];
    gateway.homes.stay(partition);
    if (router.held.get(partition) !== undefined) {
      told.push(...crew.each('part-thaw', partition));
      await told[0];
      router.held.release(partition);
      told.push(crew.surely('part-release', partition));
    }
    told.push(this.#forget());
    await gateway.handoffs.leftovers.unmark(partition).catch(() => undefined);
    const number = gateway.linked(this.to);
    if (number !== undefined) gateway.say(number, 'handoff-cancel', { partition, id: this.id });
    await Promise.all(told);
  }

  /** Others have agreed to another owner meanwhile, and what ran here has ended (Replicas.deposed): what was held back since goes to him. */
  async #letGo(): Promise<void> {
    const { crew, router, partition } = this.#seams;
    router.held.release(partition);
    await Promise.all([crew.surely('part-release', partition), this.#forget()]);
  }

  async #forget(): Promise<void> {
    const { crew, partition } = this.#seams;
    await Promise.all([crew.surely('part-unwatch', partition), crew.surely('part-untrack', partition)]);
  }

  #goesOn(): void {
    if (this.#isOff) throw new TroupeError('STOPPED', `the handoff of partition ${this.partition} was called off`);
    const { gateway, router } = this.#seams;
    // Which keys it had written while they were copied nobody knows any more. What is written to others is pushed as it is written.
    if (gateway.replicas !== null || router.deaths.count === this.#deaths) return;
    const why = `a thread died while partition ${this.partition} was copied; it is copied anew`;
    throw new TroupeError('OVERLOADED', why);
  }

  #ask<T>(word: string, payload: object): Promise<T> {
    this.#goesOn();
    const { gateway, partition } = this.#seams;
    const asked = gateway.asked(gateway.numberOfName(this.to), word, { partition, id: this.id, ...payload });
    return this.#inTime(asked as Promise<T>, `node ${this.to} did not answer '${word}'`);
  }

  /** A thread may be busy for long, or hang; a partition must not stand still for so long. */
  #all<T>(word: string, payload: unknown = this.partition): Promise<T[]> {
    return this.#inTime(this.#seams.crew.all(word, payload), `not all threads answered '${word}'`);
  }

  #askThread<T>(thread: number, word: string, payload: unknown = this.partition): Promise<T> {
    return this.#inTime(this.#seams.crew.ask(thread, word, payload), `thread ${thread} did not answer '${word}'`);
  }

  #inTime<T>(step: Promise<T>, what: string): Promise<T> {
    const why = `${what} within ${handoffStepMs} ms`;
    return inTime(this.#seams.router.host.world.clock, handoffStepMs, step, () => new TroupeError('DEADLINE', why));
  }

  // While it serves.

  async #begin(): Promise<void> {
    const { ringStored, gateway, partition } = this.#seams;
    const moved = gateway.homes.movingIn(partition);
    if (moved !== undefined) throw new TroupeError('OVERLOADED', `${moved} is just being moved`);
    // Or a crash behind the mark of leftovers.ts would be followed by a life that takes it for another's still, and clears it away.
    await this.#inTime(ringStored(), 'the ring was not stored');
    const keep = gateway.homes.awayIn(partition).filter(([, node]) => node === this.to);
    const isCopied = gateway.replicas !== null;
    const begun = await this.#ask<string[]>('handoff-begin', { keep: keep.map(([unit]) => unit), isCopied });
    this.#there = new Set(begun);
    if (!isCopied) await this.#all('part-watch');
    await this.#all('part-track');
    this.since = this.#seams.router.host.now();
    this.phase = 'copying';
  }

  async #copy(): Promise<void> {
    const { router, crew, partition } = this.#seams;
    const askThread = <T>(thread: number, word: string, payload: unknown): Promise<T> =>
      this.#askThread(thread, word, payload);
    const pages = new Pages({ router, crew, partition, askThread, goesOn: () => this.#goesOn() });
    const places = await pages.places();
    let total = 0;
    for (const place of places)
      await pages.walk(place, 'count', page => {
        total += page.bytes;
      });
    this.total = total;
    this.since = router.host.now();
    await pages.bring(places, this.#there, (page, from) => this.#bring(page, from));
    const here = new Set(places.map(([, shard]) => shard));
    for (const shard of this.#there) if (!here.has(shard)) await this.#ask('handoff-drop', { shard });
  }

  /** A page; of what is there already, only if it is another one there. */
  async #bring({ part, bytes, digest, next }: Page, from: Uint8Array | null): Promise<void> {
    if (digest === null) return this.#ship([part], bytes);
    const span = { shard: part[0], from, to: next };
    if (await this.#ask<boolean>('handoff-same', { span, digest })) {
      this.#kept += bytes;
      return;
    }
    await this.#ship([part], bytes, span);
  }

  async #ship(parts: readonly Part[], bytes: number, span?: Span): Promise<void> {
    await this.#ask('handoff-records', span === undefined ? { parts } : { parts, span });
    this.bytes += bytes;
    for (const [, records, gone] of parts) this.records += records.length + gone.length;
  }

  async #catchUp(): Promise<void> {
    this.phase = 'catching-up';
    const { host } = this.#seams.router;
    let lastMs = Number.POSITIVE_INFINITY;
    for (let round = 1; round <= handoffRoundsMax; round++) {
      const since = host.now();
      if ((await this.#sendChanges()) <= handoffTailKeys) return;
      const ms = host.now() - since;
      // Written as fast as it is sent: what is left now is what will be left.
      if (round >= handoffRoundsMin && ms > lastMs * 0.8) return;
      lastMs = ms;
    }
  }

  /** What was written since the last time. How many keys that were. */
  async #sendChanges(): Promise<number> {
    const { crew, partition } = this.#seams;
    const threads = crew.threads;
    const lists = await Promise.all(threads.map(thread => this.#askThread<Change[] | null>(thread, 'part-dirty')));
    if (lists.includes(null))
      throw new TroupeError(
        'OVERLOADED',
        `more of partition ${partition} was written than could be sent; it is copied anew`,
      );
    const byKeeper = new Map<number, Change[]>();
    let count = 0;
    for (const [at, list] of lists.entries())
      for (const change of list as Change[]) {
        const thread = this.#keeper(change[0], threads[at] as number);
        const own = byKeeper.get(thread) ?? [];
        byKeeper.set(thread, own);
        own.push(change);
        count++;
      }
    for (const [thread, changes] of byKeeper) await this.#sendOf(thread, changes);
    return count;
  }

  #keeper(shard: string, wroteIt: number): number {
    const { crew, router, partition } = this.#seams;
    return router.host.engine.shared ? crew.keeperOf(shard, partition) : wroteIt;
  }

  async #sendOf(thread: number, changes: readonly Change[]): Promise<void> {
    for (let at = 0; at < changes.length; ) {
      const some = changes.slice(at, at + handoffPageRecords);
      const { parts, read, bytes } = await this.#askThread<{ parts: Part[]; read: number; bytes: number }>(
        thread,
        'part-read',
        some,
      );
      await this.#ship(parts, bytes);
      at += read;
    }
  }

  // While it stands still.

  async #freeze(hasWaited: boolean): Promise<Packed[]> {
    const { gateway, router, partition } = this.#seams;
    if (hasWaited && gateway.replicas === null) await this.#catchUp();
    this.#goesOn();
    this.phase = 'frozen';
    this.#frozenAt = router.host.now();
    const held = await this.#all<boolean>('part-hold', { partition, stage: 'leaving' });
    if (held.includes(false)) throw new TroupeError('OVERLOADED', `partition ${partition} is still arriving here`);
    const moved = gateway.homes.movingIn(partition);
    if (moved !== undefined) throw new TroupeError('OVERLOADED', `${moved} is just being moved`);
    // Twice: one that a thread has moved on to another is sent on once, by news that is at most one message old.
    await this.#all('part-flush', null);
    await this.#all('part-flush', null);
    await this.#rest();
    // From here on nothing is let through to them any more.
    await this.#inTime(this.#flushGuests(), `not all nodes that have guests of partition ${partition} answered`);
    return this.#all<Packed>('part-freeze');
  }

  async #sendAll(packed: readonly Packed[]): Promise<void> {
    const { gateway, router, partition } = this.#seams;
    await gateway.homes.forgetReturned(partition);
    router.host.epochs.renew();
    const epoch = router.host.epochs.next();
    await Promise.all([this.#sendActors(packed, epoch), this.#sendRest()]);
    const watched = new Set([...packed.flatMap(each => each.watched), ...gateway.watches.unitsOf(partition)]);
    await this.#ask('handoff-ready', { epoch, watched: [...watched] });
  }

  async #sendRest(): Promise<void> {
    const { gateway, partition } = this.#seams;
    const { replicas } = gateway;
    if (replicas === null) {
      await this.#sendChanges();
      return;
    }
    await this.#all('rep-settle');
    await this.#inTime(
      replicas.giving.reached(partition, this.to, () => this.#isOff),
      `node ${this.to} did not get what was written last`,
    );
  }

  /**
   * All threads at the same moment: actors that have come to rest on one may be asked by those that have not on another. Where timers leave
   * no such moment no turn begins any more in the end, and each comes to rest by itself; those that wait for each other would not.
   */
  async #rest(): Promise<void> {
    const { router, partition, patienceMs } = this.#seams;
    const { host } = router;
    const ms = patienceMs / 2;
    const calmUntil = host.now() + ms;
    while (host.now() < calmUntil) {
      const restless = (await this.#all<Unit | null>('part-still')).find(unit => unit !== null);
      if (restless === undefined) return;
      await this.#all('part-stir');
      this.#goesOn();
      await new Promise<void>(done => host.world.clock.timer(1, done));
    }
    await this.#all('part-each', { partition, ms, inAll: patienceMs });
  }

  /** What was sent to guests of other nodes is there, before their home is another one. */
  async #flushGuests(): Promise<void> {
    const { gateway, partition } = this.#seams;
    const nodes = new Set(gateway.homes.awayIn(partition).map(([, node]) => node));
    const numbers = [...nodes].map(node => gateway.linked(node)).filter(number => number !== undefined);
    await Promise.all(numbers.map(number => gateway.asked(number, 'handoff-flush', null)));
  }

  async #sendActors(packed: readonly Packed[], epoch: number): Promise<void> {
    for (const { actors, sleepers, topics } of packed) {
      this.#actors += actors.length;
      let some: (readonly [Unit, Uint8Array])[] = [];
      let bytes = 0;
      for (const actor of actors) {
        some.push(actor);
        bytes += actor[1].length;
        if (bytes < handoffPageBytes) continue;
        await this.#ask('handoff-actors', { epoch, actors: some, sleepers: [], topics: [] });
        [some, bytes] = [[], 0];
      }
      if (some.length + sleepers.length + topics.length > 0)
        await this.#ask('handoff-actors', { epoch, actors: some, sleepers, topics });
    }
  }
}
