// One node in its cluster: links to the others, who they are and who is alive, and the ring that says what is whose.
//
//     bytes ─▶ Peers ──sessions, frames──▶ Gateway ──▶ actors             frames of gossip are words of the gateway ('gossip')
//                ▲                            ▲
//              dial                     who owns what
//                └────────── Cluster ─────────┘◀── events ── Gossiper
//
// The intuition: the gossiper says who there is and where, so whoever it speaks of is dialled; the ring is known by the hash
// that its holders gossip and fetched from one of them; and a change of either is one call of the gateway.
//
// Invariant: the first that is said in a session is the ring. What is heard of it goes to the keeper (ring-keeper.ts), which routes
// by nothing else.

import { TroupeError } from '../../errors.ts';
import { membersMax } from '../../limits.ts';
import type { Gateway } from '../gateway/gateway.ts';
import type { Peers, PeersOptions } from '../links/peers.ts';
import type { TlsIdentity } from '../links/tls-wire.ts';
import type { GossipEvent, GossipOptions, MemberView, To } from '../membership/gossip-types.ts';
import { Gossiper } from '../membership/gossiper.ts';
import { type Handed, turnsOf } from '../ownership/holdings.ts';
import { preference } from '../ownership/preference.ts';
import { type Ring, ringHash } from '../ownership/ring.ts';
import type { PlanOptions, RingPlan } from '../ownership/ring-plan.ts';
import { partitionOf } from '../partition.ts';
import { noRebalancer, type RebalancerDoor } from '../rebalance/rebalancer.ts';
import type { World } from '../world.ts';
import type { ClusterDescription } from './cluster-view.ts';
import type { HandoffHooks, TransferStatus } from './handoff-hooks.ts';
import { Joining } from './joining.ts';
import { Leave } from './leave.ts';
import { passed, recalled } from './passing.ts';
import { checkPlan, checkPlanOptions, type PlanChanges, wishesOf } from './plan-wishes.ts';
import { type Committed, planOrThrow, RingClaims } from './ring-claims.ts';
import { RingKeeper } from './ring-keeper.ts';
import type { RingMemory } from './ring-memory.ts';
import { RingSearch } from './ring-search.ts';
import { Transfers } from './transfers.ts';

export type PeerHandlers = Pick<PeersOptions, Extract<keyof PeersOptions, `on${string}`>>;

export interface ClusterOptions {
  readonly cluster: string;
  readonly name: string;
  /** Which life of this node; durable before start(). */
  readonly incarnation: number;
  readonly partitions: number;
  readonly zone: string;
  readonly rack: string;
  readonly weight: number;
  /** While this node is the claimant: take members that are up and in no ring into it. */
  readonly autoJoin: boolean;
  /** Addresses to join through. None: this node founds a cluster, or has a ring. */
  readonly join: readonly string[];
  readonly memory: RingMemory;
  readonly world: World;
  readonly peers: (handlers: PeerHandlers) => Peers;
  readonly gossip?: Partial<GossipOptions>;
  /** Moves the data of partitions that change hands. Without: nothing moves. */
  readonly handoffs?: ((cluster: Cluster) => HandoffHooks) | undefined;
  /** Between the threads of this node. */
  readonly rebalancer?: RebalancerDoor | undefined;
  emit(name: string, payload: unknown): void;
}

export const unreadable = 'a node sent what cannot be read; its link is closed';

export class Cluster {
  readonly rebalancer: RebalancerDoor;
  readonly #options: ClusterOptions;
  readonly #peers: Peers;
  readonly #gateway: Gateway;
  readonly #numbers = new Map<string, number>();
  readonly #joining: Joining;
  readonly #keeper: RingKeeper;
  readonly #search: RingSearch;
  readonly #claims: RingClaims;
  readonly #transfers: Transfers;
  readonly #leave: Leave;
  #gossiper: Gossiper | undefined;
  readonly #told = new Set<string>();
  #stopped = false;

