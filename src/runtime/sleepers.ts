// What becomes of the state of an actor that is not stored when it goes to sleep: it waits here, encoded, so that idleness
// alone never loses it. It does not survive the thread.
//
// An actor whose state is just what initial() makes leaves nothing behind: a million visitors that changed nothing are free.

import { sleepersMax } from '../limits.ts';
import type { Activation } from './activation.ts';
import type { Actor } from './actor.ts';
import { equal } from './actor-records.ts';
import type { Host } from './host.ts';

export class Sleepers {
  private readonly host: Host;
  private readonly states = new Map<string, Uint8Array>();
  forgotten = 0;

  constructor(host: Host) {
    this.host = host;
  }

  get count(): number {
    return this.states.size;
  }

  wake(act: Activation, actor: Actor): true | undefined {
    if (this.states.size === 0) return undefined;
    const { id } = act;
    const bytes = this.states.get(id);
    if (bytes === undefined) return undefined;
    this.states.delete(id);
    actor.state = this.host.codec.decode(bytes);
    return true;
  }

  /** Throws when the state cannot be encoded: then its actor must stay awake. */
  lull(act: Activation, actor: Actor): void {
    if (actor.state === undefined) return;
    const { codec } = this.host;
    const bytes = codec.encode(actor.state);
    if (equal(bytes, codec.encode(actor.initial(undefined)))) return;
    if (this.states.size >= sleepersMax) this.forgetOldest();
    this.states.set(act.id, bytes);
  }

  /** As when its thread is lost. */
  forget(id: string): void {
    this.states.delete(id);
  }

  private forgetOldest(): void {
    const [oldest] = this.states.keys();
    this.states.delete(oldest as string);
    this.forgotten++;
  }
}
