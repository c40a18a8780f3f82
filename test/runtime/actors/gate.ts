// A gate that a test opens by hand. An actor asks it to pass; the test puts a probe in its place and answers when the
// turn that waits may go on. Alone (without a probe) it lets everybody through.

import { Actor } from '../../../src/runtime/actor.ts';
import { type ActorType, defineActor } from '../../../src/runtime/define-actor.ts';

export class Gate extends Actor {
  pass(name: string): string {
    return name;
  }
}
export const GateT: ActorType<Gate> = defineActor(import.meta.url, Gate, {
  type: 'gate',
  turns: { pass: 'interleave' },
});
