// What a killed process may have left behind, decided from what it had acknowledged. Pure, so that it can be tried with
// planted lies.
//
// The picture: operations on a target are numbered, and at most `width` are under way. So after a kill the target stands
// behind operation m with   acknowledged <= m <= acknowledged + width,   and the state behind m is known exactly.
//
//   chain   each operation has seen the one before it: puts its own number, every fifth one deletes
//   blind   operations without a context stand beside each other, until every tenth one merges them
//   ledger, journal   count the numbers in their state
//   alarm   sets reminders; the even ones are due soon

type KeyKind = 'chain' | 'blind';
export type Kind = KeyKind | 'ledger' | 'journal' | 'alarm';

export interface Target {
  readonly name: string;
  readonly kind: Kind;
  readonly width: number;
}

export type Seen =
  | { readonly kind: 'ledger' | 'journal'; readonly last: number; readonly count: number; readonly epoch: number }
  | { readonly kind: 'alarm'; readonly came: readonly string[]; readonly epoch: number }
  | {
      readonly kind: KeyKind;
      readonly values: readonly number[];
      readonly tombstone: boolean;
      /** The name each value was written under, and the value: no name may ever stand for two. */
      readonly dots: readonly (readonly [dot: string, value: string])[];
    };

const many = (count: number, kind: Kind, width: (at: number) => number): Target[] =>
  Array.from({ length: count }, (_, at) => ({ name: `${kind}-${at}`, kind, width: width(at) }));

/** The last of each kind is busy enough to have its journal packed into a snapshot, every 1,024 events. */
const widths = (at: number): number => (at < 3 ? 1 : at < 5 ? 4 : 64);

export const targets: readonly Target[] = [
  ...many(16, 'chain', () => 1),
  ...many(6, 'blind', () => 1),
  ...many(6, 'ledger', widths),
  ...many(6, 'journal', widths),
  ...many(2, 'alarm', () => 1),
];

export const isPut = (n: number): boolean => n % 5 !== 0;
export const isMerge = (n: number): boolean => n % 10 === 0;

/** The values a key has behind operation m. */
export function valuesAfter(kind: KeyKind, m: number): number[] {
  if (m === 0) return [];
  if (kind === 'chain') return isPut(m) ? [m] : [];
  const merged = m - (m % 10);
  return Array.from({ length: m - merged + 1 }, (_, at) => merged + at).filter(n => n > 0);
}

export class KillOracle {
  /** The last operation of each target that was acknowledged. */
  readonly acked: Map<string, number> = new Map(targets.map(({ name }) => [name, 0]));
  /** The highest epoch each actor has shown in earlier lives, and in this one. */
  private readonly before = new Map<string, number>();
  private readonly now = new Map<string, number>();
  private readonly dots = new Map<string, string>();
  private readonly due = new Set<string>();
  readonly complaints: string[] = [];
  acknowledgements = 0;

  onAck(name: string, n: number, epoch: number): void {
    this.acknowledgements++;
    this.acked.set(name, Math.max(this.acked.get(name) ?? 0, n));
    if (epoch > 0) this.onEpoch(name, epoch);
    if (name.startsWith('alarm') && n % 2 === 0) this.due.add(`${name}:${n}`);
  }

  /** The process is dead: whatever comes from now on is of another life. */
  onDeath(): void {
    const highest = Math.max(0, ...this.now.values(), ...this.before.values());
    // No epoch of a later life may even be below one of another actor: they come from one counter.
    for (const { name } of targets) this.before.set(name, highest);
    this.now.clear();
  }

  /** Looks at everything a new life shows, and says with which operation each target goes on. */
  onSeen(seen: Readonly<Record<string, Seen>>): Record<string, number> {
    const from: Record<string, number> = {};
    for (const target of targets) {
      const found = seen[target.name];
      if (found === undefined) this.complain(target.name, 'was not looked at');
      else from[target.name] = this.standsBehind(target, found) + 1;
    }
    return from;
  }

  /** Reminders that were due and acknowledged, and have not come yet. */
  missing(seen: Readonly<Record<string, Seen>>): string[] {
    return [...this.due].filter(each => {
      const [name = '', n = ''] = each.split(':');
      const found = seen[name];
      return found?.kind !== 'alarm' || !found.came.includes(n);
    });
  }

  /** Reminders for another day, which must all still be there. */
  get waiting(): number {
    return targets
      .filter(({ kind }) => kind === 'alarm')
      .reduce((sum, { name }) => sum + Math.ceil((this.acked.get(name) ?? 0) / 2), 0);
  }

  private standsBehind({ name, width }: Target, found: Seen): number {
    const acked = this.acked.get(name) as number;
    if ('epoch' in found) this.onEpoch(name, found.epoch);
    if ('last' in found) {
      if (found.last < acked) this.complain(name, `lost: ${acked} was acknowledged, ${found.last} is there`);
      if (found.last > acked + width) this.complain(name, `made up: ${found.last} is there, ${acked} was acknowledged`);
      if (found.count !== found.last) this.complain(name, `${found.count} notes are there, the last is ${found.last}`);
      return found.last;
    }
    if ('came' in found) {
      for (const n of found.came) if (Number(n) > acked + width) this.complain(name, `reminder ${n} was never set`);
      return acked;
    }
    for (const [dot, value] of found.dots) {
      const known = this.dots.get(`${name} ${dot}`);
      if (known !== undefined && known !== value) this.complain(name, `${dot} was ${known} and is ${value}`);
      this.dots.set(`${name} ${dot}`, value);
    }
    const values = [...found.values].sort((a, b) => a - b);
    for (let m = acked; m <= acked + width; m++) {
      if (JSON.stringify(values) === JSON.stringify(valuesAfter(found.kind, m))) return m;
    }
    this.complain(name, `${acked} was acknowledged, ${JSON.stringify(values)} is there, tombstone ${found.tombstone}`);
    return acked;
  }

  private onEpoch(name: string, epoch: number): void {
    const before = this.before.get(name) ?? 0;
    if (epoch <= before) this.complain(name, `epoch ${epoch} after ${before} of an earlier life`);
    const now = this.now.get(name) ?? 0;
    if (epoch < now) this.complain(name, `epoch ${epoch} after ${now}`);
    this.now.set(name, Math.max(now, epoch));
  }

  private complain(name: string, what: string): void {
    this.complaints.push(`${name}: ${what}`);
  }
}
