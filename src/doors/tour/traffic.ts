// What three processes do while partitions or actors move: they talk to actors in numbered messages, and read and overwrite cities. In
// the end the actors' books are held against what was sent.
//
// Invariant: what was acknowledged before traffic began, or while it went on, is in `versions`: of each record what must be found.

import { Histogram } from '../../runtime/histogram.ts';
import { percentiles } from './in-flight.ts';
import type { Member } from './member.ts';
import type { MemberCommands } from './member-child.ts';
import { compare } from './move.ts';
import type { Allowed, Overwritten } from './overwriting.ts';
import type { Runs } from './runs.ts';
import type { Talked } from './talking.ts';

export interface TrafficReport {
  readonly messages: number;
  readonly lost: number;
  readonly doubled: number;
  readonly reordered: number;
  readonly reads: number;
  /** Acknowledged; refused, by code; unknown. */
  readonly writes: number;
  readonly refused: Readonly<Record<string, number>>;
  readonly unknown: number;
  readonly put: Pause;
  readonly problems: readonly string[];
}

export interface Pause {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

type Speaker = Member<MemberCommands>;

interface Speech {
  readonly speaker: Speaker;
  readonly talked: Promise<Talked>;
  readonly overwritten: Promise<Overwritten> | undefined;
}

export class Traffic {
  readonly #speakers: readonly Speaker[];
  readonly #keys: readonly string[];
  readonly #allowed = new Map<number, Allowed>();
  #messages = 0;

  constructor(speakers: readonly Speaker[], keys: readonly string[]) {
    this.#speakers = speakers;
    this.#keys = keys;
  }

  /** Of the records that were overwritten: what must be found. */
  get versions(): readonly Allowed[] {
    return [...this.#allowed.values()];
  }

  /** `numbers`: the records of each speaker, to be overwritten. `by`: who asks the actors for their books. */
  async during<T>(
    work: (failed: Promise<never>) => Promise<T>,
    by: Speaker,
    numbers?: ReadonlyMap<string, readonly number[]>,
  ): Promise<readonly [T, TrafficReport]> {
    const speeches = this.#speakers.map(speaker => ({
      speaker,
      talked: speaker.ask('talk', this.#keys),
      overwritten: numbers && speaker.ask('overwrite', numbers.get(speaker.name) ?? []),
    }));
    const failed = Promise.all(speeches.flatMap(({ talked, overwritten }) => [talked, overwritten])).then(never);
    failed.catch(() => undefined);
    const result = await Promise.race([work(failed), failed]);
    await Promise.all(this.#speakers.map(speaker => speaker.ask('hush')));
    return [result, await this.#judged(speeches, by)];
  }

  async #judged(speeches: readonly Speech[], by: Speaker): Promise<TrafficReport> {
    const problems: string[] = [];
    const sums = { reads: 0, writes: 0, unknown: 0, refused: {} as Record<string, number> };
    const putUs = new Histogram();
    const sent = new Map<string, Map<string, number>>(this.#keys.map(key => [key, new Map()]));
    for (const { speaker, talked, overwritten } of speeches) {
      const { sent: counts, problems: heard } = await talked;
      problems.push(...heard);
      for (const [key, count] of Object.entries(counts)) sent.get(key)?.set(speaker.name, count);
      const done = await overwritten;
      if (done === undefined) continue;
      problems.push(...done.problems);
      if (done.writes === 0) problems.push(`${speaker.name} overwrote nothing meanwhile`);
      else putUs.merge(Histogram.unpack(done.putUs));
      for (const allowed of done.versions) this.#allowed.set(allowed[0], allowed);
      sums.reads += done.reads;
      sums.writes += done.writes;
      sums.unknown += done.unknown;
      for (const [code, count] of Object.entries(done.refused)) sums.refused[code] = (sums.refused[code] ?? 0) + count;
    }
    const before = this.#messages;
    this.#messages = [...sent.values()].flatMap(counts => [...counts.values()]).reduce((a, b) => a + b, 0);
    const wrong = { lost: 0, doubled: 0, reordered: 0 };
    for (const [key, counts] of sent) {
      const books = new Map((await by.ask('report', key)) as [string, Runs][]);
      const wrongs: string[] = [];
      const { lost, doubled, reordered } = compare(books, counts, wrongs);
      problems.push(...wrongs.map(text => `${key}: ${text}`));
      // Whoever asks, it is the same actor.
      for (const speaker of this.#speakers)
        if (JSON.stringify(sorted(await speaker.ask('report', key))) !== JSON.stringify(sorted([...books])))
          problems.push(`${key} has another book for ${speaker.name} than for ${by.name}: there are two of it`);
      wrong.lost += lost;
      wrong.doubled += doubled;
      wrong.reordered += reordered;
    }
    return { messages: this.#messages - before, ...wrong, ...sums, put: pauseOf(putUs), problems };
  }
}

function sorted(books: readonly [string, Runs][]): readonly [string, Runs][] {
  return [...books].sort(([one], [other]) => (one < other ? -1 : 1));
}

export function pauseOf(inUs: Histogram): Pause {
  return { ...percentiles(inUs), maxMs: inUs.max / 1_000 };
}

function never(): never {
  throw new Error('the senders have stopped talking while something was moving');
}
