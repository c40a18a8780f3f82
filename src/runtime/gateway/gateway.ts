// Thread 0's third job, in a process that listens: it speaks for its node. The other nodes are peers of its router, with numbers
// above those of the threads, and what passes between them and the threads goes through relays.ts.
//
//     ring ─▶ thread 0 ─▶ FarWire ─▶ link to n2          a number is one session with one node: when it ends, so does the number
//
//     absent ──up──▶ linked ──down──▶ gone ──up──▶ linked under a new number
//
// Nothing of a session outlives it: its targets, the asks it carried and the pauses asked for over it. An ask that was written and not
// answered when a session ends is UNKNOWN_OUTCOME; one that never left is not.
//
// Invariant: control messages of another node reach only what stands in `words` below, never the handlers of threads.

import { quickError, TroupeError, type WireError } from '../../errors.ts';
import { ended } from '../call.ts';
import type { Codec } from '../codec.ts';
import type { FarMessage } from '../far-moves.ts';
import { FarPeer } from '../far-peer.ts';
import type { FarRouter } from '../far-router.ts';
import { type FarPlace, refOf } from '../far-wire.ts';
import type { Frame } from '../frame.ts';
import { Handoffs } from '../handoff/handoffs.ts';
import { LastWords } from '../handoff/last-words.ts';
import type { HostedType } from '../hosted-type.ts';
import type { Remains } from '../links/remains.ts';
import type { BaseRef } from '../refs.ts';
import { loadReplicas, type Replicas, type ReplicasOptions, replicasOf } from '../replicas/replicas-of.ts';
import { leftUntil } from '../shared-deadline.ts';
import { Dialect, travelCodec } from './dialect.ts';
import { GuestDesk } from './guest-desk.ts';
import { Guests } from './guests.ts';
import { Homes, sentBack } from './homes.ts';
import { LostAsks } from './lost-asks.ts';
import type { NodeLink, NodeLinks } from './node-links.ts';
import { here, NodeTable, type NodeTableData, unknownNode } from './node-table.ts';
import { NodeTimers } from './node-timers.ts';
import { NodeWatches } from './node-watches.ts';
import { Relays } from './relays.ts';
import { numberIn, textIn } from './words.ts';

export interface GatewayEdges {
  /** Partitions are kept by several nodes. */
  readonly replicas?: Pick<ReplicasOptions, 'replicas' | 'epochs'> | undefined;
  /** What that node sent over a link cannot be read: close it. */
  onBroken(node: string, error: unknown): void;
  /** Resolves when all epochs handed out from now on are above this one. */
  raiseEpochs(above: number): Promise<void>;
}

export interface GatewayOptions extends GatewayEdges {
  readonly router: FarRouter;
  readonly links: NodeLinks;
  /** Numbers below are threads. */
  readonly threads: number;
  readonly nodes: NodeTableData;
  readonly leases?: Pick<ReplicasOptions, 'words' | 'clockShift'> | undefined;
}

/** A word between nodes. Throws BAD_MESSAGE when the payload is not what it should be. */
export type NodeWord = (from: number, payload: any) => unknown;

export class Gateway {
  readonly timers: NodeTimers;
  readonly relays: Relays;
  readonly guests: Guests;
  readonly homes: Homes;
  readonly watches: NodeWatches;
  readonly lastWords: LastWords;
  readonly handoffs: Handoffs;
  readonly replicas: Replicas | null;
  nodes: NodeTable;
  /** What children, local and pinned actors are called means something on their own node only: refs to them stay there. */
  readonly codec: Codec;
  readonly #dialect: Dialect;
  readonly #options: GatewayOptions;
  readonly #router: FarRouter;
  readonly #numbers = new Map<string, number>();
  readonly #names = new Map<number, string>();
  readonly #words = new Map<string, NodeWord>();
  #next: number;

