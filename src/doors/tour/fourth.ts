// A fourth process comes into a cluster of three and leaves it again, and all the time the three serve.
//
//     joins    taken into the ring by itself ─▶ partitions go to it, with their cities and their actors ─▶ every city, through n4
//     moves    actors go to other nodes and home, as before
//     leaves   its partitions go back ─▶ it owns nothing, and its process ends ─▶ every city, through another node than wrote it
//
// While partitions change hands, n1, n2 and n3 read and overwrite cities, each its own third, and talk in numbered messages to actors:
// to some whose partitions go and some whose stay, and of each kind to one that is the guest of another node.
//
// Invariant: each city found is the last one acknowledged; the ring is the one that plan() had shown.

import { Histogram } from '../../runtime/histogram.ts';
import type { ClusterPlan } from './cluster.ts';
import { type Counts, countsOf, inWords } from './counts.ts';
import { type HandoverReport, handoverInWords, handoverOf, ringStrip, rowsInWords, wrongHands } from './handover.ts';
import { everybody, founders, fourth, type Members } from './members.ts';
import { type Pause, pauseOf, Traffic, type TrafficReport } from './traffic.ts';
import { grouped } from './view.ts';

export interface FourthReport {
  /** Partitions by node: when the three had founded the ring, after the fourth came, after it left. */
  rings?: { readonly founded: Counts; joined?: Counts; left?: Counts };
  /** Partitions that went to n4, and those that went back; what the three did meanwhile; cities that were not as last acknowledged. */
  joined?: HandoverReport & Omit<TrafficReport, 'problems'> & { readonly checked: number; readonly bad: number };
  left?: HandoverReport & Omit<TrafficReport, 'problems'> & { readonly checked: number; readonly bad: number };
  /** Of actors alone, from node to node. */
  moves?: number;
  repeated?: number;
  pause?: Pause;
  /** Over all three steps. */
  messages?: number;
  lost?: number;
  doubled?: number;
  reordered?: number;
}

interface Planned {
  readonly owners: readonly string[];
  readonly moving: readonly number[];
}

/** Of each kind: actors whose partitions go to n4, and actors whose stay. */
const travellersOfAKind = 3;
/** No partition has changed hands for so long: twice the longest wait after a failed try. */
const stallMs = 60_000;

export class Fourth {
  readonly #plan: ClusterPlan;
  readonly #members: Members;
  readonly #report: FourthReport;
  readonly #acknowledged: readonly number[];
  /** Whose cities are whose to overwrite. */
  readonly #shares: ReadonlyMap<string, readonly number[]>;
  #goers: readonly string[] = [];
  #stayers: readonly string[] = [];
  #traffic: Traffic;

  constructor(plan: ClusterPlan, members: Members, report: FourthReport, acknowledged: readonly number[]) {
    this.#plan = plan;
    this.#members = members;
    this.#report = report;
    this.#acknowledged = acknowledged;
    const shareOf = (at: number): number[] => acknowledged.filter((_, index) => index % founders.length === at);
    this.#shares = new Map(founders.map((name, at) => [name, shareOf(at)]));
    this.#traffic = new Traffic([], []);
    Object.assign(report, { messages: 0, lost: 0, doubled: 0, reordered: 0 });
  }

  async joins(): Promise<void> {
    const { view, found } = this.#plan;
    const members = this.#members;
    const before = await members.of('n1').ask('owners');
    const planned = await members.of('n1').ask('planned', { join: [{ name: fourth }] });
    const { goers, stayers } = await members.of('n1').ask('travellers', planned.moving, travellersOfAKind);
    [this.#goers, this.#stayers] = [goers, stayers];
    this.#traffic = new Traffic(
      founders.map(name => members.of(name)),
      [...goers, ...stayers],
    );
    const guests = [goers[0] as string, stayers[0] as string];
    for (const key of guests) await members.relocate('n1', key, await this.#awayFrom(key));
    const places = await this.#places(guests);
    view.step('Adding a fourth process, and moving partitions to it under load');
    await this.#changeHands('joined', planned, before, async () => {
      await members.of(fourth).start();
      await members.of(fourth).ask('ready');
    });
    for (const name of founders) await members.sees(name, fourth, 'up');
    const problems = await members.otherRings(everybody, planned.owners);
    for (const [key, place] of await this.#places(guests))
      if (place !== places.get(key)) problems.push(`${key} was on ${places.get(key)}, and is on ${place}`);
    found(problems, `n4 has joined: four processes go by the ring that plan() had shown`);
    await members.show(fourth);
    await this.#readAll('joined', new Map([[fourth, this.#acknowledged]]));
  }

