// An actor that writes to its log in each of the ways a pino logger takes: for log.test.ts.

import { Actor } from '../../../src/runtime/actor.ts';
import { type ActorType, defineActor } from '../../../src/runtime/define-actor.ts';

export class Scribe extends Actor {
  text(): void {
    this.self.log.info('a text');
  }
  fields(): void {
    this.self.log.warn({ n: 1 }, 'with fields');
  }
  failure(): void {
    this.self.log.error(new TypeError('it broke'));
  }
  failureAndText(): void {
    this.self.log.error(new TypeError('it broke'), 'while testing');
  }
}
export const ScribeT: ActorType<Scribe> = defineActor(import.meta.url, Scribe, { type: 'scribe' });
/** On a thread of its own: what it writes crosses over. */
export const FarScribeT: ActorType<Scribe> = defineActor(import.meta.url, Scribe, {
  type: 'far-scribe',
  placement: 'pinned',
  thread: 1,
});