  constructor(options: GatewayOptions) {
    const { router, threads, nodes } = options;
    this.#options = options;
    this.#router = router;
    this.#next = threads;
    this.nodes = new NodeTable(nodes);
    this.relays = new Relays(router);
    const { host } = router;
    this.timers = new NodeTimers(host.world.clock);
    this.#dialect = new Dialect(host);
    this.codec = travelCodec(host, this.#dialect);
    this.guests = new Guests(router, this.codec, options.raiseEpochs);
    this.homes = new Homes(router, this, this.guests);
    this.on('started', (from, id) => this.#ofPeer(from, id) && router.outcomes.onStarted(id));
    this.on('verdict', (from, id) => this.relays.abort(from, numberIn(id)));
    this.on('pause', (from, unit) => router.peers[from]?.pause(textIn(unit)));
    this.on('resume', (from, unit) => router.peers[from]?.resume(textIn(unit)));
    this.watches = new NodeWatches(router, this);
    this.on('query', (from, query) => this.#onQuery(from, query));
    this.on('reply', (_from, reply) => router.queries.onReply(numberIn(reply?.id), reply.value, reply.error));
    new GuestDesk(router, this);
    this.lastWords = new LastWords(router, this);
    this.replicas = replicasOf(router, this, options);
    this.handoffs = new Handoffs(router, this, above => (this.replicas ?? options).raiseEpochs(above));
    this.on('types', (from, types) => this.#dialect.learn(from, types));
  }

  on(name: string, word: NodeWord): void {
    this.#words.set(name, word);
  }

  /** A word to another node. Lost when its session ends before it has arrived. */
  say(number: number, word: string, payload: unknown): void {
    this.#router.control(number, word, payload);
  }

  /** The same, and its answer. Rejects when the session ends first; the caller bounds the wait. */
  asked(number: number, word: string, payload: unknown): Promise<unknown> {
    return this.#router.query(number, word, payload);
  }

  /** What an earlier life has stored, before anything runs. Throws CORRUPT. */
  load(): void {
    this.homes.load();
    loadReplicas(this.replicas, this.#router.host.engine);
  }

  // Who is where.

  nameOf(number: number): string | undefined {
    return this.#names.get(number);
  }

  /** The number to send to for a node of the table. There is one also while it cannot be reached: whoever sends there is refused. */
  numberOf(node: number): number {
    const name = node === unknownNode ? '' : (this.nodes.names[node] as string);
    return this.#numbers.get(name) ?? this.#absent(name);
  }

  #absent(name: string): number {
    const number = this.#add(name);
    (this.#router.peers[number] as FarPeer).gone = true;
    return number;
  }

  #add(name: string): number {
    const number = this.#next++;
    const { host, wire } = this.#router;
    const isKnown = name !== '';
    this.#router.peers[number] = new FarPeer(number, {
      wire,
      links: this.#options.links,
      soon: fn => host.world.clock.soon(fn),
      now: () => host.now(),
      node: {
        name,
        goneWhy: isKnown
          ? `there is no link to node ${name}`
          : `node ${host.node} has heard of no ring and no node that owns it`,
      },
    });
    this.#numbers.set(name, number);
    this.#names.set(number, name);
    return number;
  }

  /** The same news for every thread, before any message that rests on it. */
  setNodes(data: NodeTableData): void {
    this.nodes = new NodeTable(data);
    this.replicas?.routes();
    this.#router.places.setNodes(this.nodes);
    this.#router.broadcast('nodes', data);
  }

  /** For a thread that has just come up. */
  tellThread(thread: number): void {
    this.handoffs.tellThread(thread);
    this.#router.control(thread, 'nodes', this.nodes.data());
    this.homes.tellThread(thread);
    this.replicas?.tellThread(thread);
  }

  // Sessions.

  /** A session with that node begins. The number is what its frames are to be handed in with. */
  up(name: string, link: NodeLink): number {
    const before = this.#numbers.get(name);
    if (before !== undefined) {
      this.#names.delete(before);
      delete this.#router.peers[before];
    }
    const number = this.#add(name);
    this.#options.links.add(number, link);
    this.#router.version++;
    // The first frame of every session: no message is read before its method can be.
    this.#router.control(number, 'types', this.#dialect.own());
    // Behind what the cluster says first in each session.
    this.#router.host.world.clock.micro(() => this.lastWords.linked(name));
    return number;
  }

  /** It is over, and this is what became of the frames. */
  down(number: number, { unsent, unknown }: Remains): void {
    const router = this.#router;
    const { host } = router;
    const name = this.#names.get(number) ?? '';
    const peer = router.peers[number];
    if (peer === undefined || peer.gone) return;
    const asks = new LostAsks(router, number, name, { unsent, unknown });
    const waiting = peer.die();
    this.#options.links.remove(number);
    router.wire.forget(number);
    this.#dialect.forget(number);
    router.version++;
    asks.end();
    this.relays.forget(number);
    router.queries.peerDied(number);
    this.watches.lost(number);
    this.lastWords.lost(name);
    this.handoffs.lost(name);
    host.outside(() => {
      for (const message of waiting) message.again();
    });
  }

  // Frames from there.

  receive(number: number, bytes: Uint8Array, view: DataView, start: number, end: number): void {
    if (this.#router.peers[number]?.gone !== false) return;
    try {
      this.#router.wire.receive(number, bytes, view, start, end);
    } catch (error) {
      this.#options.onBroken(this.#names.get(number) as string, error);
    }
  }

  /** What may be addressed from elsewhere. */
  inward(place: FarPlace): FarPlace {
    this.#dialect.outward([place.hosted.name, place.key]);
    return place;
  }

  /** The turns of a chain that another node knows by the same address. */
  abroad(chain: readonly string[] | null): readonly string[] | null {
    return chain === null ? null : this.#dialect.abroad(chain);
  }

  /** Is that peer the node of the actor's partition? Nobody else may say that it lives here. */
  isHome(peer: number, { spec }: HostedType, key: string): boolean {
    const node = this.nodes.nodeOf(spec, key);
    return node !== here && node !== unknownNode && this.nodes.names[node] === this.#names.get(peer);
  }

  onTell(frame: Frame<FarPlace>, code: number, a0: unknown, a1: unknown): void {
    const place = frame.target as FarPlace;
    const { hosted, key } = place;
    const own = this.#dialect.translate(frame.from, hosted, code);
    if (own >= 0) this.relays.tell(frame.from, refOf(place), own, a0, a1, this.relays.markOf(frame));
    else
      this.#router.host.deadLetter(`${hosted.name}/${key}`, '?', [], this.#dialect.unknown(frame.from, hosted, code));
  }

  onAsk(frame: Frame<FarPlace>, code: number, a0: unknown, a1: unknown): void {
    const place = frame.target as FarPlace;
    const { hosted } = place;
    const asker = { peer: frame.from, id: frame.callId };
    const { sender, trace, chain } = frame;
    const remainingMs = leftUntil(0, frame.remainingMs);
    const extra = sender === null && trace === null ? null : { opId: sender ?? undefined, trace: trace ?? undefined };
    if (trace !== null) this.#router.host.tracing = true;
    if (this.#router.host.closing) {
      const why = `node ${this.#router.host.node} is stopping; the message was not run`;
      this.#router.refuse(asker, quickError('STOPPED', why, { retryable: true }));
      return;
    }
    const own = this.#dialect.translate(frame.from, hosted, code);
    const passing = { remainingMs, chain, extra };
    if (own >= 0) this.relays.ask(asker, refOf(place), own, a0, a1, passing, this.relays.markOf(frame));
    else this.#router.refuse(asker, quickError('NO_METHOD', this.#dialect.unknown(frame.from, hosted, code)));
  }

  /** An answer counts only if it comes from where the ask went. */
  #ofPeer(from: number, id: unknown): boolean {
    return this.#router.pending.at(numberIn(id))?.peer === from;
  }

  onReply(from: number, id: number, value: unknown): void {
    if (this.#ofPeer(from, id)) this.#router.outcomes.onAnswer(id, value);
  }

  onError(from: number, id: number, error: WireError): void {
    if (this.#ofPeer(from, id)) this.#router.outcomes.onRefused(id, error);
  }

  onControl(from: number, name: string, payload: unknown): void {
    const word = this.#words.get(name);
    if (word === undefined) throw new TroupeError('BAD_MESSAGE', `'${name}' is no word between nodes`);
    word(from, payload);
  }

  #onQuery(from: number, { id, name, payload }: { id: number; name: string; payload: unknown }): void {
    const word = name === 'query' || name === 'reply' ? undefined : this.#words.get(textIn(name));
    this.#router.queries.answer(from, numberIn(id), name, word === undefined ? undefined : () => word(from, payload));
  }

  // Frames to there.

  /** What came from a thread for an actor that lives on another node. */
  pass(from: number, ref: BaseRef, message: FarMessage): void {
    if (message.call === null) this.relays.tell(from, ref, message.code, message.a0, message.a1);
    else this.#passAs(ref, message, -1);
  }

  #passAs(ref: BaseRef, { code, a0, a1, call }: FarMessage, mark: number): void {
    if (call === null || call.state === ended) return;
    const passing = { remainingMs: this.#router.remaining(call), chain: call.chain, extra: call.extra };
    if (!call.arrived) {
      try {
        if (this.take(ref, { code, a0, a1, call })) return;
        const thread = this.#router.threadFor(ref);
        // It had gone to another thread, and lives on this one: the directory does not know of those that have come back from other nodes.
        if (thread === this.#router.host.thread) this.#router.host.redispatch(ref, call, code, a0, a1);
        else this.#router.askAt(thread, ref, call, code, a0, a1);
      } catch (error) {
        this.#router.host.fail(call, error);
      }
      return;
    }
    const asker = { peer: call.peer, id: call.id };
    this.#router.arrivals.silence(call);
    this.relays.ask(asker, ref, code, a0, a1, passing, mark);
  }

  // Actors that live elsewhere than the ring says.

  /** Is every message to it looked at by this thread? */
  isAway(unit: string): boolean {
    return this.homes.any && this.homes.has(unit);
  }

  /** Where a message to such an actor goes: the number of a node; of one on the move, nowhere yet. */
  whereIs(unit: string): number {
    const node = this.homes.nodeOf(unit);
    return node === undefined || node === this.#router.host.node ? 0 : this.numberOfName(node);
  }

  /** A message of this thread for one of ours. False: it goes its usual way. */
  take(ref: BaseRef, message: FarMessage): boolean {
    return this.homes.take(ref.toString(), message, -1);
  }

  /** Away, and not just back again. */
  livesElsewhere(unit: string): boolean {
    if (!this.isAway(unit)) return false;
    const node = this.homes.nodeOf(unit);
    return this.homes.isMoving(unit) || (node !== undefined && node !== this.#router.host.node);
  }

  /** What waited for an actor that has left with its partition: before all that is held. */
  sendOn(from: number, ref: BaseRef, message: FarMessage): void {
    if (message.call !== null) this.#passAs(ref, message, sentBack);
    else this.relays.tell(from, ref, message.code, message.a0, message.a1, sentBack);
  }

  /** By that node's name when there is a session with it. */
  linked(name: string): number | undefined {
    const number = this.#numbers.get(name) ?? -1;
    return this.#router.peers[number]?.gone === false ? number : undefined;
  }

  /** Names of the nodes with which there is a session. */
  peers(): string[] {
    return [...this.#numbers.keys()].filter(name => this.linked(name) !== undefined);
  }

  numberOfName(name: string): number {
    return this.#numbers.get(name) ?? this.#absent(name);
  }

  describe(): object {
    const nodes = [...this.#numbers].filter(([name]) => name !== '');
    return {
      nodes: nodes.map(([name, number]) => ({ name, number, linked: this.#router.peers[number]?.gone === false })),
      ...this.relays.describe(),
      ...{ homes: this.homes.describe(), guests: this.guests.describe(), handoffs: this.handoffs.describe() },
      ...{ replicas: this.replicas?.describe() ?? null, lastWords: this.lastWords.describe() },
    };
  }
}
