// Nodes of one thread each, in one process and on one virtual clock, their gateways joined by links over streams that a test breaks.

import { crc32 } from 'node:zlib';
import type { Actor } from '../../../src/runtime/actor.ts';
import type { ActorType } from '../../../src/runtime/define-actor.ts';
import { epochMemory } from '../../../src/runtime/epochs.ts';
import type { Gateway } from '../../../src/runtime/gateway/gateway.ts';
import { tableOfRing, withoutRing } from '../../../src/runtime/gateway/node-table.ts';
import type { Host } from '../../../src/runtime/host.ts';
import { PacketReader } from '../../../src/runtime/links/packet.ts';
import { PeerLink } from '../../../src/runtime/links/peer-link.ts';
import type { Ref } from '../../../src/runtime/refs.ts';
import { type Member, makeMember, ringFabric } from '../../../src/runtime/thread-host.ts';
import { createFabric } from '../../../src/runtime/thread-port.ts';
import { type VirtualWorld, virtualWorld } from '../../../src/testing/virtual-world.ts';

export interface Event {
  readonly name: string;
  readonly payload: any;
}

export class TestNode {
  readonly member: Member;
  readonly events: Event[] = [];
  readonly broken: string[] = [];
  /** By name of the other node. */
  readonly sessions = new Map<string, { number: number; link: PeerLink }>();

  readonly name: string;

  constructor(name: string, { world }: Rig, types: readonly ActorType<any>[]) {
    this.name = name;
    this.member = makeMember({
      node: name,
      thread: 0,
      life: 0,
      lives: [0],
      threads: 1,
      partitions: 16,
      table: new Uint16Array(16),
      fabric: ringFabric(createFabric({ threads: 1 })),
      epochs: epochMemory(1),
      types,
      engine: world.storage.open({ kind: 'memory' }),
      world,
      events: { emit: (event, payload) => this.events.push({ name: event, payload }) },
      residentsMax: undefined,
      relocateTurnMs: undefined,
      nodes: withoutRing(name, 16),
      gateway: {
        onBroken: (node, error) => this.broken.push(`${node}: ${(error as Error).message}`),
        raiseEpochs: async () => undefined,
      },
      onBroken: (_peer, error) => {
        throw error;
      },
    });
    this.member.port.start();
  }

  get host(): Host {
    return this.member.host;
  }

  get gateway(): Gateway {
    return this.member.router.gateway as Gateway;
  }

  ref<A extends Actor<any>>(type: ActorType<A>, key: string): Ref<A> {
    return this.host.ref(type, key);
  }

  /** Is that actor awake here? */
  runs(type: ActorType<any>, key: string): boolean {
    return this.host.byName.get(type.type)?.live.has(key) === true;
  }

  letters(): string[] {
    return this.events.filter(({ name }) => name === 'dead-letter').map(({ payload }) => payload.why);
  }
}

export class Rig {
  readonly world: VirtualWorld = virtualWorld({ seed: 1 });
  readonly nodes: TestNode[];

  constructor(names: readonly string[], types: readonly ActorType<any>[]) {
    this.nodes = names.map(name => new TestNode(name, this, types));
    this.world.clock.rest = () => this.settle();
    for (const [at, node] of this.nodes.entries()) for (const other of this.nodes.slice(at + 1)) this.join(node, other);
  }

  /** Every node learns the same ring. */
  ring(owners: readonly string[]): void {
    const known = this.nodes.map(({ name }) => name);
    for (const node of this.nodes) node.gateway.setNodes(tableOfRing(node.name, owners, known));
  }

  /** A new session between two nodes. */
  join(a: TestNode, b: TestNode, bytesMax = 1 << 20): void {
    const { clock } = this.world;
    const numbers = new Map<TestNode, number>();
    const make = (at: TestNode): PeerLink =>
      new PeerLink({
        from: 0,
        crc32,
        bytesMax,
        soon: fn => clock.soon(fn),
        onFrame: (_from, bytes, view, start, end) =>
          at.gateway.receive(numbers.get(at) as number, bytes, view, start, end),
      });
    const [la, lb] = [make(a), make(b)];
    this.#attach(la, lb);
    this.#attach(lb, la);
    for (const [at, other, link] of [
      [a, b, la],
      [b, a, lb],
    ] as const) {
      const number = at.gateway.up(other.name, link);
      numbers.set(at, number);
      at.sessions.set(other.name, { number, link });
    }
  }

  #attach(link: PeerLink, other: PeerLink): void {
    const { clock } = this.world;
    const reader = new PacketReader(crc32, (kind, number, bytes, view, start, end) => {
      // What is on the way when a session ends finds nobody.
      if (!other.isEnded && !other.onPacket(kind, number, bytes, view, start, end))
        throw new Error('a packet that cannot be');
    });
    link.attach(
      {
        write: bytes => {
          const copy = bytes.slice();
          clock.soon(() => reader.push(copy));
          return true;
        },
      },
      other.progress(),
    );
  }

  /** The stream breaks for good: neither side hears of the other again in this session. */
  cut(a: TestNode, b: TestNode): void {
    for (const [at, name] of [
      [a, b.name],
      [b, a.name],
    ] as const) {
      const session = at.sessions.get(name);
      if (session === undefined) continue;
      at.sessions.delete(name);
      at.gateway.down(session.number, session.link.finish());
    }
  }

  /** Everything that needs no time has happened. */
  async settle(): Promise<void> {
    for (let i = 0; i < 40; i++) await this.world.clock.loopTurn();
  }
}
