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
// Invariant: a node routes by one ring, the first it made, stored or heard of, and by none before. It takes no other in this version:
// what the ring gives away would have to move first.

import { TroupeError } from '../../errors.ts';
import { foundAfterMs, membersMax } from '../../limits.ts';
import type { Gateway } from '../gateway/gateway.ts';
import { tableOfRing } from '../gateway/node-table.ts';
import type { Peers, PeersDescription, PeersOptions } from '../links/peers.ts';
import type { GossipEvent, GossipOptions, MemberView, To } from '../membership/gossip-types.ts';
import { Gossiper } from '../membership/gossiper.ts';
import { preference } from '../ownership/preference.ts';
import { emptyRing, type Ring, type RingMember, ringHash } from '../ownership/ring.ts';
import { type Changes, commit, isRefusal, type PlanOptions, plan, type RingPlan } from '../ownership/ring-plan.ts';
import { partitionOf } from '../partition.ts';
import type { Cancel, World } from '../world.ts';
import { Founding } from './founding.ts';
import { ringOf, tagOf } from './ring-text.ts';

export type PeerHandlers = Pick<PeersOptions, 'onUp' | 'onDown' | 'onFrame' | 'onRefused' | 'onSeed'>;

export interface ClusterOptions {
  readonly cluster: string;
  readonly name: string;
  /** Which life of this node; durable before start(). */
  readonly incarnation: number;
  readonly partitions: number;
  readonly zone: string;
  readonly rack: string;
  readonly weight: number;
  /** Addresses to join through. None: this node founds a cluster, or has a ring. */
  readonly join: readonly string[];
  readonly ring: Ring | undefined;
  readonly world: World;
  readonly peers: (handlers: PeerHandlers) => Peers;
  readonly gossip?: Partial<GossipOptions>;
  /** The ring is routed by once this has resolved. */
  saveRing(ring: Ring): Promise<void>;
  emit(name: string, payload: unknown): void;
}

export interface ClusterDescription {
  readonly cluster: string;
  readonly incarnation: number;
  readonly ring: { readonly epoch: number; readonly hash: string } | null;
  readonly members: readonly MemberView[];
  readonly gossip: object;
  readonly links: PeersDescription;
}

/** What `node.cluster` offers. */
export type ClusterView = Pick<Cluster, 'members' | 'ring' | 'preference' | 'plan' | 'address' | 'describe'>;

export class Cluster {
  readonly #options: ClusterOptions;
  readonly #peers: Peers;
  readonly #gateway: Gateway;
  readonly #numbers = new Map<string, number>();
  /** Who has been found behind an address of `join`. */
  readonly #seeds = new Map<string, string>();
  readonly #founding: Founding;
  readonly #ready = Promise.withResolvers<void>();
  #gossiper: Gossiper | undefined;
  #ring: Ring | undefined;
  /** A ring is being stored, or fetched: others wait. */
  #taking = false;
  readonly #told = new Set<string>();
  #stopped = false;
  #cancelLook: Cancel | undefined;

  constructor(gateway: Gateway, options: ClusterOptions) {
    this.#options = options;
    this.#gateway = gateway;
    this.#founding = new Founding(options.name, foundAfterMs);
    this.#ready.promise.catch(() => undefined);
    this.#peers = options.peers({
      onUp: peer => {
        const link = this.#peers.link(peer.name);
        if (link === undefined) return;
        this.#numbers.set(peer.name, gateway.up(peer.name, link));
        this.#gossiper?.linked(peer.name, true);
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
      onSeed: (address, name) => this.#seeds.set(address, name),
      onRefused: refusal => {
        // Both dialled at once, or a seed is this node: nobody has to do anything about it.
        if (refusal.reason !== 'duplicate' && refusal.reason !== 'self') options.emit('peer-refused', refusal);
      },
    });
    gateway.on('gossip', (from, bytes) => this.#onGossip(from, bytes));
    gateway.on('ring', () => this.#ring);
  }

  /** A frame that cannot be read: the session with its sender is ended. */
  onBroken(node: string, error: unknown): void {
    this.#options.world.log.error({ err: error, node }, 'a node sent what cannot be read; its link is closed');
    this.#peers.forget(node);
  }

  /** Resolves when this node listens and gossips. Throws BAD_OPTION when the address cannot be listened on. */
  async start(): Promise<void> {
    const { cluster, name, incarnation, join, ring, world, zone, rack, weight, gossip } = this.#options;
    if (ring !== undefined) this.#route(ring);
    else if (join.length === 0) await this.#take(this.#founded([{ name, zone, rack, weight }]));
    await this.#peers.open();
    this.#gossiper = new Gossiper({
      world,
      cluster,
      name,
      incarnation,
      address: this.#peers.address,
      seeds: join,
      app: this.#ring === undefined ? undefined : tagOf(this.#ring),
      send: (to, bytes) => this.#send(to, bytes),
      onEvent: event => this.#onEvent(event),
      options: { ...gossip, zone, rack, weight },
    });
    this.#gossiper.start();
    // All of them, and not only those that gossip happens to pick: who founds must have heard of whoever can be reached.
    for (const address of join) if (address !== this.#peers.address) this.#peers.join(address);
    this.#look();
  }