  constructor(gateway: Gateway, options: ClusterOptions) {
    this.rebalancer = options.rebalancer ?? noRebalancer(options.partitions);
    this.#options = options;
    this.#gateway = gateway;
    const { cluster, name, partitions, world, emit } = options;
    this.#joining = new Joining({ name, join: options.join, log: world.log, emit });
    this.#keeper = new RingKeeper({
      ...{ cluster, name, partitions, world, gateway, emit, linked: this.#numbers },
      known: () => this.members().map(member => member.name),
      memory: options.memory,
      onSaved: () => this.#search.onStored(),
      onChanged: tag => {
        this.#gossiper?.setApp(tag);
        this.#claims.look();
      },
      onForeign: (from, error) => this.#onForeign(from, error),
    });
    const parts = {
      ...{ cluster, name, partitions, world, gateway, linked: this.#numbers, keeper: this.#keeper },
      members: () => this.members(),
      appOf: (who: string) => this.#gossiper?.appOf(who),
    };
    this.#claims = new RingClaims({ ...parts, autoJoin: options.autoJoin });
    this.#transfers = new Transfers({ ...parts, clock: world.clock, statusOf: who => this.#statusOf(who) });
    this.#leave = new Leave({
      ...{ name, world },
      ring: () => this.#joined(),
      commit: planned => this.commit(planned),
      onLeaving: () => this.#gossiper?.leave(),
      keeps: () => gateway.replicas?.follows === true,
      recalled: () => recalled({ world, gateway, linked: this.#numbers }),
      passed: () => passed({ world, gateway, linked: this.#numbers }),
      onLeft: () => this.#gossiper?.left(),
    });
    this.#search = new RingSearch({
      ...parts,
      onForeign: (from, error) => this.#onForeign(from, error),
      memory: options.memory,
      autoJoin: options.autoJoin,
      voters: () => this.#joining.voters,
      onReady: () => this.#joining.becomeReady(),
      onFailed: error => this.#onNoRing(error),
    });
    this.#peers = options.peers({
      onUp: peer => {
        const link = this.#peers.link(peer.name);
        if (link === undefined) return;
        const number = gateway.up(peer.name, link);
        this.#numbers.set(peer.name, number);
        this.#keeper.greet(number);
        this.#gossiper?.linked(peer.name, true);
        this.#keeper.lookAround();
      },
      onDown: (peer, _reason, remains) => {
        const number = this.#numbers.get(peer.name);
        this.#numbers.delete(peer.name);
        if (number !== undefined) gateway.down(number, remains);
        this.#gossiper?.linked(peer.name, false);
      },
      onFrame: (name, bytes, view, start, end) => {
        const number = this.#numbers.get(name);
        if (number !== undefined) gateway.receive(number, bytes, view, start, end);
      },
      onSeed: (address, who) => this.#joining.met(address, who),
      onSeedTrouble: trouble => this.#joining.failed(trouble, this.#numbers.size > 0, world.clock.mono()),
      onUnreached: (name, isNobody) => this.#gossiper?.unreached(name, isNobody),
      onRefused: refusal => {
        // Both dialled at once, or a seed is this node: nobody has to do anything about it.
        if (refusal.reason !== 'duplicate' && refusal.reason !== 'self') options.emit('peer-refused', refusal);
      },
    });
    gateway.on('gossip', (from, bytes) => this.#onGossip(from, bytes));
    const turnOf = (partition: number): number => this.#keeper.state?.holdings[partition]?.turn ?? 0;
    gateway.lastWords.turnOf = turnOf;
    const isDown = (who: string): boolean => this.#gossiper?.isLost(who) === true;
    gateway.homes.isDown = isDown;
    gateway.replicas?.attach({ isDown, turnOf, takeOver: (partition, turn) => this.#keeper.takeOver(partition, turn) });
    this.#keeper.hooks = options.handoffs?.(this);
  }

  /** A frame that cannot be read: the session with its sender is ended. */
  onBroken(node: string, error: unknown): void {
    this.#options.world.log.error({ err: error, node }, unreadable);
    this.#peers.forget(node);
  }

  /** Resolves when this node listens and gossips. Throws BAD_OPTION when the address cannot be listened on. */
  async start(): Promise<void> {
    const { cluster, name, incarnation, join, memory, world, zone, rack, weight, gossip } = this.#options;
    if (memory.state !== undefined) this.#search.begin(memory.state);
    else if (join.length === 0) await this.#search.found([{ name, zone, rack, weight }]);
    await this.#peers.open();
    this.#gossiper = new Gossiper({
      world,
      cluster,
      name,
      incarnation,
      address: this.#peers.address,
      seeds: join,
      app: this.#keeper.tag,
      send: (to, bytes) => this.#send(to, bytes),
      onEvent: event => this.#onEvent(event),
      options: { ...gossip, zone, rack, weight },
    });
    this.#gossiper.start();
    // All of them, and not only those that gossip happens to pick: who founds must have heard of whoever can be reached.
    this.#joining.met(this.#peers.address, name);
    for (const address of join) if (address !== this.#peers.address) this.#peers.join(address);
    this.#search.look();
  }

  /** Resolves when there is a ring, and another node of it that knows this one. Rejects with STOPPED, or with what keeps this node from joining. */
  ready(): Promise<void> {
    return this.#joining.ready;
  }

  /** Says goodbye, and still a member: its partitions wait for it. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#search.stop();
    this.#claims.stop();
    this.#leave.stop();
    this.#keeper.stop();
    this.#gossiper?.stop();
    this.#joining.stop(new TroupeError('STOPPED', `node ${this.#options.name} has stopped`));
    await this.#peers.stop();
  }

  // What is asked.

  members(): MemberView[] {
    return this.#gossiper?.members() ?? [];
  }

  ring(): { epoch: number; partitions: number; owners: readonly string[]; next: Ring['next'] } {
    const { epoch, owners, next } = this.#joined();
    return { epoch, partitions: owners.length, owners, next };
  }

  /** The nodes that keep the copies of a key, the owner of its partition first. At most n, fewer when there are no more. */
  preference(key: string, n: number): string[] {
    const ring = this.#joined();
    return preference(ring, partitionOf(key, ring.owners.length), n);
  }

  /**
   * What would change hands, to whom and why; changes nothing, and is the same on every node. Throws BAD_OPTION, with the reason in
   * `details`: 'unknown-member', 'already-member', 'nobody-left', 'nothing-to-change' ...
   */
  plan(changes: PlanChanges, options: PlanOptions = {}): RingPlan {
    return planOrThrow(this.#joined(), wishesOf(changes, this.members()), checkPlanOptions(options));
  }

  /**
   * Writes down what a plan wants; its transfers follow by and by, each with its data. Throws BAD_OPTION with the reason 'plan-changed'
   * when the ring is another one by now; OVERLOADED, to be tried again, with 'ring-not-ready' while somebody has not heard of the ring
   * there is, or when nobody is there who may write.
   */
  async commit(planned: RingPlan): Promise<Committed> {
    this.#joined();
    checkPlan(planned);
    return this.#claims.commit(planned);
  }

  /** Of each partition that is to change hands: how far it is, and what it waits for. Takes at most handoffStatusMs. */
  async transfers(): Promise<TransferStatus[]> {
    this.#joined();
    return this.#transfers.all();
  }

  /**
   * Gives away all that this node owns, sends its guests home, and says goodbye for good. Resolves when it has nothing any more, which takes
   * as long as its data needs: transfers() shows it. Throws BAD_OPTION with the reason 'nobody-left' when there is nobody to take it. stop() it then.
   */
  leave(): Promise<void> {
    return this.#leave.begin();
  }

  #joined(): Ring {
    if (this.#keeper.ring !== undefined) return this.#keeper.ring;
    throw new TroupeError('OVERLOADED', `node ${this.#options.name} has not joined a ring yet: await node.ready()`);
  }

  /** For the handoff. Is it alive, by gossip, and is there a session with it? */
  isUp(name: string): boolean {
    if (name === this.#options.name) return !this.#stopped;
    return this.#numbers.has(name) && this.#isAlive(name);
  }

  effectiveRing(): Ring | undefined {
    return this.#keeper.ring;
  }

  /** See RingKeeper.handOn: the commit point of a handoff. */
  handOn(partition: number, to: string, turn?: number): Promise<Handed> {
    return this.#keeper.handOn(partition, to, turn);
  }

  /** See RingKeeper.stored. */
  ringStored(): Promise<void> {
    return this.#keeper.stored();
  }

  #isAlive(name: string): boolean {
    const status = this.#statusOf(name);
    return status === 'up' || status === 'leaving';
  }

  #statusOf(name: string): MemberView['status'] | undefined {
    return this.members().find(member => member.name === name)?.status;
  }

  /** New connections prove this node by another certificate; those that are open go on. Throws BAD_OPTION, and nothing has changed. */
  renewTls(tls: TlsIdentity): void {
    this.#peers.renewTls(tls);
  }

  /** host:port that others dial. */
  get address(): string {
    return this.#peers.address;
  }

  describe(): ClusterDescription {
    const { cluster, incarnation } = this.#options;
    const { state, ring: own } = this.#keeper;
    const ring =
      state === undefined || own === undefined
        ? null
        : {
            ...{ epoch: own.epoch, hash: ringHash(own), birth: state.birth },
            ...{ turns: turnsOf(state.holdings), pending: own.next.length },
          };
    const gossip = this.#gossiper?.describe() ?? {};
    const joining = this.#joining.describe();
    return { cluster, incarnation, ring, members: this.members(), joining, gossip, links: this.#peers.describe() };
  }

  // Gossip.

  #onGossip(from: number, bytes: unknown): void {
    if (!(bytes instanceof Uint8Array)) throw new TroupeError('BAD_MESSAGE', 'gossip is bytes');
    const sender = this.#gateway.nameOf(from);
    if (sender !== undefined) this.#gossiper?.receive(sender, bytes, sender);
  }

  #send({ via, name, address }: To, bytes: Uint8Array): void {
    const known = name ?? (address === undefined ? undefined : this.#joining.nameAt(address));
    const to = typeof via === 'string' && this.#numbers.has(via) ? via : known;
    const number = to === undefined ? undefined : this.#numbers.get(to);
    if (number !== undefined) this.#gateway.say(number, 'gossip', bytes);
    // Not there yet: what this message says, a later one will say again.
    else if (name !== undefined && address !== undefined) this.#peers.connect(name, address);
    else if (address !== undefined) this.#peers.join(address);
  }

  #onEvent(event: GossipEvent): void {
    if (this.#stopped) return;
    const { world, emit } = this.#options;
    switch (event.name) {
      case 'halted':
        if (event.why === 'left') world.log.info({}, 'this node has left its cluster');
        else world.log.error({ why: event.why }, 'this node is no member any more; start it again to come back');
        break;
      case 'refused':
      case 'refused-by':
        // One a message: what is said of them is for describe(), and once for the log.
        if (isNews(this.#told, `${event.name} ${event.why} ${event.member}`))
          world.log.warn({ ...event }, 'membership');
        return;
      case 'name-conflict':
        world.log.warn({ ...event }, 'two processes run under one name');
        break;
      case 'member-removed':
      case 'member-left':
        this.#peers.forget(event.member);
        break;
      default:
        this.#connect(event.member);
    }
    emit(event.name, event);
    this.#search.look();
    this.#claims.look();
    this.#keeper.lookAround();
  }

  #connect(name: string): void {
    const member = this.members().find(each => each.name === name);
    if (member === undefined || name === this.#options.name || member.address === '') return;
    this.#peers.connect(name, member.address);
    if (this.#numbers.has(name)) this.#gossiper?.linked(name, true);
    if (!this.#gateway.nodes.names.includes(name)) this.#keeper.route();
  }

  /** Two clusters that were founded apart have met; or this node would join one that it does not fit. */
  #onForeign(from: string, error?: TroupeError): void {
    if (this.#keeper.state === undefined) return this.#onNoRing(error);
    if (!isNews(this.#told, `foreign ${from}`)) return;
    const why = `${from} goes by another ring than ${this.#options.name}: two clusters of one name were founded apart. Keep one of them, and let the nodes of the other begin in empty directories`;
    this.#options.world.log.error({ member: from }, why);
    this.#options.emit('ring-conflict', { member: from, why });
  }

  #onNoRing(error: TroupeError | undefined): void {
    if (error === undefined || this.#stopped) return;
    if (isNews(this.#told, `take ${error.message}`))
      this.#options.world.log.error({ err: error }, 'a ring could not be had; it is tried again');
    if (error.code === 'BAD_OPTION') this.#joining.refuse(error);
  }
}

/** Has it been told before? Forgets all of it when it is too much to remember. */
function isNews(told: Set<string>, what: string): boolean {
  if (told.has(what)) return false;
  if (told.size >= membersMax) told.clear();
  told.add(what);
  return true;
}
