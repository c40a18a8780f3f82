// Who knows better about actors that move: what was said to each of them, what became of it, what was seen to run and what is kept.
//
//     acknowledged: there, once      told failed: not there, and it never ran      of one sender: in order      epochs only rise
//
// What ran is seen twice: by the witness in node-actors.ts, at the moment of the turn, and in the actor's state at the end.

import { type Line, reminderSender } from './node-actors.ts';
import { ActivationOracle } from './oracles.ts';

/** 'sent': a tell that was not refused. 'cancelled': a reminder that must not come. */
export type Outcome = 'open' | 'sent' | 'refused' | 'ok' | 'failed' | 'unknown' | 'cancelled';

export interface Said {
  readonly unit: string;
  readonly by: string;
  readonly number: number;
  readonly what: 'tell' | 'ask' | 'once' | 'through' | 'reminder';
  /** It may come late, behind what was said after it: it was tried again, or nobody waited for its end. */
  isStray: boolean;
  outcome: Outcome;
  /** When its asker was told so. */
  unknownAt?: number;
}

export interface LedgerRules {
  /** Nothing breaks: no tell is lost either, and no reminder comes twice. */
  readonly calm: boolean;
  /** Disks refuse: what has run may be taken back, and told failed. */
  readonly disksFail: boolean;
}

export class LedgerOracle {
  readonly #rules: LedgerRules;
  readonly #said = new Map<string, Said[]>();
  /** Of one life of a sender, to one actor. */
  readonly #numbers = new Map<string, number>();
  /** By actor, in the order of the turns. */
  readonly #ran = new Map<string, Line[]>();
  /** The same of turns that ended where nobody listens any more: in no order. */
  readonly #ranBehind = new Map<string, Line[]>();
  readonly #epochs = new Map<string, number>();
  readonly #activations = new ActivationOracle();
  turns = 0;

  constructor(rules: LedgerRules) {
    this.#rules = rules;
  }

  get isCalm(): boolean {
    return this.#rules.calm;
  }

  says(unit: string, by: string, what: Said['what']): Said {
    const path = `${by} ${unit}`;
    const number = this.#numbers.get(path) ?? 0;
    this.#numbers.set(path, number + 1);
    const said: Said = { unit, by, number, what, isStray: false, outcome: 'open' };
    const all = this.#said.get(unit) ?? [];
    this.#said.set(unit, all);
    all.push(said);
    return said;
  }

  saidOf(unit: string, [by, number]: Line): Said | undefined {
    return this.#said.get(unit)?.find(said => said.by === by && said.number === number);
  }

  highest(unit: string): number {
    return this.#epochs.get(unit) ?? 0;
  }

  /**
   * A turn, under that epoch, in that life of a node. What is wrong with it. `above`: what was the highest epoch when it began. A turn that has begun
   * goes on though its node has stood still meanwhile and may not speak for it any more (lease-guard.ts).
   */
  heard(unit: string, epoch: number, line: Line, life: string, above: number = this.highest(unit)): string[] {
    this.turns++;
    const before = this.highest(unit);
    const ran = epoch < before ? this.#ranBehind : this.#ran;
    const lines = ran.get(unit) ?? [];
    ran.set(unit, lines);
    lines.push(line);
    const wrong: string[] = [];
    if (epoch < above) wrong.push(`${unit} ran under epoch ${epoch} after ${before}`);
    this.#epochs.set(unit, Math.max(epoch, before));
    const two = this.#activations.runs(unit, epoch, life);
    if (two !== undefined) wrong.push(two);
    return wrong;
  }