  async movesActors(): Promise<void> {
    const { view, signal, rounds, random, found } = this.#plan;
    const members = this.#members;
    view.step('Moving actors from node to node and home, under load from n1, n2 and n3');
    const keys = [...this.#goers, ...this.#stayers];
    const pauses = new Histogram();
    const problems: string[] = [];
    let [moves, repeated] = [0, 0];
    const homes = await this.#homes(keys);
    const total = rounds * keys.length * 2;
    const [, traffic] = await this.#traffic.during(async failed => {
      for (let round = 0; round < rounds; round++) {
        for (const isOut of [true, false]) {
          for (const key of keys) {
            signal.throwIfAborted();
            const to = isOut ? await this.#awayFrom(key) : (homes.get(key) as string);
            const by = founders[random.below(founders.length)] as string;
            const moved = await Promise.race([members.relocate(by, key, to), failed]);
            pauses.record(moved.pausedMs * 1_000);
            repeated += moved.repeated;
            moves++;
            const at = await members.of(fourth).ask('locate', key);
            if (at !== to) problems.push(`${key} was moved to ${to}, and is on ${at}`);
            view.progress(moves, total);
          }
        }
      }
    }, members.of(fourth));
    Object.assign(this.#report, { moves, repeated, pause: pauseOf(pauses) });
    this.#sum(traffic);
    found(
      [...problems, ...traffic.problems],
      `${keys.length} actors moved to other nodes and home, ${moves} moves under ${inMessages(traffic)}`,
    );
  }

