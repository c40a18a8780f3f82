// Actors that talk across nodes.

import { Actor } from '../../../src/runtime/actor.ts';
import { type ActorType, defineActor } from '../../../src/runtime/define-actor.ts';
import { call, type Ref, tell } from '../../../src/runtime/refs.ts';

/** Keeps what it is told, in order. */
export class Log extends Actor<{ heard: unknown[] }> {
  override initial(): { heard: unknown[] } {
    return { heard: [] };
  }
  hear(what: unknown): number {
    return this.state.heard.push(what);
  }
  all(): unknown[] {
    return this.state.heard;
  }
  where(): string {
    return this.self.id;
  }
  boom(): never {
    throw Object.assign(new Error('no luck'), { code: 'E_LUCK' });
  }
  never(): Promise<never> {
    return new Promise(() => undefined);
  }
  block(): Promise<never> {
    return new Promise(() => undefined);
  }
  sum(...numbers: number[]): number {
    return numbers.reduce((a, b) => a + b, 0);
  }
  trace(): string | undefined {
    return this.self.traceparent;
  }
  async through(next: Ref<Log>, what: unknown): Promise<string> {
    await next.hear(what);
    return next.where();
  }
  async back(other: Ref<Log>, me: Ref<Log>): Promise<unknown> {
    return call(other, { deadlineMs: 1_000 }).through(me, 'around');
  }
  spawnOne(): unknown {
    return this.self.spawn(LogT);
  }
  async watchIt(other: Ref<Log>): Promise<void> {
    this.self.watch(other, ({ id, reason }) => {
      this.state.heard.push(`${id} ${reason}`);
    });
  }
  end(): void {
    this.self.stop();
  }
  push(other: Ref<Log>, count: number): void {
    for (let i = 0; i < count; i++) tell(other).hear(i);
  }
}
export const LogT: ActorType<Log> = defineActor(import.meta.url, Log, {
  type: 'log',
  persist: 'none',
  turns: { never: 'interleave', all: 'read', where: 'interleave' },
});
/** One on each node. */
export const AtT: ActorType<Log> = defineActor(import.meta.url, Log, {
  type: 'at',
  persist: 'none',
  placement: 'node',
  turns: { never: 'interleave', all: 'read' },
});
/** One on each node under the same address. */
export const LocalLogT: ActorType<Log> = defineActor(import.meta.url, Log, {
  type: 'local-log',
  persist: 'none',
  placement: 'local',
});
