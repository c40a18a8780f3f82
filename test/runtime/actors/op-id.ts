// A stored counter whose operations can be slow or fail: for op-id.test.ts.

import { Actor } from '../../../src/runtime/actor.ts';
import { type ActorType, defineActor } from '../../../src/runtime/define-actor.ts';

export class SavedCounter extends Actor<number> {
  #failed = false;
  #release: () => void = () => undefined;

  override initial(): number {
    return 0;
  }

  add(by: number): number {
    this.state += by;
    return this.state;
  }

  async addAndSave(by: number): Promise<number> {
    this.state += by;
    await this.save();
    return this.state;
  }

  get(): number {
    return this.state;
  }

  /** Runs until release() is called. */
  async slowly(): Promise<number> {
    await new Promise<void>(resolve => {
      this.#release = resolve;
    });
    return ++this.state;
  }

  /** Fails when release() is called. */
  async failLate(): Promise<never> {
    await new Promise<void>(resolve => {
      this.#release = resolve;
    });
    throw new Error('late');
  }

  release(): void {
    this.#release();
  }

  failOnce(): string {
    if (this.#failed) return 'done';
    this.#failed = true;
    throw new Error('not yet');
  }
}

export const SavedCounterT: ActorType<SavedCounter> = defineActor(import.meta.url, SavedCounter, {
  type: 'saved-counter',
  persist: 'snapshot',
  turns: { slowly: 'interleave', failLate: 'interleave', release: 'interleave' },
});

export const ExplicitCounterT: ActorType<SavedCounter> = defineActor(import.meta.url, SavedCounter, {
  type: 'explicit-counter',
  persist: 'snapshot',
  saves: 'explicit',
});