  async leaves(): Promise<void> {
    const { view, found } = this.#plan;
    const members = this.#members;
    const before = await members.of('n1').ask('owners');
    const planned = await members.of(fourth).ask('planned', { leave: [fourth] });
    // A guest whose home is about to be another.
    await members.relocate('n1', this.#goers[0] as string, 'n1');
    view.step('n4 leaves, and hands its partitions back under load');
    await this.#changeHands('left', planned, before, () => members.of(fourth).ask('leave'));
    const problems = [...(await members.otherRings(everybody, planned.owners)), ...(await members.troubles([fourth]))];
    if (planned.owners.includes(fourth)) problems.push('n4 still owns something');
    for (const name of founders) await members.sees(name, fourth, 'left');
    await members.of(fourth).ask('stop');
    const code = await members.of(fourth).end();
    if (code !== 0) problems.push(`n4 ended with ${code}`);
    for (const [key, place] of await this.#places([...this.#goers, ...this.#stayers]))
      if (!(founders as readonly string[]).includes(place)) problems.push(`${key} is on ${place}, which has left`);
    found(
      problems,
      'n4 has left and its process has ended: it owned nothing any more, and the ring is that of three again',
    );
    await members.show('n1');
    // Each city through another node than the one that wrote it.
    const [first, second, third] = founders.map(name => this.#shares.get(name) as readonly number[]);
    await this.#readAll(
      'left',
      new Map([
        ['n2', first as readonly number[]],
        ['n3', second as readonly number[]],
        ['n1', third as readonly number[]],
      ]),
    );
  }

  // Partitions that change hands.

  async #changeHands(
    what: 'joined' | 'left',
    planned: Planned,
    before: readonly string[],
    cause: () => Promise<unknown>,
  ): Promise<void> {
    const { found, view } = this.#plan;
    const members = this.#members;
    await members.handed(founders);
    const by = members.of(what === 'joined' ? fourth : 'n1');
    const [{ tookMs, left, stayed }, traffic] = await this.#traffic.during(
      async () => {
        const caused = cause();
        caused.catch(() => undefined);
        const tookMs = await this.#watch(planned, before, caused);
        await caused;
        return { tookMs, ...(await this.#heard(planned.moving.length)) };
      },
      by,
      this.#shares,
    );
    const handover = handoverOf(left, stayed.length, tookMs);
    const { problems, ...seen } = traffic;
    this.#report[what] = { ...handover, ...seen, checked: 0, bad: 0 };
    this.#report.rings = { ...this.#report.rings, [what]: countsOf(planned.owners) } as Required<FourthReport>['rings'];
    this.#sum(traffic);
    found(wrongHands(planned.moving, left), handoverInWords(handover));
    view.say(`        before  ${ringStrip(before)}   ${inWords(countsOf(before))}`);
    view.say(`        after   ${ringStrip(planned.owners)}   ${inWords(countsOf(planned.owners))}`);
    if (stayed.length > 0)
      view.say(`        ${stayed.length} tries failed and were made again, the first: ${stayed[0]}`);
    const others = [
      ...(Object.keys(seen.refused).length === 0 ? [] : [`refused and tried again: ${inWords(seen.refused)}`]),
      ...(seen.unknown === 0 ? [] : [`${grouped(seen.unknown)} without an answer`]),
    ];
    found(
      problems,
      `meanwhile ${grouped(seen.reads)} cities read and ${grouped(seen.writes)} overwritten (p50 ${seen.put.p50Ms.toFixed(1)} ms, max ${seen.put.maxMs.toFixed(0)} ms)${others.map(other => `, ${other}`).join('')}; ${inMessages(seen)}`,
    );
  }

  /** Resolves, when the ring of n1 is the one planned, with how long it took since n1 knew that something is to change hands. */
  async #watch({ owners, moving }: Planned, before: readonly string[], caused: Promise<unknown>): Promise<number> {
    const members = this.#members;
    let beganAt: number | undefined;
    let [done, doneAt] = [0, performance.now()];
    const failed = caused.then(() => new Promise<never>(() => undefined));
    for (;;) {
      const seen = await Promise.race([members.of('n1').ask('handing'), failed]);
      const now = performance.now();
      const moved = moving.filter(partition => seen.owners[partition] === owners[partition]).length;
      if (seen.pending > 0 || moved > 0) beganAt ??= now;
      if (moved !== done) [done, doneAt] = [moved, now];
      this.#plan.view.progress(done, moving.length, seen.rows.length === 0 ? undefined : rowsInWords(seen.rows));
      if (moved === moving.length && seen.pending === 0) return now - (beganAt ?? now);
      if (now - doneAt > stallMs) {
        const { partition, from, to, phase, why } = seen.rows[0] ?? {};
        const first = `partition ${partition} from ${from} to ${to} is ${phase}${why === null ? '' : `: ${why}`}`;
        const rest = `${done} of ${moving.length} (from ${inWords(countsOf(before))})`;
        throw new Error(`no partition has changed hands for ${stallMs / 1_000} s, after ${rest}; ${first}`);
      }
      await members.pause();
    }
  }

  /** Whoever gives a partition tells of it a little later than the ring. */
  async #heard(wanted: number): Promise<Awaited<ReturnType<Members['handed']>>> {
    const all: Awaited<ReturnType<Members['handed']>> = { left: [], stayed: [] };
    await this.#members.insist('all partitions that have left are told of', async () => {
      const { left, stayed } = await this.#members.handed(everybody);
      all.left.push(...left);
      all.stayed.push(...stayed);
      return all.left.length >= wanted;
    });
    return all;
  }

  /** By node: which cities are read through it. */
  async #readAll(what: 'joined' | 'left', through: ReadonlyMap<string, readonly number[]>): Promise<void> {
    const { view, found } = this.#plan;
    const by = [...through.keys()].sort().join(', ');
    view.step(`Reading every city, through ${by}`);
    const { versions } = this.#traffic;
    const total = this.#acknowledged.length;
    const done = new Map<string, number>();
    const seen = await Promise.all(
      [...through].map(([name, numbers]) => {
        const member = this.#members.of(name);
        member.onNews = news => {
          done.set(name, news as number);
          view.progress(
            [...done.values()].reduce((a, b) => a + b, 0),
            total,
          );
        };
        return member.ask('check', `through ${name}`, numbers, versions);
      }),
    );
    const bad = seen.reduce((sum, each) => sum + each.bad, 0);
    const report = this.#report[what];
    if (report !== undefined) this.#report[what] = { ...report, checked: total, bad };
    found(
      seen.flatMap(each => each.problems),
      `all ${grouped(total)} cities read through ${by}: each is the last one acknowledged, ${grouped(versions.length)} of them overwritten since`,
    );
  }

  // Actors.

  /** To n4 from elsewhere; to one of the three from n4. Before n4 has come: to one of the others. */
  async #awayFrom(key: string): Promise<string> {
    const home = await this.#members.of('n1').ask('ownerOf', key);
    const isHere = (this.#report.joined?.partitions ?? 0) > 0;
    if (isHere && home !== fourth) return fourth;
    const others = founders.filter(name => name !== home);
    return others[this.#plan.random.below(others.length)] as string;
  }

  async #homes(keys: readonly string[]): Promise<Map<string, string>> {
    return new Map(
      await Promise.all(keys.map(async key => [key, await this.#members.of('n1').ask('ownerOf', key)] as const)),
    );
  }

  async #places(keys: readonly string[]): Promise<Map<string, string>> {
    return new Map(
      await Promise.all(keys.map(async key => [key, await this.#members.of('n1').ask('locate', key)] as const)),
    );
  }

  #sum({ messages, lost, doubled, reordered }: TrafficReport): void {
    const report = this.#report;
    report.messages = (report.messages ?? 0) + messages;
    // Books are judged from their first message on, so the last verdict is one on all of it; but one that was put right is still one.
    report.lost = Math.max(report.lost ?? 0, lost);
    report.doubled = Math.max(report.doubled ?? 0, doubled);
    report.reordered = Math.max(report.reordered ?? 0, reordered);
  }
}

function inMessages({ messages, lost, doubled, reordered }: Omit<TrafficReport, 'problems'>): string {
  return `${grouped(messages)} messages from three processes: ${lost} lost, ${doubled} doubled, ${reordered} reordered`;
}
