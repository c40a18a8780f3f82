// Actors whose slots change threads, and those that talk to them meanwhile. A file of its own: threads import it by URL.

import {
  Actor,
  type ActorType,
  type AnyRef,
  call,
  type Departure,
  defineActor,
  type Ref,
  tell,
} from '../../../src/index.ts';

export interface NoteState {
  /** By sender: what came of it, in order. */
  heard: Record<string, number[]>;
  ticks: number;
  fired: string[];
  next: string;
}

export class Note extends Actor<NoteState> {
  override initial(): NoteState {
    return { heard: {}, ticks: 0, fired: [], next: '' };
  }
  take(sender: string, n: number): number {
    this.state.heard[sender] ??= [];
    this.state.heard[sender].push(n);
    return n;
  }
  async takeSlowly(sender: string, n: number): Promise<number> {
    await new Promise(resolve => setImmediate(resolve));
    return this.take(sender, n);
  }
  override onTopic(topic: string, value: unknown): void {
    this.take(topic, value as number);
  }
  listen(topic: string): void {
    this.self.subscribe(topic);
  }
  tickEvery(ms: number): void {
    this.self.every(ms, 'tick');
  }
  later(ms: number, text: string): void {
    this.state.next = text;
    this.self.after(ms, 'fire');
  }
  tick(): void {
    this.state.ticks++;
  }
  fire(): void {
    this.state.fired.push(this.state.next);
  }
  async remindIn(ms: number, text: string): Promise<void> {
    await this.self.remind(text, ms);
  }
  override onReminder(text: string): void {
    this.state.fired.push(text);
  }
  report(): NoteState {
    return this.state;
  }
  epoch(): number {
    return this.self.epoch;
  }
  /** Asks one beside it, while it is in a turn. */
  async through(to: Ref<Note>, sender: string, n: number): Promise<number> {
    return to.take(sender, n);
  }
  end(): void {
    this.self.stop();
  }
  // What keeps it from moving.
  adopt(): void {
    this.self.spawn(KidT);
  }
  spoil(): void {
    (this.state as unknown as { fn?: () => void }).fn = () => undefined;
  }
  mend(): void {
    delete (this.state as unknown as { fn?: () => void }).fn;
  }
  never(): Promise<void> {
    return new Promise(() => undefined);
  }
}

export interface JournalState {
  heard: Record<string, number[]>;
}

export class Diary extends Actor<JournalState> {
  override initial(): JournalState {
    return { heard: {} };
  }
  override onEvent(event: unknown): void {
    const [sender, n] = event as [string, number];
    this.state.heard[sender] ??= [];
    this.state.heard[sender].push(n);
  }
  take(sender: string, n: number): number {
    this.append([sender, n]);
    return n;
  }
  takeSlowly(sender: string, n: number): number {
    return this.take(sender, n);
  }
  report(): JournalState {
    return this.state;
  }
}

export class Kid extends Actor<null> {
  override initial(): null {
    return null;
  }
}

/** What a sender can send to. */
export type Taker = Ref<Note> | Ref<Diary>;

/** Messages to each in one turn of the event loop, and how many may be under way. */
const burst = 4;
const openMax = 200;

/** Pinned to each thread: sends numbers until it is told to stop, and publishes. */
export class Speaker extends Actor<{ departures: Departure[] }> {
  private speaking = false;

  override initial(): { departures: Departure[] } {
    return { departures: [] };
  }
  /** Tells, and asks of which some are under way together; how many went to each. */
  async speak(to: readonly Taker[], sender: string, topic: string): Promise<{ sent: number; wrong: string[] }> {
    this.speaking = true;
    const wrong: string[] = [];
    const open = new Set<Promise<void>>();
    const send = async (each: Taker, i: number, n: number): Promise<void> => {
      try {
        if ((n + i) % 3 === 0) {
          const answer = await ((n + i) % 2 === 0 ? each.take(sender, n) : each.takeSlowly(sender, n));
          if (answer !== n) wrong.push(`${n} was answered ${answer}`);
        } else await tell(each as Ref<Note>).take(sender, n);
      } catch (error) {
        wrong.push(`${n} to ${each.toString()}: ${(error as Error).message}`);
      }
    };
    let sent = 0;
    while (this.speaking) {
      for (let i = 0; i < burst; i++, sent++) {
        if (topic !== '') this.self.publish(topic, sent);
        for (const [at, each] of to.entries()) {
          const sending: Promise<void> = send(each, at, sent).finally(() => open.delete(sending));
          open.add(sending);
        }
      }
      if (open.size > openMax) await Promise.all(open);
      await new Promise(resolve => setImmediate(resolve));
    }
    await Promise.all(open);
    return { sent, wrong };
  }
  hush(): void {
    this.speaking = false;
  }
  watch(ref: AnyRef): void {
    this.self.watch(ref, departure => {
      this.state.departures.push(departure);
    });
  }
  departures(): Departure[] {
    return this.state.departures;
  }
  async ask(to: Ref<Note>, sender: string, n: number): Promise<number> {
    return call(to, { deadlineMs: 30_000 }).take(sender, n);
  }
}

/** Ends its thread as somebody outside would. */
export class Bomb extends Actor<null> {
  override initial(): null {
    return null;
  }
  explode(): void {
    process.exit(9);
  }
}

const here = import.meta.url;
const patient = { mailbox: { capacity: 256, overflow: 'wait' } } as const;
const note = (type: string, options: object = {}): ActorType<Note> =>
  defineActor(here, Note, { type, ...patient, ...options });
export const NoteT: ActorType<Note> = note('note');
export const LocalNoteT: ActorType<Note> = note('local-note', { placement: 'local' });
export const SleepyNoteT: ActorType<Note> = note('sleepy-note', { idleMs: 1 });
export const KeptNoteT: ActorType<Note> = note('kept-note', { persist: 'snapshot' });
export const KeptSleepyNoteT: ActorType<Note> = note('kept-sleepy-note', { persist: 'snapshot', idleMs: 1 });
export const DiaryT: ActorType<Diary> = defineActor(here, Diary, { type: 'diary', persist: 'journal', ...patient });
export const KidT: ActorType<Kid> = defineActor(here, Kid, { type: 'note-kid' });

const pinned = <A extends Actor<any>>(cls: new () => A, type: string, turns: object = {}): ActorType<A>[] =>
  [0, 1, 2, 3].map(thread =>
    defineActor<A>(here, cls, { type: `${type}-${thread}`, placement: 'pinned', thread, ...turns }),
  );
export const SpeakerTs: readonly ActorType<Speaker>[] = pinned(Speaker, 'speaker', {
  turns: { speak: 'interleave', hush: 'interleave', watch: 'interleave', departures: 'interleave', ask: 'interleave' },
});
export const BombTs: readonly ActorType<Bomb>[] = pinned(Bomb, 'bomb');
export const shiftedTypes: readonly ActorType[] = [
  NoteT,
  LocalNoteT,
  SleepyNoteT,
  KeptNoteT,
  KeptSleepyNoteT,
  DiaryT,
  KidT,
  ...SpeakerTs,
  ...BombTs,
] as ActorType[];
