// A gate that a test opens by hand. An actor asks it to pass; in the kit the test puts a probe in its place and answers when
// the turn that waits may go on. On a host without a kit the test makes it wait with Gate.shut(). Alone it lets everybody through.

import { Actor } from '../../../src/runtime/actor.ts';
import { type ActorType, defineActor } from '../../../src/runtime/define-actor.ts';

export class Gate extends Actor {
  private static waiting: Map<string, (name: string) => void> | undefined;
  static shut(): void {
    Gate.waiting = new Map();
  }
  static open(name: string): void {
    const enter = Gate.waiting?.get(name);
    Gate.waiting?.delete(name);
    enter?.(name);
  }
  static names(): string[] {
    return [...(Gate.waiting?.keys() ?? [])];
  }
  static away(): void {
    Gate.waiting = undefined;
  }
  pass(name: string): string | Promise<string> {
    const { waiting } = Gate;
    return waiting === undefined ? name : new Promise(resolve => waiting.set(name, resolve));
  }
}
export const GateT: ActorType<Gate> = defineActor(import.meta.url, Gate, {
  type: 'gate',
  turns: { pass: 'interleave' },
});
