// The last part of the tour: three processes as one cluster, one of them killed and brought back, a fourth one, and actors that go
// there and back.
//
//     n1  n2  n3   found a ring ─▶ cities in through n1 ─▶ n2 ✗ SIGKILL, n1 and n3 serve on ─▶ n2 again ─▶ every acknowledged one?
//     n4           joins: owns nothing ─▶ actors move onto it under load ─▶ and home ─▶ lost, doubled, reordered? ─▶ all stop
//
// Invariant: whatever happens, no process is left behind.

import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Histogram } from '../../runtime/histogram.ts';
import { countsOf, inWords } from './counts.ts';
import { freePorts } from './free-ports.ts';
import { percentiles, type Rate } from './in-flight.ts';
import { Member, Refused } from './member.ts';
import type { MemberCommands, MemberTask } from './member-child.ts';
import { compare } from './move.ts';
import type { Random } from './random.ts';
import type { Runs } from './runs.ts';
import { grouped, type View } from './view.ts';

export interface ClusterPlan {
  readonly dir: string;
  readonly citiesFile: string;
  readonly sample: boolean;
  /** Cities loaded while all are well, and offered around the kill. */
  readonly count: number;
  readonly offered: number;
  readonly rounds: number;
  readonly random: Random;
  readonly view: View;
  readonly signal: AbortSignal;
  /** What a step has shown. */
  found(problems: readonly string[], claim: string): void;
}

export interface ClusterReport {
  put?: Rate;
  get?: Rate;
  /** Partitions by node, of the ring before and after the fourth node came. */
  ring?: Readonly<Record<string, number>>;
  /** While one of three nodes was dead: acknowledged by the others; refused, by code; unknown. */
  served?: number;
  refused?: Readonly<Record<string, number>>;
  unknown?: number;
  acknowledged?: number;
  gone?: number;
  moves?: number;
  repeated?: number;
  messages?: number;
  lost?: number;
  doubled?: number;
  reordered?: number;
  pause?: { readonly p50Ms: number; readonly p99Ms: number; readonly maxMs: number };
}

type TourMember = Member<MemberCommands>;

const names = ['n1', 'n2', 'n3', 'n4'] as const;
const founders = ['n1', 'n2', 'n3'];
const keys = ['atlas', 'baedeker', 'chart', 'diary', 'ephemeris', 'folio'];
/** How long a node that is back may take until the others reach it, and a move until it is no longer refused. */
const patienceMs = 30_000;
const retryMs = 20;
/** A put that gets no answer ends so soon, where a node is dead. */
const outageMs = 5_000;

export async function runCluster(plan: ClusterPlan): Promise<ClusterReport> {
  const members = await membersOf(plan);
  const killAll = (): Promise<unknown> => Promise.all([...members.values()].map(member => member.kill()));
  const onAbort = (): void => void killAll();
  plan.signal.addEventListener('abort', onAbort, { once: true });
  const cluster = new TourCluster(plan, members);
  try {
    await cluster.found();
    await cluster.load();
    await cluster.killOne();
    await cluster.bringBack();
    await cluster.addFourth();
    await cluster.moveAround();
    await cluster.stop();
    return cluster.report;
  } finally {
    plan.signal.removeEventListener('abort', onAbort);
    await killAll();
  }
}

async function membersOf({ dir, citiesFile, sample, signal }: ClusterPlan): Promise<Map<string, TourMember>> {
  signal.throwIfAborted();
  const ports = await freePorts(names.length);
  const addresses = ports.map(port => `127.0.0.1:${port}`);
  return new Map(
    names.map((name, at) => {
      const task: MemberTask = {
        name,
        dataDir: join(dir, name),
        listen: addresses[at] as string,
        join: addresses.slice(0, founders.length).filter((_, other) => other !== at),
        cities: citiesFile,
        sample,
      };
      return [name, new Member<MemberCommands>(name, childFile(), task)];
    }),
  );
}

class TourCluster {
  readonly report: ClusterReport = {};
  readonly #plan: ClusterPlan;
  readonly #members: ReadonlyMap<string, TourMember>;
  readonly #acknowledged: number[] = [];
  #unknown: readonly number[] = [];
  #ring: readonly string[] = [];

  constructor(plan: ClusterPlan, members: ReadonlyMap<string, TourMember>) {
    this.#plan = plan;
    this.#members = members;
  }

