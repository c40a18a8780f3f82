// Actors whose threads die. A file of its own: threads import it by URL.

import { threadId } from 'node:worker_threads';
import { Actor, type ActorType, type AnyRef, type Departure, defineActor, type Ref, tell } from '../../../src/index.ts';

export type Kill = 'throw later' | 'reject' | 'exit' | 'out of memory';

/** On this thread: the next actor that is made, or says goodbye for a move, ends the thread. */
let armed: 'none' | 'made' | 'goodbye' = 'none';

export interface LifeState {
  n: number;
  epochs: number[];
}

export class Life extends Actor<LifeState> {
  constructor() {
    super();
    if (armed === 'made') process.exit(3);
  }
  override initial(): LifeState {
    return { n: 0, epochs: [] };
  }
  override onDeactivate(): void {
    if (armed === 'goodbye') process.exit(4);
  }
  add(): number {
    return ++this.state.n;
  }
  get(): number {
    return this.state.n;
  }
  epoch(): number {
    return this.self.epoch;
  }
  thread(): number {
    return threadId;
  }
  /** A turn that never ends. */
  never(): Promise<number> {
    return new Promise(() => undefined);
  }
}

/** The one who does it: pinned to each host thread. */
export class Killer extends Actor<null> {
  override initial(): null {
    return null;
  }
  kill(how: Kill): void {
    if (how === 'throw later') setTimeout(() => Promise.resolve().then(throws), 1);
    else if (how === 'reject') void Promise.reject(new Error('rejected on purpose'));
    else if (how === 'exit') process.exit(7);
    else setImmediate(hoard);
  }
  arm(what: 'made' | 'goodbye'): void {
    armed = what;
  }
  thread(): number {
    return threadId;
  }
}

function throws(): never {
  throw new Error('thrown on purpose');
}

function hoard(): void {
  const all: unknown[] = [];
  for (;;) all.push(Array.from({ length: 10_000 }, (_, i) => ({ i })));
}

export class Witness extends Actor<{ departures: Departure[] }> {
  override initial(): { departures: Departure[] } {
    return { departures: [] };
  }
  watch(ref: AnyRef): void {
    this.self.watch(ref, departure => {
      this.state.departures.push(departure);
    });
  }
  departures(): Departure[] {
    return this.state.departures;
  }
  /** Asks until it is told to end, and keeps books of how that went. */
  async keepAsking(to: readonly Ref<Life>[], rounds: number): Promise<Record<string, number>> {
    const outcomes: Record<string, number> = {};
    for (let round = 0; round < rounds; round++) {
      await Promise.all(
        to.map(async each => {
          let outcome = 'ok';
          try {
            await each.add();
          } catch (error) {
            outcome = (error as { code: string }).code;
          }
          outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
          try {
            await tell(each).add();
          } catch {
            // Refused: its thread is being replaced.
          }
        }),
      );
      await new Promise(resolve => setTimeout(resolve, 1));
    }
    return outcomes;
  }
}

export const LifeT: ActorType<Life> = defineActor(import.meta.url, Life, { type: 'life' });
export const KeptLifeT: ActorType<Life> = defineActor(import.meta.url, Life, {
  type: 'kept-life',
  persist: 'snapshot',
});
const pinned = <A extends Actor<any>>(cls: new () => A, type: string, thread: number): ActorType<A> =>
  defineActor<A>(import.meta.url, cls, { type: `${type}-${thread}`, placement: 'pinned', thread });
export const Killer1T: ActorType<Killer> = pinned(Killer, 'killer', 1);
export const Killer2T: ActorType<Killer> = pinned(Killer, 'killer', 2);
export const Witness0T: ActorType<Witness> = pinned(Witness, 'witness', 0);
export const Witness1T: ActorType<Witness> = pinned(Witness, 'witness', 1);
export const Witness2T: ActorType<Witness> = pinned(Witness, 'witness', 2);
/** Holds back tells when its mailbox is full. */
export const PatientT: ActorType<Life> = defineActor(import.meta.url, Life, {
  type: 'patient',
  mailbox: { capacity: 4, overflow: 'wait' },
});
export const deathTypes: readonly ActorType[] = [
  LifeT,
  KeptLifeT,
  PatientT,
  Killer1T,
  Killer2T,
  Witness0T,
  Witness1T,
  Witness2T,
] as ActorType[];
