// Drives the machine of gossip.ts: rounds by the clock of its World, bytes in and out, events to whoever asked for them.
//
//      receive(bytes) ──decode──┐                 ┌──encode──▶ send(to, bytes)
//      clock ───────────tick────┼──▶ Gossip.step ─┤
//      orders ──────────────────┘                 └──────────▶ onEvent(event)
//
// The intuition: it decides nothing. How bytes travel is the owner's business, who may lose them, double them or bring them
// late: a member that was not reached in this round is reached in one of the next.
//
// Invariant: effects are carried out one after the other in the order of the steps that caused them, also when `send` or
// `onEvent` calls back; and what either throws stops neither the others nor the next round.

import type { Cancel, Log, World } from '../world.ts';
import { Gossip } from './gossip.ts';
import { decodeMessage, encodeMessage } from './gossip-messages.ts';
import type { Effect, GossipEvent, GossipOptions, Input, MemberView, OwnChange, To } from './gossip-types.ts';
import type { AppState } from './member.ts';

export interface GossiperOptions {
  readonly world: Pick<World, 'clock' | 'random' | 'log'>;
  readonly cluster: string;
  readonly name: string;
  /** max(the one before + 1, unix seconds), durable before `start`. */
  readonly incarnation: number;
  /** Where others reach this node: for them to dial, and for `seeds`. */
  readonly address: string;
  readonly app?: AppState | undefined;
  readonly seeds?: readonly string[];
  /** Must not wait. The bytes are the receiver's. */
  send(to: To, bytes: Uint8Array): void;
  onEvent(event: GossipEvent): void;
  /** Default: the log of the world. */
  readonly log?: Log;
  readonly options?: Omit<
    Partial<GossipOptions>,
    'cluster' | 'name' | 'incarnation' | 'address' | 'app' | 'seeds' | 'random' | 'wallSeconds'
  >;
}

export class Gossiper {
  readonly #options: GossiperOptions;
  readonly #log: Log;
  readonly #core: Gossip;
  readonly #todo: Effect[] = [];
  #isBusy = false;
  #cancel: Cancel | undefined;
  #failed = 0;
  #foreign = 0;

  /** BAD_OPTION if other members would refuse what this one says of itself. */
  constructor(options: GossiperOptions) {
    const { world, cluster, name, incarnation, address, app, seeds = [] } = options;
    const own = { cluster, name, incarnation, address, app, seeds };
    const { clock, random } = world;
    const chance = { random: () => random.u32(), wallSeconds: clock.now() / 1_000 };
    this.#core = new Gossip({ ...options.options, ...own, ...chance }, clock.mono());
    this.#options = options;
    this.#log = options.log ?? world.log;
  }

  /** The first round at once. Twice is once; after the machine has halted it does nothing. */
  start(): void {
    if (this.#cancel === undefined) this.#round();
  }

  /** Gone for now and still a member: said to a few, and nothing is said after it. */
  stop(): void {
    this.#step({ type: 'stop' });
  }

  /** Wants to leave and goes on serving: `leaving`. `left` ends it, when its data is elsewhere. */
  leave(): void {
    this.#step({ type: 'leave' });
  }

  left(): void {
    this.#step({ type: 'left' });
  }

  /**
   * By `via` an answer finds back to a sender whose name has no link yet; it is handed to `send` as it is. `sender`: whom the link
   * has proven to speak; a message in somebody else's name is counted and not read.
   */
  receive(via: unknown, bytes: Uint8Array, sender?: string): void {
    const message = decodeMessage(bytes);
    if (sender !== undefined && (message as { from?: unknown } | undefined)?.from !== sender) this.#foreign++;
    else this.#step({ type: 'heard', message, via });
  }

  linked(name: string, isUp: boolean): void {
    this.#step({ type: isUp ? 'link-up' : 'link-down', name });
  }

  /** It was dialled in vain. `isNobody`: its machine refused. */
  unreached(name: string, isNobody: boolean): void {
    this.#step({ type: isNobody ? 'dial-refused' : 'dial-failed', name });
  }

  /** Told to everybody at once. BAD_OPTION, and nothing changed, if others would refuse it. */
  setApp(app: AppState): void {
    this.set({ app });
  }

  set(change: OwnChange): void {
    this.#step({ type: 'set', change });
  }

  /** Down by the word of an operator; a heartbeat takes it back. */
  markDown(name: string): void {
    this.#step({ type: 'mark-down', name });
  }

  /** No longer a member in this life; its name comes back under a larger incarnation only, after the quarantine. */
  remove(name: string): void {
    this.#step({ type: 'remove', name });
  }

  members(): MemberView[] {
    return this.#core.members(this.#options.world.clock.mono());
  }

  /** See Gossip.isLost. */
  isLost(name: string): boolean {
    return this.#core.isLost(name, this.#options.world.clock.mono());
  }

  appOf(name: string): AppState | undefined {
    return this.#core.appOf(name);
  }

  /** `refused`: messages by reason; `foreign`: those in the name of others; `failed`: calls of `send` and `onEvent` that threw. */
  describe(): ReturnType<Gossip['describe']> & { readonly failed: number; readonly foreign: number } {
    return { ...this.#core.describe(), failed: this.#failed, foreign: this.#foreign };
  }

  #round(): void {
    const { clock } = this.#options.world;
    this.#step({ type: 'tick' });
    const { nextAt } = this.#core;
    if (Number.isFinite(nextAt)) this.#cancel = clock.timer(nextAt - clock.mono(), () => this.#round());
  }

  #step(input: Input): void {
    this.#todo.push(...this.#core.step(input, this.#options.world.clock.mono()));
    if (this.#core.halted !== undefined) this.#cancel?.();
    if (this.#isBusy) return;
    this.#isBusy = true;
    for (let effect = this.#todo.shift(); effect !== undefined; effect = this.#todo.shift()) this.#carryOut(effect);
    this.#isBusy = false;
  }

  #carryOut(effect: Effect): void {
    try {
      if (effect.type === 'event') this.#options.onEvent(effect.event);
      else this.#options.send(effect.to, encodeMessage(effect.message));
    } catch (error) {
      this.#failed++;
      this.#log.warn({ err: error, effect: effect.type }, 'gossip: the owner of the gossiper threw');
    }
  }
}
