// Gossipers over a bus of messages in virtual time: delay, one-way cuts, crashes, and processes that stand still.

import type { GossipEvent, To } from '../../../src/runtime/membership/gossip-types.ts';
import { Gossiper, type GossiperOptions } from '../../../src/runtime/membership/gossiper.ts';
import type { Cancel, Clock } from '../../../src/runtime/world.ts';
import { type VirtualWorld, virtualWorld } from '../../../src/testing/virtual-world.ts';

export class GossipBus {
  readonly world: VirtualWorld;
  /** By address: the latest process there. */
  readonly processes = new Map<string, Process>();
  readonly events: { readonly at: number; readonly node: string; readonly event: GossipEvent }[] = [];
  /** `n1>n2`: what n1 says does not reach n2. */
  readonly cuts = new Set<string>();

  constructor(seed = 1) {
    this.world = virtualWorld({ seed });
  }

  /** Starts a gossiper; its address is `${name}:1` unless it says otherwise. */
  start(name: string, more: Partial<GossiperOptions> = {}): Gossiper {
    const process = new Process(this, name, more);
    this.processes.set(process.address, process);
    process.gossiper.start();
    return process.gossiper;
  }

  process(name: string): Process {
    return this.processes.get(`${name}:1`) as Process;
  }

  node(name: string): Gossiper {
    return this.process(name).gossiper;
  }

  /** `n0: up, n1: down`, as `name` sees it. */
  view(name: string): string {
    return this.node(name)
      .members()
      .map(member => `${member.name}: ${member.status}`)
      .join(', ');
  }

  /** Until it holds, in steps of 100 ms; the time it took, or undefined. */
  async until(msMax: number, holds: () => boolean): Promise<number | undefined> {
    const began = this.world.clock.mono();
    while (!holds()) {
      if (this.world.clock.mono() - began >= msMax) return undefined;
      await this.world.clock.advance(100);
    }
    return this.world.clock.mono() - began;
  }

  told(node: string, name: GossipEvent['name']): GossipEvent[] {
    return this.events.filter(each => each.node === node && each.event.name === name).map(({ event }) => event);
  }

  carry(from: Process, to: To, bytes: Uint8Array): void {
    const address = (to.via as string | undefined) ?? to.address ?? `${to.name}:1`;
    this.world.clock.timer(1 + this.world.random.float() * 50, () => {
      const there = this.processes.get(address);
      if (there === undefined || from.isDead || this.cuts.has(`${from.name}>${there.name}`)) return;
      there.whenRunning(() => there.gossiper.receive(from.address, bytes));
    });
  }
}

export class Process {
  readonly name: string;
  readonly address: string;
  readonly gossiper: Gossiper;
  isDead = false;
  #stillUntil = 0;
  readonly #bus: GossipBus;

  constructor(bus: GossipBus, name: string, more: Partial<GossiperOptions>) {
    this.#bus = bus;
    this.name = name;
    this.address = more.address ?? `${name}:1`;
    this.gossiper = new Gossiper({
      world: { ...bus.world, clock: this.#clock() },
      cluster: 'c',
      name,
      incarnation: 1_000,
      address: this.address,
      seeds: ['n0:1'],
      send: (to, bytes) => bus.carry(this, to, bytes),
      onEvent: event => bus.events.push({ at: bus.world.clock.mono(), node: name, event }),
      ...more,
    });
  }

  /** SIGSTOP for so long: timers and messages wait, and time does not. */
  standStill(ms: number): void {
    this.#stillUntil = this.#bus.world.clock.mono() + ms;
  }

  /** Timers that are due come before messages, as in a process that wakes. */
  whenRunning(work: () => void, afterMs = 1): void {
    const { clock } = this.#bus.world;
    const waitMs = this.#stillUntil - clock.mono();
    if (this.isDead) return;
    if (waitMs > 0) clock.timer(waitMs + afterMs, work);
    else work();
  }

  #clock(): Clock {
    const { clock } = this.#bus.world;
    return {
      now: () => clock.now(),
      mono: () => clock.mono(),
      soon: fn => clock.soon(fn),
      micro: fn => clock.micro(fn),
      timer: (delayMs, fn): Cancel => clock.timer(delayMs, () => this.whenRunning(fn, 0)),
    };
  }
}
