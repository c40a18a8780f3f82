// What becomes of the state of an actor that is not stored when it goes to sleep: it waits here, encoded, so that idleness
// alone never loses it, and with it the answers of operations done once (opId). It does not survive the thread.
//
// An actor whose state is just what initial() makes leaves nothing behind: a million visitors that changed nothing are free.

import { sleepersMax } from '../limits.ts';
import type { Activation } from './activation.ts';
import type { Actor } from './actor.ts';
import { equal } from './actor-records.ts';
import { Answered } from './answered.ts';
import type { Host } from './host.ts';

/** Null: as initial() makes it, or no answers. */
export interface Sleeper {
  readonly state: Uint8Array | null;
  readonly answered: Uint8Array | null;
}

export class Sleepers {
  private readonly host: Host;
  private readonly sleeping = new Map<string, Sleeper>();
  forgotten = 0;

  constructor(host: Host) {
    this.host = host;
  }

  get count(): number {
    return this.sleeping.size;
  }

  /** Undefined: there is no state, initial() makes it. */
  wake(act: Activation, actor: Actor): true | undefined {
    if (this.sleeping.size === 0) return undefined;
    const { id } = act;
    const sleeper = this.sleeping.get(id);
    if (sleeper === undefined) return undefined;
    this.sleeping.delete(id);
    const { codec } = this.host;
    if (sleeper.answered !== null)
      act.more().answered = Answered.unpack(codec.decode(sleeper.answered) as [string, unknown][]);
    if (sleeper.state === null) return undefined;
    actor.state = codec.decode(sleeper.state);
    return true;
  }

  /** Throws when the state cannot be encoded: then its actor must stay awake. */
  lull(act: Activation, actor: Actor): void {
    const state = this.changedState(actor);
    const answered = this.answersOf(act);
    if (state === null && answered === null) return;
    if (this.sleeping.size >= sleepersMax) this.forgetOldest();
    this.sleeping.set(act.id, { state, answered });
  }

  private changedState(actor: Actor): Uint8Array | null {
    if (actor.state === undefined) return null;
    const { codec } = this.host;
    const bytes = codec.encode(actor.state);
    return equal(bytes, codec.encode(actor.initial(undefined))) ? null : bytes;
  }

  /** Between actors of one thread an answer may be what cannot be encoded: that one is forgotten. */
  private answersOf(act: Activation): Uint8Array | null {
    const packed = act.extras?.answered?.pack() ?? [];
    if (packed.length === 0) return null;
    const { codec } = this.host;
    try {
      return codec.encode(packed);
    } catch {
      return codec.encode(packed.filter(each => this.encodes(each)));
    }
  }

  private encodes(value: unknown): boolean {
    try {
      this.host.codec.encode(value);
      return true;
    } catch {
      return false;
    }
  }

  /** Of a partition that changes hands: those for which it is true, as they lie here. */
  those(which: (id: string) => boolean): [id: string, sleeper: Sleeper][] {
    return [...this.sleeping].filter(([id]) => which(id));
  }

  /** One that fell asleep on another node. */
  take(id: string, sleeper: Sleeper): void {
    if (this.sleeping.size >= sleepersMax) this.forgetOldest();
    this.sleeping.set(id, sleeper);
  }

  /** As when its thread is lost. */
  forget(id: string): void {
    this.sleeping.delete(id);
  }

  private forgetOldest(): void {
    const [oldest] = this.sleeping.keys();
    this.sleeping.delete(oldest as string);
    this.forgotten++;
  }
}