  #member(name: string): TourMember {
    return this.#members.get(name) as TourMember;
  }

  async found(): Promise<void> {
    const { view, found } = this.#plan;
    view.step('Starting three processes that find each other');
    await Promise.all(founders.map(name => this.#member(name).start()));
    await Promise.all(founders.map(name => this.#member(name).ask('ready')));
    await Promise.all(founders.map(name => this.#member(name).ask('open')));
    this.#ring = await this.#member('n1').ask('owners');
    const counts = countsOf(this.#ring);
    this.report.ring = counts;
    const problems = await this.#ringProblems(founders);
    for (const name of founders)
      if (counts[name] === undefined) problems.push(`${name} owns nothing of the first ring`);
    found(problems, `three processes, one ring of ${this.#ring.length} partitions: ${inWords(counts)}`);
    await this.#showMembers('n1');
  }

  async load(): Promise<void> {
    const { view, count, found } = this.#plan;
    view.step('Loading cities across the ring, all through n1');
    this.#showProgress('n1', count);
    const loaded = await this.#member('n1').ask('load', 0, count, patienceMs);
    this.report.put = loaded.rate;
    this.#acknowledged.push(...loaded.acknowledged);
    const left = count - loaded.acknowledged.length;
    const problems = left === 0 ? [] : [`${left} of ${count} puts were not acknowledged: ${inWords(loaded.refused)}`];
    found(
      problems,
      `${grouped(loaded.acknowledged.length)} cities acknowledged by their owners: ${inWords(loaded.byOwner)}`,
    );
  }

  async killOne(): Promise<void> {
    const { view, count, offered, random, found } = this.#plan;
    view.step('Killing n2 while n1 loads more');
    const moment = Math.floor(offered / 4) + random.below(Math.floor(offered / 4));
    let isKilled: Promise<void> | undefined;
    this.#member('n1').onNews = done => {
      view.progress(done as number, offered);
      if ((done as number) >= moment) isKilled ??= this.#member('n2').kill();
    };
    const before = await this.#member('n1').ask('load', count, offered, outageMs);
    // A load so quick that it was over before its news came.
    await (isKilled ?? this.#member('n2').kill());
    view.step('Loading while n2 is dead');
    this.#showProgress('n1', offered);
    const after = await this.#member('n1').ask('load', count + offered, offered, outageMs);
    this.#acknowledged.push(...before.acknowledged, ...after.acknowledged);
    this.#unknown = [...before.unknown, ...after.unknown];
    this.report.served = after.acknowledged.length;
    this.report.refused = after.refused;
    this.report.unknown = after.unknown.length;
    const problems = await this.#deadProblems(after.byOwner, count + offered);
    const rest = [inWords(after.refused), after.unknown.length === 0 ? '' : `${grouped(after.unknown.length)} unknown`];
    found(
      problems,
      `n2 killed with SIGKILL; of ${grouped(offered)} puts then n1 and n3 took theirs, ${grouped(after.acknowledged.length)}, and those for n2 ended: ${rest.filter(text => text !== '').join(', ')}`,
    );
    // The failure detector wants to be sure; the links know at once.
    view.say('        members() calls it suspect only after some 18 s of silence, for which the tour does not wait');
  }

  /** Everything that is not n2's must have been acknowledged, and nothing that is. */
  async #deadProblems(byOwner: Readonly<Record<string, number>>, from: number): Promise<string[]> {
    const { offered } = this.#plan;
    const expected = await this.#member('n1').ask('ownersOf', from, offered);
    return [...founders].flatMap(name => {
      const wanted = name === 'n2' ? 0 : (expected[name] ?? 0);
      const got = byOwner[name] ?? 0;
      return got === wanted ? [] : [`while n2 was dead ${name} acknowledged ${got} puts instead of ${wanted}`];
    });
  }

  async bringBack(): Promise<void> {
    const { view, found } = this.#plan;
    view.step('Starting n2 again, in its directory');
    await this.#member('n2').start();
    await this.#member('n2').ask('ready');
    for (const name of ['n1', 'n3']) await this.#reaches(name, 'n2');
    const numbers = this.#acknowledged;
    view.step('Reading every acknowledged city, all through n3');
    this.#showProgress('n3', numbers.length);
    const seen = await this.#member('n3').ask('check', 'after the kill', numbers);
    this.report.get = seen.rate;
    this.report.acknowledged = numbers.length;
    this.report.gone = seen.bad;
    found(
      [...seen.problems, ...(await this.#ringProblems(founders))],
      `n2 is back: all ${grouped(numbers.length)} acknowledged cities are there, each compared with what was written`,
    );
    const torn = await this.#member('n3').ask('torn', this.#unknown);
    found(torn, `${grouped(this.#unknown.length)} puts whose outcome nobody knew are there whole, or not at all`);
  }

  async addFourth(): Promise<void> {
    const { view, found } = this.#plan;
    view.step('Adding a fourth process');
    await this.#member('n4').start();
    await this.#member('n4').ask('ready');
    for (const name of founders) await this.#sees(name, 'n4');
    found(
      await this.#ringProblems(names),
      'n4 has joined. The ring is as before: partitions do not move between nodes in this version',
    );
    await this.#showMembers('n4');
  }

  async moveAround(): Promise<void> {
    const { view, signal, rounds, random, found } = this.#plan;
    view.step('Moving actors onto n4 and home, under load from n1, n2 and n3');
    const homes = new Map(
      await Promise.all(keys.map(async key => [key, await this.#member('n1').ask('ownerOf', key)] as const)),
    );
    const talks = founders.map(name => ({ name, said: this.#member(name).ask('talk', keys) }));
    const failed = Promise.all(talks.map(({ said }) => said));
    failed.catch(() => undefined);
    const pauses = new Histogram();
    const problems: string[] = [];
    let [moves, repeated] = [0, 0];
    const total = rounds * keys.length * 2;
    for (let round = 0; round < rounds; round++) {
      for (const isOut of [true, false]) {
        for (const key of keys) {
          signal.throwIfAborted();
          const to = isOut ? 'n4' : (homes.get(key) as string);
          const by = founders[random.below(founders.length)] as string;
          const moved = await Promise.race([this.#relocate(by, key, to), failed.then(never)]);
          pauses.record(moved.pausedMs * 1_000);
          repeated += moved.repeated;
          moves++;
          const at = await this.#member('n4').ask('locate', key);
          if (at !== to) problems.push(`${key} was moved to ${to}, and is on ${at}`);
          view.progress(moves, total);
        }
      }
    }
    await Promise.all(founders.map(name => this.#member(name).ask('hush')));
    const sent = new Map<string, Map<string, number>>();
    for (const { name, said } of talks) {
      const { sent: counts, problems: heard } = await said;
      problems.push(...heard);
      for (const [key, count] of Object.entries(counts)) sent.set(key, (sent.get(key) ?? new Map()).set(name, count));
    }
    const sums = { messages: 0, lost: 0, doubled: 0, reordered: 0 };
    for (const [key, counts] of sent) {
      const books = new Map((await this.#member('n4').ask('report', key)) as [string, Runs][]);
      const { lost, doubled, reordered } = compare(books, counts, problems);
      sums.messages += [...counts.values()].reduce((a, b) => a + b, 0);
      sums.lost += lost;
      sums.doubled += doubled;
      sums.reordered += reordered;
    }
    const pause = { ...percentiles(pauses), maxMs: pauses.max / 1_000 };
    Object.assign(this.report, { moves, repeated, ...sums, pause });
    found(
      problems,
      `${keys.length} actors moved onto n4 and home, ${moves} moves under ${grouped(sums.messages)} messages from three processes: ${sums.lost} lost, ${sums.doubled} doubled, ${sums.reordered} reordered`,
    );
  }

  async stop(): Promise<void> {
    const { view, found } = this.#plan;
    view.step('Stopping all four');
    const problems: string[] = [];
    for (const name of [...names].reverse()) {
      const member = this.#member(name);
      await member.ask('stop');
      const code = await member.end();
      if (code !== 0) problems.push(`${name} ended with ${code}`);
    }
    found(problems, 'four processes stopped in good order');
  }

  async #relocate(by: string, key: string, to: string): Promise<{ pausedMs: number; repeated: number }> {
    const until = performance.now() + patienceMs;
    for (let repeated = 0; ; repeated++) {
      try {
        return { ...(await this.#member(by).ask('relocate', key, to)), repeated };
      } catch (error) {
        if (!(error instanceof Refused) || error.code !== 'OVERLOADED' || performance.now() > until) throw error;
        await pause();
      }
    }
  }

  /** All of these go by the first ring. */
  async #ringProblems(of: readonly string[]): Promise<string[]> {
    const first = this.#ring.join();
    const rings = await Promise.all(of.map(async name => [name, await this.#member(name).ask('owners')] as const));
    return rings.flatMap(([name, ring]) => (ring.join() === first ? [] : [`${name} goes by another ring than n1 did`]));
  }

  /** Asks until it is answered by a node that has just come back. */
  async #reaches(from: string, to: string): Promise<void> {
    const n = await this.#member(from).ask('oneOf', to);
    await this.#insist(`${from} reaches ${to}`, () =>
      this.#member(from)
        .ask('reach', n)
        .then(
          () => true,
          error => {
            if (error instanceof Refused) return false;
            throw error;
          },
        ),
    );
  }

  async #sees(name: string, other: string): Promise<void> {
    const isUp = async (): Promise<boolean> =>
      (await this.#member(name).ask('members')).some(each => each.name === other && each.status === 'up');
    await this.#insist(`${name} sees ${other}`, isUp);
  }

  async #insist(what: string, isSo: () => Promise<boolean>): Promise<void> {
    const until = performance.now() + patienceMs;
    while (!(await isSo())) {
      this.#plan.signal.throwIfAborted();
      if (performance.now() > until) throw new Error(`waited ${patienceMs / 1_000} s in vain until ${what}`);
      await pause();
    }
  }

  #showProgress(name: string, total: number): void {
    this.#member(name).onNews = done => this.#plan.view.progress(done as number, total);
  }

  async #showMembers(by: string): Promise<void> {
    const { view } = this.#plan;
    const counts = countsOf(await this.#member(by).ask('owners'));
    for (const { name, status, address } of await this.#member(by).ask('members'))
      view.say(`        ${name}  ${status.padEnd(7)}  ${address}  ${counts[name] ?? 0} partitions`);
  }
}

const pause = (): Promise<void> => new Promise(resolve => setTimeout(resolve, retryMs));

function never(): never {
  throw new Error('the senders have stopped talking while actors were moving');
}

/** The child's module beside this one: .ts in the sources, .js when built. */
function childFile(): string {
  const url = new URL('./member-child.js', import.meta.url);
  if (import.meta.url.endsWith('.ts')) url.pathname = url.pathname.replace(/\.js$/, '.ts');
  return fileURLToPath(url);
}
