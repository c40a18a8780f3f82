// A cluster at work under a seed: every node sends numbered messages to a handful of actors, which are moved about all the while;
// nodes crash and come back, the network breaks and heals. And what must hold whatever happens.
//
//     seed ─▶ chances ─▶ steps: send, relocate, break, pass some time ─▶ heal, rest ─▶ ask every actor from everywhere ─▶ judge
//
// What ran is seen twice: by the witness in ledger.ts, at the moment of the turn, and in the actor's state at the end.

import type { ActorType } from '../../../src/runtime/define-actor.ts';
import type { FarRouter } from '../../../src/runtime/far-router.ts';
import type { Ring } from '../../../src/runtime/ownership/ring.ts';
import { partitionOf } from '../../../src/runtime/partition.ts';
import { call, tell } from '../../../src/runtime/refs.ts';
import { ClusterKit, type KitNode } from '../../../src/testing/cluster-kit-host.ts';
import { seededRandom } from '../../../src/testing/virtual-world.ts';
import { JournalT, type Line, MemoryT, SnapshotT, witness } from './ledger.ts';

export interface ChaosOptions {
  readonly seed: number;
  /** Nodes crash, the network breaks. Without: latency only, and then no tell may be lost either. */
  readonly trouble: boolean;
  readonly steps: number;
}

export interface ChaosReport {
  /** What did not hold; empty when all is well. */
  readonly problems: readonly string[];
  /** Moves and troubles, with their times, for whoever looks for the reason. */
  readonly trail: readonly string[];
  readonly sent: number;
  readonly ran: number;
  readonly moves: number;
  readonly crashes: number;
  /** Partitions that changed hands. */
  readonly handed: number;
}

type Outcome = 'open' | 'sent' | 'refused' | 'ok' | 'failed' | 'unknown';

interface Said {
  readonly unit: Unit;
  readonly by: string;
  readonly number: number;
  readonly isTell: boolean;
  readonly opId: string | undefined;
  /** An ask that is sent again may run late. */
  isRetried: boolean;
  outcome: Outcome;
}

interface Unit {
  readonly type: ActorType<any>;
  readonly key: string;
  readonly id: string;
}

const types = [SnapshotT, JournalT, MemoryT];
const reachableWithinMs = 120_000;
const untilSettledMs = 30_000;

class Chaos {
  readonly #options: ChaosOptions;
  readonly #kit: ClusterKit;
  readonly #chance;
  readonly #units: Unit[];
  readonly #said: Said[] = [];
  /** Of one life of a sender, to one actor. */
  readonly #numbers = new Map<string, number>();
  readonly #lives = new Map<string, number>();
  readonly #downSince = new Map<string, number>();
  readonly #problems = new Set<string>();
  readonly #trail: string[] = [];
  /** By actor, in the order of the turns. */
  readonly #ran = new Map<string, Line[]>();
  readonly #epochs = new Map<string, number>();
  /** Whoever asked for a move and has crashed since does not wait for its end any more. */
  readonly #underWay = new Set<{ by: KitNode; life: string; unit: Unit }>();
  #open = 0;
  #moves = 0;
  #handed = 0;
  readonly #wishes = new Map<number, string>();
  #crashes = 0;
  #partedUntil = 0;
  #step = 0;

  constructor(options: ChaosOptions) {
    this.#options = options;
    this.#chance = seededRandom(options.seed * 7_919 + 13);
    const count = 3 + this.#below(2);
    const faults = { delayMs: 1 + this.#below(6), jitterMs: this.#below(12), chunkMax: this.#maybe(0.3) ? 700 : 0 };
    this.#kit = new ClusterKit(count, { seed: options.seed, actors: types, partitions: 16, faults });
    this.#units = types.flatMap(type =>
      ['a', 'b']
        .map(key => ({ type, key: `${key}${this.#below(100)}`, id: '' }))
        .map(unit => ({ ...unit, id: `${type.type}/${unit.key}` })),
    );
  }

