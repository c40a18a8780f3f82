// Actors that are in the middle of something when their node stops. A file of its own: worker threads import it by URL.

import { Actor, type ActorType, defineActor } from '../../src/index.ts';
import { burn } from './trouble-actors.ts';

export class Worker extends Actor<{ done: string[] }> {
  override initial(): { done: string[] } {
    return { done: [] };
  }
  never(): Promise<void> {
    return new Promise(() => undefined);
  }
  block(ms: number): void {
    burn(ms);
  }
  /** Ends its turn only after others have had theirs, on whatever thread they live. */
  async finish(others: number): Promise<number> {
    let sum = 0;
    for (let n = 0; n < others; n++) {
      sum += await this.self.ref(HelperT, `h${n}`).help(n);
      await new Promise(resolve => setTimeout(resolve, 5));
    }
    this.state.done.push('finished');
    return sum;
  }
  note(what: string): number {
    return this.state.done.push(what);
  }
  done(): string[] {
    return this.state.done;
  }
  override onDeactivate(why: string): void {
    this.state.done.push(why);
  }
}

export class Helper extends Actor<null> {
  override initial(): null {
    return null;
  }
  help(n: number): number {
    return n;
  }
}

export const WorkerT: ActorType<Worker> = defineActor(import.meta.url, Worker, {
  type: 'worker',
  persist: 'snapshot',
  turns: { done: 'read' },
});
export const HelperT: ActorType<Helper> = defineActor(import.meta.url, Helper, { type: 'helper' });
