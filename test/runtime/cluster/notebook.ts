// An actor whose state outlives its node.

import { Actor } from '../../../src/runtime/actor.ts';
import { type ActorType, defineActor } from '../../../src/runtime/define-actor.ts';

export class Notebook extends Actor<string[]> {
  override initial(): string[] {
    return [];
  }
  write(line: string): number {
    return this.state.push(line);
  }
  read(): string[] {
    return this.state;
  }
}
export const NotebookT: ActorType<Notebook> = defineActor(import.meta.url, Notebook, {
  type: 'notebook',
  persist: 'snapshot',
});
