// An actor that sets messages aside until it is ready for them, and one with timers of every kind.

import { Actor } from '../../../src/runtime/actor.ts';
import { type ActorType, defineActor } from '../../../src/runtime/define-actor.ts';
import { GateT } from './gate.ts';

export class Sorter extends Actor<{ open: boolean; log: string[] }> {
  override initial(): { open: boolean; log: string[] } {
    return { open: false, log: [] };
  }
  put(name: string): string {
    if (!this.state.open) {
      this.self.stash();
      return 'never seen';
    }
    this.state.log.push(name);
    return name;
  }
  /** Decides after an await. */
  async putLater(name: string): Promise<string> {
    await this.self.ref(GateT, 'gate').pass(name);
    if (!this.state.open) this.self.stash();
    else this.state.log.push(name);
    return name;
  }
  /** Stashes first, then waits, while others run beside it. */
  async putBeside(name: string): Promise<string> {
    if (!this.state.open) this.self.stash();
    else this.state.log.push(name);
    await this.self.ref(GateT, 'gate').pass(name);
    return name;
  }
  beside(name: string): string {
    this.state.log.push(name);
    return name;
  }
  open(): void {
    this.state.open = true;
    this.self.unstashAll();
  }
  shut(): void {
    this.state.open = false;
  }
  async openLater(): Promise<void> {
    this.state.open = true;
    await this.self.ref(GateT, 'gate').pass('open');
    this.self.unstashAll();
  }
  failing(name: string): void {
    this.self.stash();
    throw new Error(name);
  }
  stashInTimer(): void {
    this.self.after(1, () => this.self.stash());
  }
  stop(): void {
    this.self.stop();
  }
  log(): string[] {
    return this.state.log;
  }
}
export const SorterT: ActorType<Sorter> = defineActor(import.meta.url, Sorter, {
  type: 'sorter',
  turns: { putBeside: 'interleave', beside: 'interleave' },
  mailbox: { capacity: 2_048 },
});

export class Clocked extends Actor<{ log: string[]; ids: number[] }> {
  override initial(): { log: string[]; ids: number[] } {
    return { log: [], ids: [] };
  }
  private say(text: string): void {
    this.state.log.push(`${this.now()} ${text}`);
  }
  private now(): number {
    return Clocked.clock();
  }
  /** Set by the tests: what time it is. */
  static clock: () => number = () => 0;

  after(ms: number, text = 'after'): number {
    return this.self.after(ms, () => this.say(text));
  }
  every(ms: number, text = 'every'): number {
    return this.self.every(ms, () => this.say(text));
  }
  afterNamed(ms: number, name = 'tick'): number {
    return this.self.after(ms, name);
  }
  everyNamed(ms: number): number {
    const id = this.self.every(ms, 'tick');
    this.state.ids.push(id);
    return id;
  }
  /** A method handed over as a function is the same as its name. */
  afterMethod(ms: number): number {
    return this.self.after(ms, this.tick);
  }
  tick(): void {
    this.say('tick');
  }
  cancel(id: number): void {
    this.self.cancel(id);
  }
  /** Busy until the gate opens: timers that are due wait for it. */
  async hold(): Promise<void> {
    this.say('hold(');
    await this.self.ref(GateT, 'gate').pass('hold');
    this.say(')hold');
  }
  async holdAndCancel(id: number): Promise<void> {
    await this.self.ref(GateT, 'gate').pass('hold');
    this.self.cancel(id);
  }
  everyThenCancelItself(ms: number, times: number): void {
    let count = 0;
    const id = this.self.every(ms, () => {
      this.say(`${++count}`);
      if (count === times) this.self.cancel(id);
    });
  }
  slowEvery(ms: number): void {
    this.self.every(ms, async () => {
      this.say('slow(');
      await this.self.ref(GateT, 'gate').pass('slow');
      this.say(')slow');
    });
  }
  failingEvery(ms: number): void {
    this.self.every(ms, () => {
      this.say('fails');
      throw new Error('a timer that fails');
    });
  }
  /** Waits for its own timer by a method that may run beside it. */
  async sleep(ms: number): Promise<string> {
    await new Promise<void>(resolve => {
      this.awake = resolve;
      this.self.after(ms, 'wake');
    });
    return 'slept';
  }
  private awake: () => void = () => undefined;
  wake(): void {
    this.awake();
  }
  many(count: number): void {
    for (let n = 0; n < count; n++) this.self.after(1_000_000, 'tick');
  }
  stop(): void {
    this.self.stop();
  }
  log(): string[] {
    return this.state.log;
  }
}
export const ClockedT: ActorType<Clocked> = defineActor(import.meta.url, Clocked, {
  type: 'clocked',
  turns: { wake: 'interleave' },
});
