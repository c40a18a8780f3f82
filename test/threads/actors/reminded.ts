// Actors with reminders. A file of its own: threads import it by URL.

import { Actor, type ActorType, defineActor } from '../../../src/index.ts';

export class Reminded extends Actor<{ heard: string[] }> {
  override initial(): { heard: string[] } {
    return { heard: [] };
  }
  override onReminder(name: string): void {
    this.state.heard.push(name);
  }
  async remindIn(name: string, ms: number): Promise<void> {
    await this.self.remind(name, ms);
  }
  async remindEvery(name: string, everyMs: number): Promise<void> {
    await this.self.remind(name, { everyMs });
  }
  async cancel(name: string): Promise<void> {
    await this.self.cancel(name);
  }
  heard(): string[] {
    return this.state.heard;
  }
  /** Ends its thread. */
  die(): void {
    setImmediate(() => process.exit(5));
  }
}

export const RemindedT: ActorType<Reminded> = defineActor(import.meta.url, Reminded, {
  type: 'reminded',
  persist: 'snapshot',
});
export const PinnedRemindedT: ActorType<Reminded> = defineActor(import.meta.url, Reminded, {
  type: 'pinned-reminded',
  persist: 'snapshot',
  placement: 'pinned',
  thread: 2,
});
export const remindedTypes: readonly ActorType[] = [RemindedT, PinnedRemindedT] as ActorType[];
