// Our actor of the store bench: a value with a name, stored (committed) before a put is answered.

import { Actor, defineActor } from '../../src/index.ts';

export class Cell extends Actor<{ value: Uint8Array | null }> {
  override initial() {
    return { value: null };
  }
  put(value: Uint8Array): void {
    this.state.value = value;
  }
  get(): Uint8Array | null {
    return this.state.value;
  }
}

export const CellT = defineActor(import.meta.url, Cell, {
  type: 'cell',
  version: 1,
  placement: 'ring',
  persist: 'snapshot',
  turns: { get: 'read' },
});
