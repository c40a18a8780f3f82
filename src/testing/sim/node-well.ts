// What may not go on while all is well: a node waits for a word that is lost, or for a partition that does not come any more, or runs what
// nobody waits for. Each of these ends by itself after a time, and nothing is left of it at rest; here it is seen while it lasts.
//
//     a link breaks ──╳  ╳── linked again, all of them ── well since then ── some time ──▶ from here on there is no excuse
//
// Well: all run, each reaches each other one in a session that has not ended since, by a connection that has not broken, and no way is slow.

import type { Said } from './node-oracle.ts';
import type { NodesLife } from './node-talk.ts';
import type { SimProcess } from './process.ts';
import type { Simulation } from './simulation.ts';

const lookMs = 100;
/** A way that takes longer is slow. */
const wayMsMax = 75;
/** A last word takes two ways, behind what the owner in between holds. Half of the time after which it is not waited for any more (lastWordMs). */
const wordMs = 5_000;
/** One way, and what is queued in front of it. Half of the time after which the other one would ask (handoffAskMs). */
const calledOffMs = 250;
/** What had waited for a link has come by then, has gone on with its actor, and the word to whom it was passed on is there. */
const givenUpMs = 1_000;

export class WellOracle {
  readonly #sim: Simulation<NodesLife>;
  readonly #names: readonly string[];
  /** Sessions and lives of all of them, when it was looked last. */
  #sessions = '';
  /** Since when all is well; undefined: it is not. */
  #since: number | undefined;
  /** When that life of a node was first seen. */
  readonly #bornAt = new Map<string, number>();
  readonly #waits = new Map<string, { readonly at: number; readonly isKnown: boolean }>();
  /** Node and partition of which it has heard later than of the turn after. */
  readonly #missed = new Set<string>();
  /** How often a partition has stayed. */
  readonly #stays = new Map<number, number>();

  constructor(sim: Simulation<NodesLife>, names: readonly string[]) {
    [this.#sim, this.#names] = [sim, names];
    this.#lookLater();
  }

  #lookLater(): void {
    this.#sim.plan(undefined, lookMs, 'look', () => {
      this.#look();
      this.#lookLater();
    });
  }

  #look(): void {
    const { now } = this.#sim;
    const sessions = this.#sessionsNow();
    if (sessions === undefined) this.#since = undefined;
    else if (this.#since === undefined || sessions !== this.#sessions) this.#since = now;
    this.#sessions = sessions ?? '';
    for (const name of this.#names) {
      const life = `${name}:${this.#process(name)?.lives}`;
      if (!this.#bornAt.has(life)) this.#bornAt.set(life, now);
    }
    this.#lookAtWaits();
  }

  #process(name: string): SimProcess<NodesLife> | undefined {
    return this.#sim.processes.get(name);
  }

  #runs(name: string): NodesLife | undefined {
    const target = this.#process(name);
    return target?.state === 'up' ? target.life : undefined;
  }

  #sessionsNow(): string | undefined {
    const { network } = this.#sim;
    const all: string[] = [`${network.cuts}`];
    for (const a of this.#names) {
      const life = this.#runs(a);
      if (life === undefined) return undefined;
      all.push(`${a}:${this.#process(a)?.lives}`);
      for (const b of this.#names) {
        if (a === b) continue;
        const number = life.node.gateway.linked(b);
        const way = network.faultsOf(a, b);
        if (number === undefined || way === undefined || way.delayMs > wayMsMax || way.bytesPerMs > 0) return undefined;
        if (network.connected(a, b) === 0) return undefined;
        // What was sent when it was slow is in front of all that comes now.
        if (network.arrivesAt(a, b) > this.#sim.now + wayMsMax) return undefined;
        all.push(`${b} ${number}`);
      }
    }
    return all.join(' ');
  }

  /** Ms for which all has been well. */
  #wellMs(): number {
    return this.#since === undefined ? 0 : this.#sim.now - this.#since;
  }

  #lookAtWaits(): void {
    const { now } = this.#sim;
    const seen = new Set<string>();
    for (const by of this.#names) {
      const { settling = [] } = (this.#runs(by)?.node.gateway.lastWords.describe() ?? {}) as { settling?: Settling[] };
      for (const { partition, via, waitFor, owed } of settling)
        for (const of of waitFor) {
          const id = `${by}:${this.#process(by)?.lives} waits for the last word of ${of}:${this.#process(of)?.lives} by ${via} about partition ${partition}`;
          seen.add(id);
          const born = this.#bornAt.get(`${of}:${this.#process(of)?.lives}`) ?? now;
          // What an earlier life has said last nobody knows. Who has missed turns never went by the owners in between, and has no word of them.
          const isOwed = owed.includes(of) && this.#missed.has(`${of} ${partition}`);
          const wait = this.#waits.get(id) ?? { at: now, isKnown: born + 2 * lookMs < now && !isOwed };
          this.#waits.set(id, wait);
          if (wait.isKnown && Math.min(now - wait.at, this.#wellMs()) >= wordMs)
            this.#sim.violation(`${id}, and all has been well for ${this.#wellMs().toFixed(0)} ms`);
        }
    }
    for (const id of this.#waits.keys()) if (!seen.has(id)) this.#waits.delete(id);
  }

  missed(name: string, partition: number): void {
    this.#missed.add(`${name} ${partition}`);
  }

  /** A try to give it away has come to nothing, and the other one has been told. */
  stays(from: string, partition: number, to: string): void {
    const nth = (this.#stays.get(partition) ?? 0) + 1;
    this.#stays.set(partition, nth);
    this.#sim.plan(undefined, calledOffMs, 'called off?', () => {
      this.#look();
      const [giver, taker] = [this.#runs(from), this.#runs(to)];
      if (this.#stays.get(partition) !== nth || giver === undefined || taker === undefined) return;
      const isAgain = giver.node.gateway.handoffs.isHanding(partition);
      if (isAgain || giver.node.gateway.nodes.ownerOf(partition) !== from || this.#wellMs() < calledOffMs) return;
      const { taking } = (taker.node.gateway.describe() as { handoffs: { taking: Taking[] } }).handoffs;
      if (taking.some(each => each.partition === partition && each.from === from))
        this.#sim.violation(
          `${to} still waits for partition ${partition}, ${calledOffMs} ms after ${from} called it off`,
        );
    });
  }

  /** It begins to run: not for somebody who was told long ago that nobody knows, nor for one who is gone. */
  runs(said: Said | undefined): void {
    if (said === undefined) return;
    const { unit, by, number, what, unknownAt } = said;
    const [name = '', life] = by.split(':');
    const isGone = (this.#process(name)?.lives ?? 0) > Number(life);
    if (what !== 'ask' || !(isGone || unknownAt !== undefined)) return;
    // A later life of its asker is linked to all of them by now, or he is again.
    this.#look();
    if (this.#wellMs() < givenUpMs || (!isGone && (unknownAt as number) > (this.#since as number))) return;
    const why = isGone ? `for an asker who is gone` : `after its asker was told that nobody knows`;
    this.#sim.violation(
      `${unit}: ${by} ${number} (ask) began ${why}, and all has been well for ${this.#wellMs().toFixed(0)} ms`,
    );
  }
}

interface Settling {
  readonly partition: number;
  readonly via: string;
  readonly waitFor: readonly string[];
  readonly owed: readonly string[];
}

interface Taking {
  readonly partition: number;
  readonly from: string;
}
