// Actors that pass a message on along a path, each by the method the path names: for chains, cycles and re-entrancy.

import { Actor } from '../../../src/runtime/actor.ts';
import { type ActorType, defineActor } from '../../../src/runtime/define-actor.ts';
import { type AnyRef, type Ref, tell } from '../../../src/runtime/refs.ts';
import { GateT } from './gate.ts';

/** One hop: whom to ask, by which method, and what to do with the answer. */
export type Hop =
  | `${'go' | 'read' | 'mingle'} ${string}`
  | `tell ${string}`
  | `gate ${string}`
  | `both ${string} ${string}`;

export class Relay extends Actor<{ log: string[] }> {
  override initial(): { log: string[] } {
    return { log: [] };
  }
  /** Exclusive. */
  async go(path: readonly Hop[]): Promise<string[]> {
    return this.along(path);
  }
  async read(path: readonly Hop[]): Promise<string[]> {
    return this.along(path);
  }
  async mingle(path: readonly Hop[]): Promise<string[]> {
    return this.along(path);
  }
  /** Exclusive, and not declared async although it asks: the ask is made in the synchronous part. */
  plain(path: readonly Hop[]): unknown {
    const [method, key] = (path[0] as string).split(' ') as ['go', string];
    return this.relay(key)[method](path.slice(1));
  }
  /** As above, but the ask comes out of a continuation. */
  plainLater(path: readonly Hop[]): Promise<unknown> {
    return Promise.resolve().then(() => this.plain(path));
  }
  mark(name: string): string {
    this.state.log.push(name);
    return name;
  }
  /** Asks somebody and does not wait for it. */
  fire(key: string): string {
    this.relay(key)
      .mark(`from ${this.self.key}`)
      .catch(error => this.state.log.push(error.code));
    return 'fired';
  }
  /** A flow that outlives its turn: nobody awaits it. */
  detach(path: readonly Hop[]): string {
    void this.along(path).catch(error => this.state.log.push(error.code));
    return 'detached';
  }
  async sumTo(n: number): Promise<number> {
    if (n === 0) return 0;
    return n + (await this.relay(`${Number(this.self.key) + 1}`).sumTo(n - 1));
  }
  /** Three turns of itself at once, in its own chain. */
  async thrice(): Promise<string[]> {
    this.state.log.push('in');
    await Promise.all(['x', 'y', 'z'].map(name => this.relay(this.self.key).inner(name)));
    this.state.log.push('out');
    return this.state.log;
  }
  async inner(name: string): Promise<void> {
    this.state.log.push(`${name}(`);
    await this.self.ref(GateT, 'gate').pass(name);
    this.state.log.push(`)${name}`);
  }
  /** Re-enters itself and does not wait for it. */
  leave(): string {
    void this.relay(this.self.key).inner('left');
    return 'left';
  }
  protected relay(key: string): Ref<Relay> {
    return this.self.ref(RelayT, key);
  }
  private async along(path: readonly Hop[]): Promise<string[]> {
    const [hop, ...rest] = path;
    if (hop === undefined) return [this.self.key];
    const [method, key, second] = hop.split(' ') as [string, string, string];
    switch (method) {
      case 'gate':
        await this.self.ref(GateT, 'gate').pass(key);
        return [this.self.key, ...(await this.along(rest))];
      case 'tell':
        await tell(this.relay(key)).go(rest);
        return [this.self.key];
      case 'both': {
        const all = await Promise.all([this.relay(key).go(rest), this.relay(second).go(rest)]);
        return [this.self.key, ...all.flat()];
      }
      default:
        return [this.self.key, ...(await this.relay(key)[method as 'go'](rest))];
    }
  }
}
const turns = { read: 'read', mingle: 'interleave' } as const;
export const RelayT: ActorType<Relay> = defineActor(import.meta.url, Relay, { type: 'relay', turns });

/** The same, but its own call chain may come back to it. */
export class Open extends Relay {
  protected override relay(key: string): Ref<Relay> {
    return this.self.ref(OpenT, key);
  }
}
export const OpenT: ActorType<Open> = defineActor(import.meta.url, Open, {
  type: 'open',
  turns,
  reentrant: 'same-chain',
});

/** Nothing but exclusive methods, and open to its own chain: the short road through the scheduler. */
export class OpenSimple extends Relay {
  protected override relay(key: string): Ref<Relay> {
    return this.self.ref(OpenSimpleT, key);
  }
}
export const OpenSimpleT: ActorType<OpenSimple> = defineActor(import.meta.url, OpenSimple, {
  type: 'open-simple',
  reentrant: 'same-chain',
});

/** Asks while it starts and while it leaves. */
export class Starter extends Actor<{ got: string }> {
  override initial(): { got: string } {
    return { got: '' };
  }
  override async onActivate(): Promise<void> {
    const [how, key] = this.self.key.split(' ') as [string, string];
    if (how === 'asks') this.state.got = await this.self.ref(RelayT, key).mark('from onActivate');
    if (how === 'asks-back') await this.self.ref(RelayT, key).go([`go ${key}` as Hop]);
    if (how === 'circle') this.state.got = await this.self.ref(CallerT, key).callStarter(this.self.key);
  }
  hello(): string {
    return this.state.got;
  }
}
export const StarterT: ActorType<Starter> = defineActor(import.meta.url, Starter, { type: 'starter' });

export class Caller extends Actor {
  async callStarter(key: string): Promise<string> {
    return this.self.ref(StarterT, key).hello();
  }
  async tellStarter(key: string): Promise<string> {
    await tell(this.self.ref(StarterT, key)).hello();
    return 'told';
  }
  mark(name: string): string {
    return name;
  }
  me(): AnyRef {
    return this.self.ref();
  }
}
export const CallerT: ActorType<Caller> = defineActor(import.meta.url, Caller, { type: 'caller' });
