// Actors that go to sleep, each in its own way.

import { Actor, type DeactivateReason } from '../../../src/runtime/actor.ts';
import { type ActorOptions, type ActorType, defineActor } from '../../../src/runtime/define-actor.ts';
import { call, type Ref } from '../../../src/runtime/refs.ts';
import { GateT } from './gate.ts';

/** What became of whom, by key: outside, because they forget. */
export const naps = new Map<string, string[]>();

export class Napper extends Actor<{ n: number; log: string[] }> {
  private scribbled = 0;
  override initial(): { n: number; log: string[] } {
    return { n: 0, log: [] };
  }
  private write(what: string): void {
    const story = naps.get(this.self.key) ?? [];
    story.push(what);
    naps.set(this.self.key, story);
  }
  override onActivate(): void {
    this.write('up');
  }
  override async onDeactivate(why: DeactivateReason): Promise<void> {
    this.write(`down ${why}`);
    if (this.self.key === 'slow to bed' && why === 'idle') await this.pass('bed');
  }
  private pass(name: string): Promise<string> {
    return call(this.self.ref(GateT, 'gate'), { deadlineMs: Number.POSITIVE_INFINITY }).pass(name);
  }
  add(by: number): number {
    this.state.n += by;
    return this.state.n;
  }
  note(text: string): void {
    this.state.log.push(text);
  }
  log(): string[] {
    return this.state.log;
  }
  scribble(): void {
    this.scribbled++;
  }
  scribbles(): number {
    return this.scribbled;
  }
  async hold(): Promise<void> {
    await this.pass('hold');
  }
  /** Asks and does not wait; the answer never comes. */
  ask(): void {
    this.pass('never').catch(() => undefined);
  }
  timer(): void {
    this.self.every(1_000_000, 'log');
  }
  child(): void {
    this.self.spawn(NapperT);
  }
  stash(): void {
    this.self.stash();
  }
  watch(): void {
    this.self.watch(this.self.ref(NapperT, 'another'), () => undefined);
  }
}
export type Nap = Ref<Napper>;
const define = (type: string, options: Partial<ActorOptions<Napper>>): ActorType<Napper> =>
  defineActor(import.meta.url, Napper, { type, ...options });
export const NapperT: ActorType<Napper> = define('napper', {});
export const StoredNapperT: ActorType<Napper> = define('stored-napper', { persist: 'snapshot' });
export const RestlessT: ActorType<Napper> = define('restless', { idleMs: Number.POSITIVE_INFINITY });

/** The same by a journal. */
export class WrittenNapper extends Napper {
  override onEvent(event: { by?: number; note?: string }): void {
    this.state.n += event.by ?? 0;
    if (event.note !== undefined) this.state.log.push(event.note);
  }
  override add(by: number): number {
    this.append({ by });
    return this.state.n;
  }
  override note(note: string): void {
    this.append({ note });
  }
}
export const WrittenNapperT: ActorType<Napper> = defineActor(import.meta.url, WrittenNapper, {
  type: 'written-napper',
  persist: 'journal',
}) as ActorType<Napper>;
