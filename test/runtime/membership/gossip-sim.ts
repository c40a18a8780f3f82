// A network of gossip cores in virtual time: loss, delay, one-way cuts, pauses, crashes; every message crosses as bytes.
//
// Time goes in steps; what is on its way waits in the step in which it arrives, so that a thousand nodes are quick to run.

import { gossipStatesMax } from '../../../src/limits.ts';
import { Gossip } from '../../../src/runtime/membership/gossip.ts';
import { decodeMessage, encodeMessage } from '../../../src/runtime/membership/gossip-messages.ts';
import type { Effect, GossipEvent, GossipOptions, Input } from '../../../src/runtime/membership/gossip-types.ts';
import type { MemberRecord } from '../../../src/runtime/membership/member.ts';
import { seededRandom } from '../../../src/testing/virtual-world.ts';

interface SimNode {
  core: Gossip;
  pausedUntil: number;
  crashed: boolean;
  readonly held: Flying[];
  readonly jitter: (() => number) | undefined;
  tickAt: number;
}

const recordOf = (name: string): MemberRecord => ({
  ...{ name, incarnation: 1_000, version: 1, heartbeat: 1, status: 'up', address: `${name}:1`, zone: 'z1', rack: 'r1' },
  ...{ weight: 1, capacity: 1, protocol: [1, 1], app: undefined, suspicions: [], down: false, removed: false },
});

interface Flying {
  readonly to: string;
  readonly from: string;
  readonly bytes: Uint8Array;
}

const stepMs = 50;

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
  readonly #flying = new Map<number, Flying[]>();

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

  /** All have met, long before the time in which they are watched: in their own words, without the hours it takes. */
  acquaint(): void {
    const names = [...this.nodes.keys()].map(address => address.replace(':1', ''));
    const said = { cluster: 'c', incarnation: 1_000 };
    const pages = Array.from({ length: Math.ceil(names.length / gossipStatesMax) }, (_, page) =>
      names.slice(page * gossipStatesMax, (page + 1) * gossipStatesMax).map(recordOf),
    );
    for (const { core } of this.nodes.values()) {
      for (const states of pages) {
        const body = { type: 'states', states };
        core.step({ type: 'heard', message: { ...said, from: states[0]?.name, body } }, this.now);
      }
      for (const from of names) {
        const body = { type: 'pong', seq: 1, digest: [from, 1_000, 1, 1, 0] };
        core.step({ type: 'heard', message: { ...said, from, body } }, this.now);
      }
    }
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
    while (this.now - began < ms && !until()) {
      this.now += stepMs;
      const due = this.#flying.get(this.now) ?? [];
      this.#flying.delete(this.now);
      for (const each of due) this.#arrive(each);
      for (const [address, node] of this.nodes) this.#turn(address, node);
    }
    return this.now - began;
  }

  count(name: GossipEvent['name']): number {
    return this.events.filter(({ event }) => event.name === name).length;
  }

  #arrive(message: Flying): void {
    const { to, from, bytes } = message;
    const node = this.nodes.get(to);
    if (node === undefined || node.crashed) return;
    if (this.cuts.size > 0 && this.cuts.has(`${from}>${to}`.replaceAll(':1', ''))) return;
    if (node.pausedUntil > this.now) node.held.push(message);
    else this.#carryOut(to, node.core.step({ type: 'heard', message: decodeMessage(bytes), via: from }, this.now));
  }

  #turn(address: string, node: SimNode): void {
    if (node.crashed || node.pausedUntil > this.now) return;
    if (node.tickAt <= this.now) {
      this.#carryOut(address, node.core.step({ type: 'tick' }, this.now));
      node.tickAt = Math.max(node.core.nextAt, this.now + (node.jitter?.() ?? 0));
    }
    for (const message of node.held.splice(0)) this.#arrive(message);
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
      const bytes = encodeMessage(effect.message);
      this.sent.bytes += bytes.length;
      this.sent.messages++;
      if (this.#random.float() < this.loss) continue;
      const at = Math.ceil((this.now + 1 + this.#random.float() * 100) / stepMs) * stepMs;
      const due = this.#flying.get(at);
      if (due === undefined) this.#flying.set(at, [{ to, from, bytes }]);
      else due.push({ to, from, bytes });
    }
  }
}
