// What the senders of a test know of the lines they wrote, held against what the actors have in the end.
//
//     begun ──ack──▶ acknowledged: there, once, under the epoch of the answer
//           ──failed──▶ not there            ──unknown──▶ there once, or not
//
// Invariant it checks besides: the lines of one sender are in the order it wrote them, and epochs never fall: no actor has accepted
// anything after a later life of it has.

import type { Line } from './book-actors.ts';

type Fate = number | 'failed' | 'unknown';

export class BookOracle {
  /** By unit, then by sender: what became of line n, an acknowledgement being its epoch. */
  readonly #fates = new Map<string, Map<string, Fate[]>>();
  readonly #acked = new Map<string, number>();

  ended(unit: string, sender: string, n: number, fate: Fate): void {
    const senders = this.#fates.get(unit) ?? new Map<string, Fate[]>();
    this.#fates.set(unit, senders);
    const fates = senders.get(sender) ?? [];
    senders.set(sender, fates);
    fates[n] = fate;
    if (typeof fate === 'number') this.#acked.set(unit, this.acked(unit) + 1);
  }

  acked(unit: string): number {
    return this.#acked.get(unit) ?? 0;
  }

  units(): string[] {
    return [...this.#fates.keys()];
  }

  /** Everything that is wrong with the lines of a unit, in words. */
  troubles(unit: string, lines: readonly Line[]): string[] {
    const found: string[] = [];
    /** By sender: the numbers of its lines, in their order. */
    const seen = new Map<string, Set<number>>();
    const latest = new Map<string, number>();
    let last = 0;
    for (const [sender, n, epoch] of lines) {
      const what = `${unit}: line ${n} of ${sender}`;
      const fate = this.#fates.get(unit)?.get(sender)?.[n];
      const before = seen.get(sender) ?? new Set();
      seen.set(sender, before);
      const newest = latest.get(sender) ?? -1;
      if (before.has(n)) found.push(`${what} is doubled`);
      else if (n < newest) found.push(`${what} is reordered, after ${newest}`);
      if (fate === undefined) found.push(`${what} was never written`);
      if (fate === 'failed') found.push(`${what} is there, and its sender was told that it is not`);
      if (typeof fate === 'number' && fate !== epoch)
        found.push(`${what} was acknowledged under epoch ${fate}, and is there under ${epoch}`);
      if (epoch < last) found.push(`${what} was accepted under epoch ${epoch}, after ${last}`);
      last = Math.max(last, epoch);
      before.add(n);
      latest.set(sender, n);
    }
    for (const [sender, fates] of this.#fates.get(unit) ?? [])
      for (const [n, fate] of fates.entries())
        if (typeof fate === 'number' && seen.get(sender)?.has(n) !== true)
          found.push(`${unit}: line ${n} of ${sender} was acknowledged, and is lost`);
    return found;
  }
}
