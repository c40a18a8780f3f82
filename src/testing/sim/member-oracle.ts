// What may never be said of a member. From outside it is known who runs and who reaches whom, so it is known which verdict is
// wrong: nobody is down who ran all the time and was never apart from the one who says so.
//
//     X runs       ──────────────────────────────────▶
//     A reaches X  ────────╳  ╳─────── wellMs ────────▶  from here on A may not say that X is down
//
// Apart: not connected through anybody, while both run. Samples are half a second apart, a verdict takes twenty seconds. Whoever did
// not run itself may have an old verdict of others in its buffers, or begin among those who are apart from X; of such a one it is
// asked that nobody was apart from X.
//
//     X runs       ──────────────────────────────────▶
//     A runs       ──────┤ stood still ├─ wakesMs ─▶     A reaches nobody yet, and may not say that X is silent: it was A who did not listen
//
// Just awake, A has nothing to judge by but what was before, and what the others say; so there it is asked that X was well for all of them.

import type { GossipEvent } from '../../runtime/membership/gossip-types.ts';
import type { Millis } from '../../runtime/world.ts';

/** Far less than the silence that becomes a verdict, and a few rounds. */
const wakesMs = 6_000;

export class Wellbeing {
  readonly #runsSince = new Map<string, Millis>();
  readonly #togetherSince = new Map<string, Millis>();
  readonly #wholeSince = new Map<string, Millis>();
  /** Who is alone, with those that were well when it lost all of them at once. */
  readonly #alone = new Map<string, ReadonlySet<string>>();
  /** Who stands still, or has just woken up: since when it has not run, and those that were well then. */
  readonly #asleep = new Map<string, { readonly since: Millis; readonly well: ReadonlySet<string> }>();
  readonly #wellMs: Millis;

  /** `wellMs`: how long everything must have been well before a verdict is wrong. */
  constructor(wellMs: Millis) {
    this.#wellMs = wellMs;
  }

  /** `groups`: those that run, by who reaches whom. Everybody else does not run. */
  sample(names: readonly string[], groups: readonly ReadonlySet<string>[], now: Millis): void {
    for (const name of names) {
      const group = groups.find(each => each.has(name));
      if (group === undefined) this.#stands(names, name, now);
      if (group?.size !== 1) this.#alone.delete(name);
      else if (!this.#alone.has(name)) {
        // Who slept may find old verdicts of others in its buffers.
        const slept = now - this.runsSince(name) < this.#wellMs;
        const well = names.filter(other => !slept && other !== name && this.isWell(name, other, now));
        this.#alone.set(name, new Set(well));
      }
    }
    if (groups.length < 2) return;
    for (const group of groups) {
      for (const a of group) this.#wholeSince.set(a, now);
      for (const other of groups)
        if (group !== other) for (const a of group) for (const b of other) this.#togetherSince.set(`${a} ${b}`, now);
    }
  }

  /** It does not run. */
  #stands(names: readonly string[], name: string, now: Millis): void {
    // One that has woken up for a moment only is judged by what was before that, too.
    if (now - this.runsSince(name) > wakesMs) {
      const well = names.filter(other => other !== name && this.isWell(name, other, now));
      this.#asleep.set(name, { since: now, well: new Set(well) });
    }
    this.disturbed(name, now);
  }

  /** It has just woken up, and nobody but itself was ever apart from the other one, which was well as it fell asleep and has run since. */
  isWellForSleeper(by: string, other: string, now: Millis): boolean {
    const slept = this.#asleep.get(by);
    if (slept === undefined || now - this.runsSince(by) > wakesMs || !slept.well.has(other)) return false;
    if (this.runsSince(other) >= slept.since) return false;
    return [...this.#togetherSince].every(([pair, at]) => {
      const [a, b] = pair.split(' ');
      return at < slept.since || a === by || b === by || (a !== other && b !== other);
    });
  }

  /** Whatever is said of it now has a reason. */
  disturbed(name: string, now: Millis): void {
    this.#runsSince.set(name, now);
  }

  /** All of the time of a verdict `other` ran and was within reach of `by`. */
  isWell(by: string, other: string, now: Millis): boolean {
    const slept = now - this.runsSince(by) < this.#wellMs;
    const together = slept ? this.wholeSince(other) : this.togetherSince(by, other);
    return now - Math.max(this.runsSince(other), together) >= this.#wellMs;
  }

  /** It hears nobody, and has not heard of any doubt in this one. */
  isAloneAndSure(by: string, other: string): boolean {
    const well = this.#alone.get(by);
    return well !== undefined && well.size > 1 && well.has(other);
  }

  runsSince(name: string): Millis {
    return this.#runsSince.get(name) ?? 0;
  }

  togetherSince(a: string, b: string): Millis {
    return this.#togetherSince.get(`${a} ${b}`) ?? 0;
  }

  /** Since when nobody who ran was apart from it. */
  wholeSince(name: string): Millis {
    return this.#wholeSince.get(name) ?? 0;
  }
}

