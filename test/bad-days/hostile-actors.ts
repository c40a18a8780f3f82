// Whoever is sent hostile things, on a thread of his own. A file of its own: worker threads import it by URL.

import { Actor, type ActorType, type AnyRef, defineActor } from '../../src/index.ts';

export class Victim extends Actor<{ seen: unknown }> {
  override initial(): { seen: unknown } {
    return { seen: null };
  }
  echo(...values: unknown[]): unknown {
    return values[0];
  }
  /** What there would be if a message had got at the prototypes. */
  pollution(): unknown {
    const clean: Record<string, unknown> = {};
    return [clean.polluted ?? null, clean.isAdmin ?? null, Object.keys(Object.prototype)];
  }
  /** Spawns by something that is no registered type. */
  spawnOdd(what: unknown): string {
    const child = this.self.spawn(what as ActorType);
    return String(child);
  }
  spawnUnregistered(): string {
    return String(this.self.spawn(StrangerT));
  }
  refToUnregistered(): string {
    return String(this.self.ref(StrangerT, 'k'));
  }
  refToOdd(key: string): AnyRef {
    return this.self.ref(VictimT, key);
  }
  child(): AnyRef {
    const child = this.self.spawn(ChildT);
    return child;
  }
  end(): void {
    void Promise.reject(new Error('this thread ends'));
  }
}

export class Child extends Actor<null> {
  override initial(): null {
    return null;
  }
  name(): string {
    return this.self.id;
  }
}

export class Stranger extends Actor<null> {
  override initial(): null {
    return null;
  }
  get(): number {
    return 1;
  }
}

export const VictimT: ActorType<Victim> = defineActor(import.meta.url, Victim, {
  type: 'victim',
  placement: 'pinned',
  thread: 1,
  mailbox: { bytes: 64 << 20 },
});
export const ChildT: ActorType<Child> = defineActor(import.meta.url, Child, { type: 'child' });
/** Never passed to a node. */
export const StrangerT: ActorType<Stranger> = defineActor(import.meta.url, Stranger, { type: 'stranger' });
