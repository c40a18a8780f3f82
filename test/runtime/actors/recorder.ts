// An actor that writes down when its turns begin and end. What a turn waits for is the gate, which the tests hold.

import { Actor } from '../../../src/runtime/actor.ts';
import { type ActorType, defineActor } from '../../../src/runtime/define-actor.ts';
import { tell } from '../../../src/runtime/refs.ts';
import { GateT } from './gate.ts';

export class Recorder extends Actor<{ log: string[] }> {
  /** Set by a test that wants to see the order over several actors. */
  static seen: ((key: string) => void) | undefined;
  override initial(): { log: string[] } {
    return { log: [] };
  }
  /** One turn in one synchronous piece. */
  mark(name: string): string {
    Recorder.seen?.(this.self.key);
    this.state.log.push(name);
    return name;
  }
  /** One turn with an await in it, for each of the three modes. */
  step(name: string): Promise<string> {
    return this.between(name);
  }
  look(name: string): Promise<string> {
    return this.between(name);
  }
  peek(name: string): Promise<string> {
    return this.between(name);
  }
  glance(name: string): string {
    this.state.log.push(name);
    return name;
  }
  /** A turn with many awaits. */
  async laps(name: string, count: number): Promise<number> {
    for (let lap = 1; lap <= count; lap++) {
      this.state.log.push(`${name}${lap}`);
      await undefined;
      await new Promise<void>(resolve => setImmediate(resolve));
    }
    return count;
  }
  /** Sends itself messages while its own turn runs. */
  sendSelf(...names: string[]): void {
    const self = tell(this.self.ref(RecorderT, this.self.key));
    for (const name of names) self.mark(name);
    this.state.log.push('sent');
  }
  log(): string[] {
    return this.state.log;
  }
  private async between(name: string): Promise<string> {
    this.state.log.push(`${name}(`);
    await this.self.ref(GateT, 'gate').pass(name);
    this.state.log.push(`)${name}`);
    return name;
  }
}
export const RecorderT: ActorType<Recorder> = defineActor(import.meta.url, Recorder, {
  type: 'recorder',
  turns: { look: 'read', peek: 'interleave', glance: 'interleave' },
});
/** The same class with nothing but exclusive turns: the short road through the scheduler. */
export const SimpleT: ActorType<Recorder> = defineActor(import.meta.url, Recorder, { type: 'simple-recorder' });