  async run(): Promise<ChaosReport> {
    witness.heard = (unit, epoch, line) => this.#heard(unit, epoch, line);
    witness.pause = ms => new Promise(done => this.#kit.clock.timer(ms, done));
    const onLoose = (error: unknown): void => this.#problem(`unhandled: ${String((error as Error).stack ?? error)}`);
    process.on('unhandledRejection', onLoose);
    try {
      await this.#kit.start();
      for (this.#step = 0; this.#step < this.#options.steps; this.#step++) await this.#oneStep();
      await this.#heal();
      await this.#judge();
      await this.#kit.close();
      await this.#kit.settle();
    } finally {
      process.off('unhandledRejection', onLoose);
      witness.heard = () => undefined;
    }
    const ran = [...this.#ran.values()].reduce((sum, lines) => sum + lines.length, 0);
    const [moves, crashes] = [this.#moves, this.#crashes];
    return {
      problems: [...this.#problems],
      trail: this.#trail,
      sent: this.#said.length,
      ran,
      moves,
      crashes,
      handed: this.#handed,
    };
  }

  #problem(what: string): void {
    this.#problems.add(what);
  }

  #note(what: string): void {
    this.#trail.push(`${this.#kit.clock.mono().toFixed(0)} ${what}`);
  }

  // Chance.

  #below(count: number): number {
    return this.#chance.u32() % count;
  }

  #maybe(likely: number): boolean {
    return this.#chance.float() < likely;
  }

  #one<T>(of: readonly T[]): T {
    return of[this.#below(of.length)] as T;
  }

  // What happens.

  async #oneStep(): Promise<void> {
    const up = this.#kit.nodes.filter(node => node.isUp);
    for (let i = this.#below(4); i > 0; i--) this.#send(this.#one(up));
    if (this.#maybe(0.05)) {
      const [node, unit] = [this.#one(up), this.#one(this.#units)];
      for (let i = 5 + this.#below(40); i > 0; i--) this.#say(node, unit);
    }
    if (this.#maybe(0.25)) this.#relocate(this.#one(up));
    if (this.#maybe(0.06)) this.#handOn();
    if (this.#options.trouble) await this.#trouble(up);
    await this.#kit.clock.advance(this.#maybe(0.1) ? 200 + this.#below(800) : this.#below(25));
  }

  async #trouble(up: readonly KitNode[]): Promise<void> {
    const now = this.#kit.clock.mono();
    // Most moves are over within 50 ms: a crash now and then finds none of them under way.
    const isHanding = up.some(({ gateway }) => gateway.handoffs.isBusy);
    const likely = this.#underWay.size > 0 || isHanding ? 0.08 : 0.02;
    if (up.length > 1 && this.#maybe(likely)) await this.#crash(this.#one(up));
    for (const [name, since] of [...this.#downSince])
      if (this.#maybe(0.1) || now - since > 20_000) await this.#restart(name);
    const names = this.#kit.nodes.map(({ name }) => name);
    if (this.#maybe(0.04)) this.#cut(this.#one(names), this.#one(names));
    if (this.#partedUntil === 0 && this.#maybe(0.015)) {
      const half = names.filter(() => this.#maybe(0.5));
      this.#kit.partition([half, names.filter(name => !half.includes(name))]);
      this.#note(`${half.join()} are cut off`);
      this.#partedUntil = now + (this.#maybe(0.3) ? 70_000 : this.#below(8_000));
      if (this.#maybe(0.3)) await this.#kit.clock.advance(this.#partedUntil - now);
    } else if (this.#partedUntil !== 0 && this.#partedUntil <= this.#kit.clock.mono()) {
      this.#note('the network heals');
      this.#kit.heal();
      this.#partedUntil = 0;
    }
  }

  #cut(one: string, other: string): void {
    this.#note(`the connections of ${one} and ${other} break`);
    this.#kit.network.cut(one, other);
  }

  async #crash(node: KitNode): Promise<void> {
    this.#crashes++;
    this.#note(`${node.name} crashes`);
    this.#downSince.set(node.name, this.#kit.clock.mono());
    this.#lives.set(node.name, (this.#lives.get(node.name) ?? 0) + 1);
    await this.#kit.crash(node.name, { silent: this.#maybe(0.5) });
  }

  async #restart(name: string): Promise<void> {
    this.#downSince.delete(name);
    this.#note(`${name} comes back`);
    await this.#kit.restart(name);
    this.#attach(this.#kit.node(name));
  }

  #relocate(by: KitNode): void {
    const unit = this.#one(this.#units);
    const to = this.#one(this.#kit.nodes).name;
    this.#note(`${by.name} moves ${unit.id} to ${to}`);
    const move = { by, life: this.#lifeOf(by), unit };
    this.#underWay.add(move);
    by.relocate(unit.type, unit.key, to)
      .then(
        ({ epoch }) => {
          this.#moves++;
          this.#note(`${unit.id} is on ${to} under ${epoch}`);
        },
        error => {
          this.#note(`${unit.id} does not go to ${to}: ${error?.code} ${error?.message}`);
          if (typeof error?.code !== 'string')
            this.#problem(`a move of ${unit.id} ended with ${String(error?.stack ?? error)}`);
        },
      )
      .finally(() => this.#underWay.delete(move));
  }

  /** A wish about a partition in which something lives: its owner does the rest, when it can. */
  #handOn(): void {
    const { key } = this.#one(this.#units);
    const partition = partitionOf(key, this.#kit.partitions);
    const to = this.#one(this.#kit.nodes).name;
    this.#note(`partition ${partition}, with ${key}, shall go to ${to}`);
    this.#wishes.set(partition, to);
    for (const node of this.#kit.nodes) if (node.isUp) this.#attach(node);
  }

  #attach(node: KitNode): void {
    const { cluster, gateway } = node;
    gateway.handoffs
      .attach({
        handOn: (partition, to) =>
          cluster.handOn(partition, to).then(change => {
            this.#handed++;
            this.#note(`partition ${partition} goes from ${node.name} to ${to}, turn ${change.turn}`);
            return change;
          }),
        isUp: name => cluster.isUp(name),
        effectiveRing: () => this.#wishedRing(cluster.effectiveRing()),
      })
      .ringChanged();
  }

  #wishedRing(ring: Ring | undefined): Ring | undefined {
    if (ring === undefined) return undefined;
    const wished = [...this.#wishes].map(([partition, to]) => ({
      partition,
      from: ring.owners[partition] as string,
      to,
    }));
    return { ...ring, next: wished.filter(({ from, to }) => from !== to) };
  }

  #lifeOf(node: KitNode): string {
    return `${node.name}:${this.#lives.get(node.name) ?? 0}`;
  }

  #send(node: KitNode): void {
    const unit = this.#one(this.#units);
    for (let i = 1 + this.#below(3); i > 0; i--) this.#say(node, unit);
  }

  #say(node: KitNode, unit: Unit): void {
    const by = this.#lifeOf(node);
    const path = `${by} ${unit.id}`;
    const number = this.#numbers.get(path) ?? 0;
    this.#numbers.set(path, number + 1);
    const isTell = this.#maybe(0.5);
    const opId = !isTell && this.#maybe(0.3) ? `${by}/${number}` : undefined;
    const said: Said = { unit, by, number, isTell, opId, isRetried: false, outcome: 'open' };
    this.#said.push(said);
    const pauseMs = this.#maybe(0.15) ? 1 + this.#below(60) : 0;
    if (isTell) this.#tell(node, said, pauseMs);
    else this.#ask(node, said, pauseMs, 3);
  }

  #tell(node: KitNode, said: Said, pauseMs: number): void {
    const { unit, by, number } = said;
    const ref = tell(node.ref(unit.type, unit.key)) as any;
    said.outcome = 'sent';
    try {
      const waits = pauseMs > 0 ? ref.hearSlowly(by, number, pauseMs) : ref.hear(by, number);
      waits?.then?.(undefined, () => {
        said.outcome = 'refused';
      });
    } catch {
      said.outcome = 'refused';
    }
  }

  #ask(node: KitNode, said: Said, pauseMs: number, tries: number): void {
    const { unit, by, number, opId } = said;
    const deadlineMs = this.#maybe(0.1) ? 10 + this.#below(100) : 2_000 + this.#below(40_000);
    const ref = call(node.ref(unit.type, unit.key), opId === undefined ? { deadlineMs } : { deadlineMs, opId }) as any;
    this.#open++;
    const asked: Promise<unknown> = pauseMs > 0 ? ref.hearSlowly(by, number, pauseMs) : ref.hear(by, number);
    asked
      .then(
        () => {
          said.outcome = 'ok';
        },
        error => {
          if (error?.outcome !== 'failed' && error?.outcome !== 'unknown')
            this.#problem(`an ask ended with ${String(error?.stack ?? error)}`);
          // Once nobody knows, a later try that failed does not say that the first did.
          if (said.outcome !== 'unknown') said.outcome = error?.outcome;
          if (opId === undefined || tries === 0 || !node.isUp || said.by !== this.#lifeOf(node)) return;
          said.isRetried = true;
          this.#kit.clock.timer(50, () => {
            if (node.isUp && said.by === this.#lifeOf(node)) this.#ask(node, said, pauseMs, tries - 1);
          });
        },
      )
      .finally(() => this.#open--);
  }

  // What is seen.

  #heard(unit: string, epoch: number, line: Line): void {
    const lines = this.#ran.get(unit) ?? [];
    this.#ran.set(unit, lines);
    lines.push(line);
    const before = this.#epochs.get(unit) ?? 0;
    if (epoch !== before) this.#note(`${unit} runs under ${epoch}`);
    if (epoch < before) this.#problem(`${unit} ran ${line.join(' ')} under epoch ${epoch} after ${before}`);
    this.#epochs.set(unit, epoch);
  }

  // The end.

  async #heal(): Promise<void> {
    this.#note('all is well');
    this.#kit.heal();
    for (const name of [...this.#downSince.keys()]) await this.#restart(name);
    const until = this.#kit.clock.mono() + reachableWithinMs;
    for (const node of this.#kit.nodes)
      for (const unit of this.#units)
        while (!(await this.#reaches(node, unit))) {
          if (this.#kit.clock.mono() > until) {
            this.#problem(`${unit.id} is not reachable from ${node.name} ${reachableWithinMs} ms after all is well`);
            break;
          }
          await this.#kit.clock.advance(250);
        }
    await this.#kit.clock.advance(untilSettledMs);
    // An ask may have a deadline of 42 s, and a retry again: all of them are over by then.
    for (let i = 0; i < 20 && this.#open > 0; i++) await this.#kit.clock.advance(10_000);
    if (this.#open > 0) this.#problem(`${this.#open} asks have not ended`);
    for (const { by, life, unit } of this.#underWay)
      if (life === this.#lifeOf(by)) this.#problem(`the move of ${unit.id} that ${by.name} asked for has not ended`);
  }

  async #reaches(node: KitNode, unit: Unit): Promise<boolean> {
    const ref = call(node.ref(unit.type, unit.key), { deadlineMs: 2_000 }) as any;
    let answer: boolean | undefined;
    ref.all().then(
      () => {
        answer = true;
      },
      () => {
        answer = false;
      },
    );
    while (answer === undefined) await this.#kit.clock.advance(20);
    return answer;
  }

  async #judge(): Promise<void> {
    for (const unit of this.#units) {
      const held = (await this.#kit
        .run(((this.#kit.nodes[0] as KitNode).ref(unit.type, unit.key) as any).all())
        .catch(() => [])) as Line[];
      const runners = this.#kit.nodes.filter(node => node.runs(unit.type, unit.key)).map(({ name }) => name);
      if (runners.length !== 1) this.#problem(`${unit.id} is awake on ${runners.join(' and ') || 'no node'}`);
      this.#judgeUnit(unit, held);
    }
    for (const node of this.#kit.nodes) this.#judgeRest(node);
  }

  /** Nothing of a move is left behind. */
  #judgeRest(node: KitNode): void {
    const { homes, guests, asks, held, handoffs, lastWords } = node.gateway.describe() as any;
    const { running, taking } = handoffs;
    const left = { moving: homes.moving, ...guests, asks, held, running, taking, detained: detainedIn(lastWords) };
    for (const [what, rest] of Object.entries(left))
      if (Array.isArray(rest) ? rest.length > 0 : rest !== 0)
        this.#problem(`${node.name} keeps '${what}' at rest: ${JSON.stringify(rest)}`);
    const partitions = (node.host.router as FarRouter).held.all();
    if (partitions.length > 0)
      this.#problem(
        `${node.name} keeps partitions at rest: ${partitions.map(each => `${each.partition} ${each.stage}`)}`,
      );
    const { size } = (node.host.router as FarRouter).pending;
    if (size > 0) this.#problem(`${node.name} keeps ${size} pending asks at rest`);
  }

  #judgeUnit(unit: Unit, held: readonly Line[]): void {
    const persists = unit.type !== MemoryT;
    const ran = this.#ran.get(unit.id) ?? [];
    const [heldTimes, ranTimes] = [countOf(held), countOf(ran)];
    const said = this.#said.filter(each => each.unit === unit);
    for (const each of said) {
      const { by, number, outcome, opId, isTell } = each;
      const name = `${unit.id}: ${by} ${number} (${isTell ? 'tell' : 'ask'}${opId === undefined ? '' : ' once'}, ${outcome})`;
      const [times, turns] = [heldTimes.get(`${by} ${number}`) ?? 0, ranTimes.get(`${by} ${number}`) ?? 0];
      if (times > 1) this.#problem(`${name} is there ${times} times`);
      if (turns > 1 && !each.isRetried) this.#problem(`${name} ran ${turns} times`);
      if ((outcome === 'failed' || outcome === 'refused') && turns > 0) this.#problem(`${name} ran`);
      const mustBe = outcome === 'ok' || (outcome === 'sent' && !this.#options.trouble);
      if (mustBe && turns === 0) this.#problem(`${name} never ran`);
      if (mustBe && times === 0 && (persists || !this.#options.trouble)) this.#problem(`${name} is not there`);
    }
    const retried = new Set(said.filter(each => each.isRetried).map(({ by, number }) => `${by} ${number}`));
    this.#judgeOrder(`${unit.id} ran`, ran, retried);
    this.#judgeOrder(`${unit.id} holds`, held, retried);
  }

  #judgeOrder(what: string, lines: readonly Line[], retried: ReadonlySet<string>): void {
    const last = new Map<string, number>();
    for (const [by, number] of lines) {
      if (retried.has(`${by} ${number}`)) continue;
      const before = last.get(by) ?? -1;
      if (number < before) this.#problem(`${what} ${by} ${number} after ${before}`);
      last.set(by, number);
    }
  }
}

function detainedIn({ settling }: any): unknown[] {
  return settling.filter((each: any) => each.waitFor.length > 0);
}

function countOf(lines: readonly Line[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const [by, number] of lines) counts.set(`${by} ${number}`, (counts.get(`${by} ${number}`) ?? 0) + 1);
  return counts;
}

export function chaos(options: ChaosOptions): Promise<ChaosReport> {
  return new Chaos(options).run();
}
