// A network of gossip cores in virtual time: loss, delay, one-way cuts, pauses, crashes; every message crosses as JSON.

import { Gossip } from '../../../src/runtime/membership/gossip.ts';
import type { Effect, GossipEvent, GossipOptions, Input } from '../../../src/runtime/membership/gossip-types.ts';
import { seededRandom } from '../../../src/testing/virtual-world.ts';

interface SimNode {
  core: Gossip;
  pausedUntil: number;
  crashed: boolean;
  readonly held: unknown[];
  readonly jitter: (() => number) | undefined;
  tickAt: number;
}

export interface Heard {
  readonly at: number;
  readonly node: string;
  readonly event: GossipEvent;
}

export class GossipSim {
  now = 0;
  readonly nodes = new Map<string, SimNode>();
  readonly events: Heard[] = [];
  readonly sent: { bytes: number; messages: number } = { bytes: 0, messages: 0 };
  loss = 0;
  /** `a>b`: what a says does not reach b. */
  readonly cuts = new Set<string>();
  readonly #random: ReturnType<typeof seededRandom>;
  #flying: { at: number; to: string; from: string; text: string }[] = [];

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  start(name: string, options: Partial<GossipOptions> = {}, jitter?: () => number): Gossip {
    const { u32: random } = this.#random;
    const all = { cluster: 'c', name, incarnation: 1_000, address: `${name}:1`, seeds: ['n0:1'], random, ...options };
    const core = new Gossip(all, this.now);
    const tickAt = this.now + this.#random.float() * 1_000;
    this.nodes.set(all.address, { core, pausedUntil: 0, crashed: false, held: [], jitter, tickAt });
    return core;
  }

  startMany(count: number, jitter?: () => number): void {
    for (let at = 0; at < count; at++) this.start(`n${at}`, {}, jitter);
  }

  node(name: string): SimNode {
    return this.nodes.get(`${name}:1`) as SimNode;
  }

  tell(name: string, input: Input): void {
    this.#carryOut(`${name}:1`, this.node(name).core.step(input, this.now));
  }

  /** What `node` thinks of `of`. */
  status(node: string, of: string): string | undefined {
    return this.node(node)
      .core.members(this.now)
      .find(({ name }) => name === of)?.status;
  }

  all(of: string, wanted: string): boolean {
    return [...this.nodes.values()].every(
      ({ core, crashed }) =>
        crashed ||
        core.halted !== undefined ||
        core.members(this.now).some(row => row.name === of && row.status === wanted),
    );
  }

  run(ms: number, until: () => boolean = () => false): number {
    const began = this.now;
    const step = 50;
    while (this.now - began < ms && !until()) {
      this.now += step;
      const due = this.#flying.filter(({ at }) => at <= this.now);
      this.#flying = this.#flying.filter(({ at }) => at > this.now);
      for (const { to, from, text } of due) this.#arrive(to, from, text);
      for (const [address, node] of this.nodes) this.#turn(address, node);
    }
    return this.now - began;
  }

  count(name: GossipEvent['name']): number {
    return this.events.filter(({ event }) => event.name === name).length;
  }

  #arrive(to: string, from: string, text: string): void {
    const node = this.nodes.get(to);
    if (node === undefined || node.crashed || this.cuts.has(`${from}>${to}`.replaceAll(':1', ''))) return;
    if (node.pausedUntil > this.now) node.held.push([from, text]);
    else this.#carryOut(to, node.core.step({ type: 'heard', message: JSON.parse(text), via: from }, this.now));
  }

  #turn(address: string, node: SimNode): void {
    if (node.crashed || node.pausedUntil > this.now) return;
    if (node.tickAt <= this.now) {
      this.#carryOut(address, node.core.step({ type: 'tick' }, this.now));
      node.tickAt = Math.max(node.core.nextAt, this.now + (node.jitter?.() ?? 0));
    }
    for (const [from, text] of node.held.splice(0) as [string, string][]) this.#arrive(address, from, text);
  }

  #carryOut(from: string, effects: readonly Effect[]): void {
    for (const effect of effects) {
      if (effect.type === 'event') {
        const node = from.replace(':1', '');
        this.events.push({ at: this.now, node, event: effect.event });
        continue;
      }
      const { via, name, address } = effect.to;
      const to = (via as string | undefined) ?? address ?? `${name}:1`;
      const text = JSON.stringify(effect.message);
      this.sent.bytes += text.length;
      this.sent.messages++;
      if (this.#random.float() < this.loss) continue;
      this.#flying.push({ at: this.now + 1 + this.#random.float() * 100, to, from, text });
    }
  }
}