  /** Resolves when there is a ring. Rejects with STOPPED, or with what keeps this node from joining. */
  ready(): Promise<void> {
    return this.#ready.promise;
  }

  /** Says goodbye, and still a member: its partitions wait for it. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelLook?.();
    this.#gossiper?.stop();
    this.#ready.reject(new TroupeError('STOPPED', `node ${this.#options.name} has stopped`));
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
  plan(changes: Changes, options: PlanOptions = {}): RingPlan {
    const planned = plan(this.#joined(), changes, options);
    if (!isRefusal(planned)) return planned;
    const { error, ...details } = planned;
    const about = Object.values(details).join(', ');
    throw new TroupeError('BAD_OPTION', `no such plan: ${error}${about === '' ? '' : ` (${about})`}`, {
      details: { reason: error, ...details },
    });
  }

  #joined(): Ring {
    if (this.#ring !== undefined) return this.#ring;
    throw new TroupeError('OVERLOADED', `node ${this.#options.name} has not joined a ring yet: await node.ready()`);
  }

  /** host:port that others dial. */
  get address(): string {
    return this.#peers.address;
  }

  describe(): ClusterDescription {
    const { cluster, incarnation } = this.#options;
    const ring = this.#ring === undefined ? null : { epoch: this.#ring.epoch, hash: ringHash(this.#ring) };
    const gossip = this.#gossiper?.describe() ?? {};
    return { cluster, incarnation, ring, members: this.members(), gossip, links: this.#peers.describe() };
  }

  // Gossip.

  #onGossip(from: number, bytes: unknown): void {
    if (!(bytes instanceof Uint8Array)) throw new TroupeError('BAD_MESSAGE', 'gossip is bytes');
    const sender = this.#gateway.nameOf(from);
    if (sender !== undefined) this.#gossiper?.receive(sender, bytes, sender);
  }