export interface ViewOptions {
  /** Name of who sees. */
  readonly by: string;
  readonly wellbeing: Wellbeing;
  readonly quarantineMs: Millis;
  /** True when an operator has asked to remove it. */
  readonly isRemoved: (name: string) => boolean;
}

/** What one life of one process has been told by its machine. */
export class View {
  readonly #options: ViewOptions;
  readonly #incarnations = new Map<string, number>();
  readonly #removed = new Map<string, { readonly incarnation: number; readonly at: Millis }>();

  constructor(options: ViewOptions) {
    this.#options = options;
  }

  /** `mono`: by the clock of the process itself, which may have stood. */
  saw(event: GossipEvent, now: Millis, mono: Millis): string | undefined {
    const { by, isRemoved } = this.#options;
    switch (event.name) {
      case 'member-suspect':
      case 'member-down':
        return this.#judged(event, now) ?? this.#known(event.member, event.incarnation);
      case 'member-removed':
        this.#removed.set(event.member, { incarnation: event.incarnation, at: mono });
        if (!isRemoved(event.member)) return `${by} says ${event.member} is removed, and nobody asked for that`;
        return this.#known(event.member, event.incarnation);
      case 'member-joined':
      case 'member-restarted':
      case 'member-up':
        return this.#back(event.member, event.incarnation, mono) ?? this.#known(event.member, event.incarnation);
      case 'halted':
        if (event.why === 'superseded') return `${by} was superseded, and there is one process of that name`;
        return event.why === 'removed' && !isRemoved(by) ? `${by} ends: removed, and nobody asked for that` : undefined;
      case 'refused':
        return event.why === 'bad-message' ? `${by} refused a message of ${event.member} as senseless` : undefined;
      default:
        return undefined;
    }
  }

  #known(member: string, incarnation: number): string | undefined {
    const last = this.#incarnations.get(member) ?? 0;
    this.#incarnations.set(member, incarnation);
    return incarnation < last
      ? `${this.#options.by} goes back from life ${last} of ${member} to ${incarnation}`
      : undefined;
  }

  #judged({ name, member }: { name: string; member: string }, now: Millis): string | undefined {
    const { by, wellbeing, isRemoved } = this.#options;
    // Who was removed comes back to members that refuse to listen for a while.
    if (isRemoved(member) || isRemoved(by)) return undefined;
    if (wellbeing.isWell(by, member, now)) return `${by} says ${name} of ${member}, which ran and was within reach`;
    if (wellbeing.isWellForSleeper(by, member, now))
      return `${by} says ${name} of ${member}, which ran all the time while ${by} itself stood still`;
    if (name !== 'member-down' || !wellbeing.isAloneAndSure(by, member)) return undefined;
    return `${by} says ${name} of ${member}, alone and with nobody else who doubts it`;
  }

  #back(member: string, incarnation: number, mono: Millis): string | undefined {
    const removed = this.#removed.get(member);
    if (removed === undefined) return undefined;
    const { by, quarantineMs } = this.#options;
    if (incarnation <= removed.incarnation) return `${by} takes back ${member} in a life that was removed`;
    if (mono - removed.at >= quarantineMs) return undefined;
    return `${by} takes back ${member} ${Math.floor(mono - removed.at)} ms after it was removed`;
  }
}

/** Those that reach each other, through whomever. */
export function groupsOf(names: readonly string[], reaches: (a: string, b: string) => boolean): ReadonlySet<string>[] {
  const groups: Set<string>[] = [];
  for (const name of names) {
    const joined = groups.filter(group => [...group].some(other => reaches(name, other)));
    for (const group of joined) groups.splice(groups.indexOf(group), 1);
    groups.push(new Set([name, ...joined.flatMap(group => [...group])]));
  }
  return groups;
}
