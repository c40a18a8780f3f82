// The last part of the tour: three processes as one cluster, one of them killed and brought back, and a fourth one (fourth.ts).
//
//     n1  n2  n3   found a ring ─▶ cities in through n1 ─▶ n2 ✗ SIGKILL, n1 and n3 serve on ─▶ n2 again ─▶ every acknowledged one?
//     n4           joins: partitions go to it under load ─▶ actors move under load ─▶ leaves: partitions go back ─▶ all stop
//
// Invariant: whatever happens, no process is left behind.

import { countsOf, inWords } from './counts.ts';
import { Fourth, type FourthReport } from './fourth.ts';
import type { Rate } from './in-flight.ts';
import { everybody, founders, type Members, type MembersPlan, makeMembers, patienceMs } from './members.ts';
import type { Random } from './random.ts';
import { grouped } from './view.ts';

export interface ClusterPlan extends MembersPlan {
  /** Cities loaded while all are well, and offered around the kill. */
  readonly count: number;
  readonly offered: number;
  /** How often actors move there and back. */
  readonly rounds: number;
  readonly random: Random;
  /** What a step has shown. */
  found(problems: readonly string[], claim: string): void;
}

export interface ClusterReport extends FourthReport {
  put?: Rate;
  get?: Rate;
  /** While one of three nodes was dead: acknowledged by the others; refused, by code; unknown. */
  served?: number;
  refused?: Readonly<Record<string, number>>;
  unknown?: number;
  acknowledged?: number;
  gone?: number;
}

/** A put that gets no answer ends so soon, where a node is dead. */
const outageMs = 5_000;

export async function runCluster(plan: ClusterPlan, report: ClusterReport): Promise<void> {
  const members = await makeMembers(plan);
  const onAbort = (): void => void members.killAll();
  plan.signal.addEventListener('abort', onAbort, { once: true });
  const cluster = new TourCluster(plan, members, report);
  try {
    await cluster.found();
    await cluster.load();
    await cluster.killOne();
    await cluster.bringBack();
    const newcomer = new Fourth(plan, members, report, cluster.acknowledged);
    await newcomer.joins();
    await newcomer.movesActors();
    await newcomer.leaves();
    await cluster.stop();
  } finally {
    plan.signal.removeEventListener('abort', onAbort);
    await members.killAll();
  }
}

class TourCluster {
  readonly acknowledged: number[] = [];
  readonly #plan: ClusterPlan;
  readonly #members: Members;
  readonly #report: ClusterReport;
  #unknown: readonly number[] = [];
  #ring: readonly string[] = [];

  constructor(plan: ClusterPlan, members: Members, report: ClusterReport) {
    this.#plan = plan;
    this.#members = members;
    this.#report = report;
  }

  async found(): Promise<void> {
    const { view, found } = this.#plan;
    const members = this.#members;
    view.step('Starting three processes that find each other');
    await Promise.all(founders.map(name => members.of(name).start()));
    await Promise.all(founders.map(name => members.of(name).ask('ready')));
    await Promise.all(founders.map(name => members.of(name).ask('open')));
    this.#ring = await members.of('n1').ask('owners');
    const counts = countsOf(this.#ring);
    this.#report.rings = { founded: counts };
    const problems = await members.otherRings(founders, this.#ring);
    for (const name of founders)
      if (counts[name] === undefined) problems.push(`${name} owns nothing of the first ring`);
    found(problems, `three processes, one ring of ${this.#ring.length} partitions: ${inWords(counts)}`);
    await members.show('n1');
  }

  async load(): Promise<void> {
    const { view, count, found } = this.#plan;
    view.step('Loading cities across the ring, all through n1');
    this.#members.showProgress('n1', count);
    const loaded = await this.#members.of('n1').ask('load', 0, count, patienceMs);
    this.#report.put = loaded.rate;
    this.acknowledged.push(...loaded.acknowledged);
    const left = count - loaded.acknowledged.length;
    const problems = left === 0 ? [] : [`${left} of ${count} puts were not acknowledged: ${inWords(loaded.refused)}`];
    found(
      problems,
      `${grouped(loaded.acknowledged.length)} cities acknowledged by their owners: ${inWords(loaded.byOwner)}`,
    );
  }

  async killOne(): Promise<void> {
    const { view, count, offered, random, found } = this.#plan;
    const [n1, n2] = [this.#members.of('n1'), this.#members.of('n2')];
    view.step('Killing n2 while n1 loads more');
    const moment = Math.floor(offered / 4) + random.below(Math.floor(offered / 4));
    let isKilled: Promise<void> | undefined;
    n1.onNews = done => {
      view.progress(done as number, offered);
      if ((done as number) >= moment) isKilled ??= n2.kill();
    };
    const before = await n1.ask('load', count, offered, outageMs);
    // A load so quick that it was over before its news came.
    await (isKilled ?? n2.kill());
    view.step('Loading while n2 is dead');
    this.#members.showProgress('n1', offered);
    const after = await n1.ask('load', count + offered, offered, outageMs);
    this.acknowledged.push(...before.acknowledged, ...after.acknowledged);
    this.#unknown = [...before.unknown, ...after.unknown];
    this.#report.served = after.acknowledged.length;
    this.#report.refused = after.refused;
    this.#report.unknown = after.unknown.length;
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
    const expected = await this.#members.of('n1').ask('ownersOf', from, offered);
    return founders.flatMap(name => {
      const wanted = name === 'n2' ? 0 : (expected[name] ?? 0);
      const got = byOwner[name] ?? 0;
      return got === wanted ? [] : [`while n2 was dead ${name} acknowledged ${got} puts instead of ${wanted}`];
    });
  }

  async bringBack(): Promise<void> {
    const { view, found } = this.#plan;
    const members = this.#members;
    view.step('Starting n2 again, in its directory');
    await members.of('n2').start();
    await members.of('n2').ask('ready');
    for (const name of ['n1', 'n3']) await members.reaches(name, 'n2');
    const numbers = this.acknowledged;
    view.step('Reading every acknowledged city, all through n3');
    members.showProgress('n3', numbers.length);
    const seen = await members.of('n3').ask('check', 'after the kill', numbers);
    this.#report.get = seen.rate;
    this.#report.acknowledged = numbers.length;
    this.#report.gone = seen.bad;
    found(
      [...seen.problems, ...(await members.otherRings(founders, this.#ring))],
      `n2 is back: all ${grouped(numbers.length)} acknowledged cities are there, each compared with what was written`,
    );
    const torn = await members.of('n3').ask('torn', this.#unknown);
    found(torn, `${grouped(this.#unknown.length)} puts whose outcome nobody knew are there whole, or not at all`);
  }

  async stop(): Promise<void> {
    const { view, found } = this.#plan;
    view.step('Stopping the three');
    const problems = await this.#members.troubles(founders);
    for (const name of [...founders].reverse()) {
      const member = this.#members.of(name);
      await member.ask('stop');
      const code = await member.end();
      if (code !== 0) problems.push(`${name} ended with ${code}`);
    }
    found(problems, `${everybody.length} processes stopped in good order`);
  }
}