  #send({ via, name, address }: To, bytes: Uint8Array): void {
    const known = name ?? (address === undefined ? undefined : this.#seeds.get(address));
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
        world.log.error({ why: event.why }, 'this node is no member any more; start it again to come back');
        break;
      case 'refused':
      case 'refused-by':
        // One a message: what is said of them is for describe(), and once for the log.
        if (this.#isNews(`${event.name} ${event.why} ${event.member}`)) world.log.warn({ ...event }, 'membership');
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
    this.#look();
  }

  /** Has it been told before? Forgets all of it when it is too much to remember. */
  #isNews(what: string): boolean {
    if (this.#told.has(what)) return false;
    if (this.#told.size >= membersMax) this.#told.clear();
    this.#told.add(what);
    return true;
  }

  #connect(name: string): void {
    const member = this.members().find(each => each.name === name);
    if (member === undefined || name === this.#options.name || member.address === '') return;
    this.#peers.connect(name, member.address);
    if (this.#numbers.has(name)) this.#gossiper?.linked(name, true);
    if (this.#ring !== undefined && !this.#gateway.nodes.names.includes(name)) this.#route(this.#ring);
  }

  // The ring.

  /** Is there a ring to take, or one to make? */
  #look(): void {
    const { name, world } = this.#options;
    const gossiper = this.#gossiper;
    if (gossiper === undefined || this.#stopped || this.#taking) return;
    const views = this.members();
    const holders = views.filter(member => member.name !== name && gossiper.appOf(member.name) !== undefined);
    if (this.#ring !== undefined) return this.#compare(holders, this.#ring);
    const holder = holders.find(member => this.#numbers.has(member.name));
    if (holder !== undefined) return this.#fetch(holder.name);
    const known = views
      .filter(({ status }) => status !== 'left' && status !== 'removed')
      .map(each => ({ name: each.name, isUp: each.status === 'up', hasRing: holders.includes(each) }));
    // Linked, and not heard of yet: in a moment it is a member.
    const strangers = [...this.#numbers.keys()].filter(linked => !views.some(member => member.name === linked));
    known.push(...strangers.map(each => ({ name: each, isUp: false, hasRing: false })));
    if (this.#founding.mayFound(known, world.clock.mono())) {
      const up = views.filter(({ status }) => status === 'up').map(member => ({ ...member, rack: '' }));
      this.#tryToTake(async () => this.#founded(up));
    } else this.#lookAgain();
  }

  /** One at a time; what fails (a full disk, a link that ends) is tried again. */
  #tryToTake(ring: () => Promise<Ring>): void {
    this.#taking = true;
    ring()
      .then(made => this.#take(made))
      .catch(error => {
        if (this.#isNews(`take ${error.message}`))
          this.#options.world.log.error({ err: error }, 'there is no ring yet; it is tried again');
        if (error.code === 'BAD_OPTION') this.#ready.reject(error);
        else this.#lookAgain();
      })
      .finally(() => {
        this.#taking = false;
      });
  }

  #lookAgain(): void {
    this.#cancelLook?.();
    this.#cancelLook = this.#options.world.clock.timer(foundAfterMs / 4, () => this.#look());
  }

  #founded(members: readonly Pick<RingMember, 'name' | 'zone' | 'rack' | 'weight'>[]): Ring {
    const { cluster, partitions, name } = this.#options;
    const nobodys = emptyRing({ cluster, partitions, claimant: name });
    const join = members.map(member => ({
      name: member.name,
      zone: member.zone,
      rack: member.rack,
      weight: member.weight,
    }));
    const planned = plan(nobodys, { join });
    const ring = isRefusal(planned) ? planned : commit(nobodys, planned, name, new Map());
    if (isRefusal(ring))
      throw new TroupeError('BAD_OPTION', `there can be no ring of ${join.length} nodes: ${ring.error}`);
    return ring as Ring;
  }

  #fetch(from: string): void {
    const { cluster, partitions } = this.#options;
    const number = this.#numbers.get(from);
    if (number === undefined) return;
    this.#tryToTake(async () => ringOf(await this.#gateway.asked(number, 'ring', null), cluster, partitions));
  }

  async #take(ring: Ring): Promise<void> {
    await this.#options.saveRing(ring);
    if (this.#stopped) return;
    this.#route(ring);
    this.#gossiper?.setApp(tagOf(ring));
    this.#options.emit('ring-changed', { epoch: ring.epoch, hash: ringHash(ring) });
  }

  #route(ring: Ring): void {
    this.#ring = ring;
    const known = this.members().map(({ name }) => name);
    this.#gateway.setNodes(tableOfRing(this.#options.name, ring.owners, known));
    this.#ready.resolve();
  }

  /** Two clusters that were founded apart have met. */
  #compare(holders: readonly MemberView[], ring: Ring): void {
    const own = ringHash(ring);
    const foreign = holders.find(({ name }) => this.#gossiper?.appOf(name)?.hash !== own);
    if (foreign === undefined || !this.#isNews(`foreign ${foreign.name}`)) return;
    const why = `${foreign.name} goes by another ring than ${this.#options.name}: two clusters of one name were founded apart. Keep one of them, and let the nodes of the other begin in empty directories`;
    this.#options.world.log.error({ member: foreign.name }, why);
    this.#options.emit('ring-conflict', { member: foreign.name, why });
  }
}