  /** When everything is at rest: does what it holds go with what was said? */
  judge(unit: string, persists: boolean, held: readonly Line[]): string[] {
    const { calm, disksFail } = this.#rules;
    const wrong: string[] = [];
    const ran = this.#ran.get(unit) ?? [];
    const [heldTimes, ranTimes] = [countOf(held), countOf([...ran, ...(this.#ranBehind.get(unit) ?? [])])];
    const said = this.#said.get(unit) ?? [];
    for (const { by, number, what, isStray, outcome } of said) {
      const name = `${unit}: ${by} ${number} (${what}, ${outcome})`;
      const [times, turns] = [heldTimes.get(`${by} ${number}`) ?? 0, ranTimes.get(`${by} ${number}`) ?? 0];
      const mayRepeat = what === 'reminder' && !calm;
      if (times > 1 && !mayRepeat) wrong.push(`${name} is there ${times} times`);
      if (turns > 1 && !isStray && !mayRepeat) wrong.push(`${name} ran ${turns} times`);
      // remind() is a write of its own: it stays when the turn that made it fails afterwards.
      const isNothing = (outcome === 'failed' || outcome === 'refused') && what !== 'reminder';
      if (isNothing && (disksFail ? times : turns) > 0) wrong.push(`${name} ran`);
      if (outcome === 'cancelled' && turns > 0) wrong.push(`${name} came`);
      const mustBe = outcome === 'ok' || (outcome === 'sent' && calm);
      if (mustBe && turns === 0) wrong.push(`${name} never ran`);
      if (mustBe && times === 0 && (persists || calm)) wrong.push(`${name} is not there`);
    }
    const known = new Set(said.map(({ by, number }) => `${by} ${number}`));
    for (const each of heldTimes.keys()) if (!known.has(each)) wrong.push(`${unit}: ${each} was never said`);
    const loose = new Set(
      said.filter(({ isStray, what }) => isStray || what === 'reminder').map(({ by, number }) => `${by} ${number}`),
    );
    return [...wrong, ...disorder(`${unit} ran`, ran, loose), ...disorder(`${unit} holds`, held, loose)];
  }
}

function disorder(what: string, lines: readonly Line[], loose: ReadonlySet<string>): string[] {
  const wrong: string[] = [];
  const last = new Map<string, number>();
  for (const [by, number] of lines) {
    if (by === reminderSender || loose.has(`${by} ${number}`)) continue;
    const before = last.get(by) ?? -1;
    if (number < before) wrong.push(`${what} ${by} ${number} after ${before}`);
    last.set(by, number);
  }
  return wrong;
}

function countOf(lines: readonly Line[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const [by, number] of lines) counts.set(`${by} ${number}`, (counts.get(`${by} ${number}`) ?? 0) + 1);
  return counts;
}

interface Watch {
  readonly key: string;
  readonly at: number;
  readonly isLinked: boolean;
  readonly told: { readonly reason: string; readonly at: number }[];
}

/** Where nothing breaks, the end of one who has been watched for so long is told within so long. */
const [watchedMs, toldMs] = [1_000, 3_000] as const;

/** Watches: whoever lives on is told once of the end of each, with the reason. */
export class WatchOracle {
  readonly #rules: Pick<LedgerRules, 'calm'>;
  readonly #watches = new Map<string, Watch>();
  readonly #ends: { readonly key: string; readonly from: number; readonly at: number }[] = [];

  constructor(rules: Pick<LedgerRules, 'calm'>) {
    this.#rules = rules;
  }

  /** `isLinked`: the node of whoever is watched can be reached. */
  begins(watch: string, { key = '', at = 0, isLinked = true } = {}): void {
    this.#watches.set(watch, { key, at, isLinked, told: [] });
  }

  /** Whoever has that key was asked to end then, and has ended by now. */
  ended(key: string, from: number, at: number): void {
    this.#ends.push({ key, from, at });
  }

  departed(watch: string, reason: string, at = 0): string | undefined {
    const known = this.#watches.get(watch);
    if (known === undefined) return `${watch} was told of an end and never asked`;
    const { told, isLinked } = known;
    told.push({ reason, at });
    if (told.length > 1) return `${watch} was told ${told.length} times: ${told.map(each => each.reason).join(', ')}`;
    return this.#rules.calm && isLinked && reason !== 'stopped'
      ? `${watch} was told '${reason}', and nothing broke`
      : undefined;
  }

  /** Everything that was watched has ended. `lives`: does the watcher still? */
  judge(lives: (watch: string) => boolean): string[] {
    return [...this.#watches].flatMap(([name, watch]) => {
      if (watch.told.length === 0) return lives(name) ? [`${name} was never told`] : [];
      const missed = this.#rules.calm && watch.isLinked ? this.#missedBy(watch) : undefined;
      return missed === undefined
        ? []
        : [`${name} was not told of the end at ${missed.toFixed(0)} ms, and nothing broke`];
    });
  }

  #missedBy({ key, at, told }: Watch): number | undefined {
    const isMissed = (end: { key: string; from: number; at: number }): boolean =>
      end.key === key && end.from > at + watchedMs && (told[0]?.at ?? 0) > end.at + toldMs;
    return this.#ends.find(isMissed)?.at;
  }
}
