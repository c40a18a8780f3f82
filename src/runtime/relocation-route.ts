// One host's view of who owns what, and the desk at which everything about moves arrives.
//
// The intuition: in calm weather this is a map from unit to owner that the router reads and nothing else. A unit that moves
// from or to this host gets one of four small machines (relocation-motions.ts), and a queue for what came from the future.
//
// From the future: links are FIFO one by one, not together, so a message may rest on news from the directory that this host
// has not read yet (a direct message before `moved`, a marker before the switch). Its epoch is above what we know. Such a
// message is parked, and read again, in order, once the news is here. That is the whole of it; no machine has a state for it.
//
// Invariants: a message to a unit is delivered, sent on, kept or refused, never dropped; after its marker
// this host sends nothing to the old owner; no unit runs here before the directory has said so.

import { type Owner, OwnerTable } from './owner-table.ts';
import { HoldTable } from './relocation-hold.ts';
import {
  type BetweenHosts,
  type DataMessage,
  type Epoch,
  type FromDirectory,
  type HostEffect,
  type HostId,
  type Moved,
  nowhere,
  type RelocationLimits,
  type RouteInput,
  type RouteReport,
  type RuntimeAnswer,
  relocationLimits,
  type ToDirectory,
  type Unit,
} from './relocation-messages.ts';
import { Motions, type Role } from './relocation-motions.ts';
import type { Checksum } from './relocation-pieces.ts';
import { SourceMove } from './relocation-source.ts';
import { TargetMove } from './relocation-target.ts';
import { Tombstone } from './relocation-tombstone.ts';
import type { Millis } from './world.ts';

export interface RouteOptions {
  readonly self: HostId;
  /** The host on which the directory lives. */
  readonly directory: HostId;
  readonly checksum: Checksum;
  readonly limits?: Partial<RelocationLimits>;
  /**
   * Learn of every move, also of units nobody here has talked to. For hosts that know where a unit lives by rule until it
   * moves for the first time (the threads of one process): to them an unknown unit is one that never moved.
   */
  readonly learnsAll?: boolean;
}

export class Route<P> {
  readonly self: HostId;
  readonly #directory: HostId;
  readonly #checksum: Checksum;
  readonly #limits: RelocationLimits;
  readonly #owners: OwnerTable;
  readonly #motions = new Motions<P>();
  /** Messages of local senders whose unit is being looked up. */
  readonly #resolving = new Map<Unit, P[]>();
  #resolvingCount = 0;
  readonly #learnsAll: boolean;
  readonly #counters = { strays: 0, refused: 0, thawed: 0 };

  constructor(options: RouteOptions) {
    this.self = options.self;
    this.#directory = options.directory;
    this.#checksum = options.checksum;
    this.#limits = { ...relocationLimits, ...options.limits };
    this.#learnsAll = options.learnsAll ?? false;
    this.#owners = new OwnerTable(this.#limits.routesMax);
  }

  // What the router asks for each message; neither allocates.

  /** Where to send. Undefined: give the message to step({ type: 'send' }). */
  ownerOf(unit: Unit): Owner | undefined {
    const owner = this.#owners.get(unit);
    return owner === undefined || owner.host === nowhere ? undefined : owner;
  }

  /** Units heard of, those whose owner is in doubt included. */
  get size(): number {
    return this.#owners.size;
  }

  /** Is there a unit that does not simply live where the table says? One that is just coming here may be the first. */
  get any(): boolean {
    return this.#owners.size !== 0 || this.#motions.any;
  }

  knows(unit: Unit): boolean {
    return this.#owners.get(unit) !== undefined;
  }

  /** False: what arrived for a unit that lives here goes straight to its mailbox. True: give it to step(). */
  inMotion(unit: Unit): boolean {
    return this.#motions.has(unit);
  }

  /** When to call step({ type: 'tick' }) next; undefined while nothing here waits for anything. */
  get deadlineAt(): Millis | undefined {
    return this.#motions.deadlineAt;
  }

  step(input: RouteInput<P>, now: Millis): HostEffect<P>[] {
    switch (input.type) {
      case 'heard':
        return this.#onHeard(input.from, input.message, now);
      case 'send':
        return this.#onSend(input.unit, input.payload, now);
      case 'propose':
        return [this.#tell(input)];
      case 'tick':
        return this.#motions.onTick(now);
      default:
        return this.#onAnswer(input, now);
    }
  }

  #onHeard(from: HostId, message: FromDirectory | BetweenHosts<P>, now: Millis): HostEffect<P>[] {
    switch (message.type) {
      case 'moved':
        return this.#onMoved(message, now);
      case 'located':
        return this.#onLocated(message.unit, message.host, message.epoch, now);
      case 'grant':
        return this.#onGrant(message.unit, message.epoch, now);
      case 'reserve':
        return this.#onReserve(message.unit, message.epoch, message.from, now);
      case 'freeze':
        return this.#onFreeze(message.unit, message.epoch, message.to, now);
      case 'thaw':
        return this.#onThaw(message.unit, message.epoch, now);
      case 'died':
        return this.#onDied(message.host, message.tombstones);
      case 'outcome':
        return [message];
      case 'cancel':
      case 'piece':
        return this.#motions.onTarget(message.unit, message.epoch, target => target.step(message, now));
      case 'piece-ok':
        return this.#motions.onSource(message.unit, message.epoch, source => source.step(message, now));
      default:
        return this.#onData(from, message, now);
    }
  }

  /** What was asked of the runtime under another epoch is of no use any more, and a room set aside for it is given back. */
  #onAnswer(answer: RuntimeAnswer, now: Millis): HostEffect<P>[] {
    const { unit, epoch } = answer;
    switch (answer.type) {
      case 'frozen':
      case 'packed':
      case 'pack-failed':
        return this.#motions.onSource(unit, epoch, source => source.step(answer, now));
      default:
        return this.#motions.onTarget(unit, epoch, target => target.step(answer, now), [
          { type: 'discard', unit, epoch },
        ]);
    }
  }

  // ---------------------------------------------------------------------------------------------------------------
  // Messages to units

  #onSend(unit: Unit, payload: P, now: Millis): HostEffect<P>[] {
    const owner = this.ownerOf(unit);
    if (owner === undefined) return this.#resolve(unit, payload);
    const message = { type: 'direct', unit, epoch: owner.epoch, payload } as const;
    return owner.host === this.self ? this.#onData(this.self, message, now) : [this.#send(owner.host, message)];
  }

  #resolve(unit: Unit, payload: P): HostEffect<P>[] {
    if (this.#resolvingCount >= this.#limits.resolvingMax) return this.#refuse(unit, this.self, payload, 'resolving');
    this.#resolvingCount++;
    const waiting = this.#resolving.get(unit);
    if (waiting === undefined) {
      this.#resolving.set(unit, [payload]);
      return [this.#tell({ type: 'resolve', unit })];
    }
    waiting.push(payload);
    return [];
  }

  #onData(from: HostId, message: DataMessage<P>, now: Millis): HostEffect<P>[] {
    const { unit, epoch } = message;
    if (this.#isFuture(unit, epoch)) return this.#park(from, message);
    switch (message.type) {
      case 'direct':
        return this.#onMessage(unit, from, message.payload, false, now);
      case 'forward':
        return this.#onMessage(unit, message.from, message.payload, true, now);
      case 'marker':
        return this.#motions.onTombstone(unit, epoch, tombstone => tombstone.step({ type: 'marker', from }));
      case 'passed':
      case 'parted':
        return this.#motions.onHold(unit, epoch, hold => hold.step(message));
    }
  }

  /** Does it rest on news that this host has not read yet? */
  #isFuture(unit: Unit, epoch: Epoch): boolean {
    const owner = this.ownerOf(unit);
    const role = this.#motions.roleOf(unit);
    if (owner === undefined) return true; // never heard of it, or its owner died and the next one is not named yet
    // A calm owner takes whatever it gets: the sender merely heard of our fresh epoch before us.
    const isCalm = role === undefined && owner.host === this.self;
    return epoch > owner.epoch && !isCalm;
  }

  #park(from: HostId, message: DataMessage<P>): HostEffect<P>[] {
    const { unit } = message;
    const count = this.#motions.parkedCount(unit);
    if (message.type === 'direct' && count >= this.#limits.parkedMax) {
      return this.#refuse(unit, from, message.payload, 'parked');
    }
    this.#motions.park(unit, { from, message });
    // With a machine the directory's word is on its way. Without one it should be, too; asking makes sure that some word comes.
    const asks = count === 0 && this.#motions.roleOf(unit) === undefined;
    return asks ? [this.#tell({ type: 'resolve', unit })] : [];
  }

  #onMessage(unit: Unit, from: HostId, payload: P, isForwarded: boolean, now: Millis): HostEffect<P>[] {
    const role = this.#motions.roleOf(unit);
    switch (role?.kind) {
      case 'source':
        return this.#counted(role.step({ type: 'arrive', from, payload }, now));
      case 'tombstone':
        return role.step({ type: 'arrive', from, payload });
      case 'hold':
        return this.#counted(role.step({ type: isForwarded ? 'forward' : 'direct', from, payload }));
    }
    const owner = this.#owners.get(unit) as Owner;
    if (owner.host === this.self) return [{ type: 'deliver', unit, from, payload, accepted: isForwarded }];
    // Not ours, and no tombstone left: markers make this impossible between live hosts. It goes where it belongs all the same.
    this.#counters.strays++;
    return [this.#send(owner.host, { type: 'forward', unit, epoch: owner.epoch, from, payload })];
  }

  // ---------------------------------------------------------------------------------------------------------------
  // News from the directory

  #onMoved(moved: Moved, now: Millis): HostEffect<P>[] {
    const { unit, epoch, to, via } = moved;
    if (epoch <= this.#owners.epochOf(unit)) return [];
    const role = this.#motions.roleOf(unit);
    const parting = via === this.self ? this.#becomeTombstone(moved, role, now) : this.#stepAside(moved, role);
    const concernsUs = to === this.self || via === this.self || this.#motions.has(unit) || this.#resolving.has(unit);
    if (concernsUs || this.#learnsAll || this.#owners.get(unit) !== undefined) this.#learn(unit, to, epoch);
    // Behind our last message to the old owner. The new one holds what we send to it until this has passed.
    const marked = via === nowhere ? [] : this.#mark(via, unit, epoch);
    const arrived = to === this.self ? this.#becomeHolding(moved, role) : [];
    return [...parting, ...marked, ...arrived, ...this.#catchUp(unit, now)];
  }

  #becomeTombstone(moved: Moved, role: Role<P> | undefined, now: Millis): HostEffect<P>[] {
    const { unit, epoch, to, hosts } = moved;
    // Its new owner died: the tombstone gets another one, or is dug up again when it had gone with the last marker.
    if (role?.kind !== 'source') {
      const stats = role?.kind === 'tombstone' ? role.stats : { pausedMs: 0, shipped: 0, forwarded: 0 };
      this.#motions.become(unit, new Tombstone<P>({ unit, epoch, to, hosts, stats }));
      return [];
    }
    const stats = { pausedMs: this.#motions.pausedBy(role, now), shipped: role.shipped, forwarded: 0 };
    const tombstone = new Tombstone<P>({ unit, epoch, to, hosts, stats });
    this.#motions.become(unit, tombstone);
    const late = role.late.flatMap(({ from, payload }) => tombstone.step({ type: 'arrive', from, payload }));
    return [{ type: 'retire', unit }, ...late];
  }

  /** We are not the one who forwards. A host that still believed to own the unit was taken for dead and learns it here. */
  #stepAside(moved: Moved, role: Role<P> | undefined): HostEffect<P>[] {
    const { unit, to } = moved;
    if (role?.kind !== 'target') this.#motions.become(unit, undefined);
    const wasOurs = this.#owners.hostOf(unit) === this.self;
    return wasOurs && to !== this.self ? [{ type: 'retire', unit }] : [];
  }

  #mark(via: HostId, unit: Unit, epoch: Epoch): HostEffect<P>[] {
    if (via !== this.self) return [this.#send(via, { type: 'marker', unit, epoch })];
    return this.#motions.onTombstone(unit, epoch, tombstone => tombstone.step({ type: 'marker', from: via }));
  }

  #becomeHolding(moved: Moved, role: Role<P> | undefined): HostEffect<P>[] {
    const { unit, epoch, via, hosts, how } = moved;
    const isInstalled = role?.kind === 'target' && role.epoch === epoch && role.state === 'installed';
    if (how === 'shipped' && !isInstalled) {
      throw new Error(`${unit} was switched to host ${this.self} under epoch ${epoch}, but it is not installed there`);
    }
    this.#motions.become(unit, new HoldTable<P>({ unit, epoch, via, hosts, directory: this.#directory }, this.#limits));
    return [{ type: 'activate', unit, epoch, how }];
  }

  #onGrant(unit: Unit, epoch: Epoch, now: Millis): HostEffect<P>[] {
    if (epoch <= this.#owners.epochOf(unit)) return [];
    this.#motions.become(unit, undefined); // a tombstone may stand here, whose new owner died
    this.#learn(unit, this.self, epoch);
    return [{ type: 'activate', unit, epoch, how: 'disk' }, ...this.#catchUp(unit, now)];
  }

  #onLocated(unit: Unit, host: HostId, epoch: Epoch, now: Millis): HostEffect<P>[] {
    if (epoch >= this.#owners.epochOf(unit)) this.#learn(unit, host, epoch);
    return this.#catchUp(unit, now);
  }

  #onReserve(unit: Unit, epoch: Epoch, from: HostId, now: Millis): HostEffect<P>[] {
    if (this.#motions.roleOf(unit) !== undefined) {
      return [this.#tell({ type: 'abort', unit, epoch, reason: 'not-owner' })];
    }
    const facts = { unit, epoch, from, directory: this.#directory };
    const target = new TargetMove<P>(facts, this.#limits, this.#checksum, now);
    this.#motions.become(unit, target);
    return target.begin();
  }

  #onFreeze(unit: Unit, epoch: Epoch, to: HostId, now: Millis): HostEffect<P>[] {
    const isOurs = this.#owners.hostOf(unit) === this.self && this.#motions.roleOf(unit) === undefined;
    if (!isOurs) return [this.#tell({ type: 'abort', unit, epoch, reason: 'not-owner' })];
    const source = new SourceMove<P>({ unit, epoch, to, directory: this.#directory }, this.#limits, now);
    this.#motions.become(unit, source);
    return source.begin();
  }

  #onThaw(unit: Unit, epoch: Epoch, now: Millis): HostEffect<P>[] {
    if (epoch <= this.#owners.epochOf(unit)) return [];
    const role = this.#motions.roleOf(unit);
    this.#counters.thawed++;
    this.#learn(unit, this.self, epoch);
    // Called off before the freeze came here: nothing to undo, the fresh epoch is taken all the same.
    if (role?.kind !== 'source') return [{ type: 'thaw', unit, epoch }, ...this.#catchUp(unit, now)];
    this.#motions.pausedBy(role, now);
    this.#motions.become(unit, undefined);
    return [...role.thaw(epoch), ...this.#catchUp(unit, now)];
  }

  #onDied(host: HostId, tombstones: readonly (readonly [Unit, Epoch])[]): HostEffect<P>[] {
    const units = this.#owners.forgetHost(host);
    return [
      { type: 'hang-up', host },
      ...(units.length > 0 ? [{ type: 'lost', host, units } as const] : []),
      ...tombstones.map(([unit, below]) => ({ type: 'doubt', unit, below }) as const),
      ...this.#motions.onDied(host),
    ];
  }

  /** The owner is known anew: read again what came too early, and send what waited for it. */
  #catchUp(unit: Unit, now: Millis): HostEffect<P>[] {
    const effects = this.#motions.unpark(unit).flatMap(({ from, message }) => this.#onData(from, message, now));
    const waiting = this.#resolving.get(unit);
    if (waiting === undefined || this.ownerOf(unit) === undefined) return effects;
    this.#resolving.delete(unit);
    this.#resolvingCount -= waiting.length;
    return [...effects, ...waiting.flatMap(payload => this.#onSend(unit, payload, now))];
  }

  // ---------------------------------------------------------------------------------------------------------------

  #learn(unit: Unit, host: HostId, epoch: Epoch): void {
    const { self } = this;
    this.#owners.learn(unit, host, epoch, owner => owner.host !== self && !this.#motions.has(owner.unit));
  }

  #counted(effects: HostEffect<P>[]): HostEffect<P>[] {
    if (effects[0]?.type === 'refuse') this.#counters.refused++;
    return effects;
  }

  #refuse(unit: Unit, from: HostId, payload: P, by: 'parked' | 'resolving'): HostEffect<P>[] {
    return this.#counted([{ type: 'refuse', unit, from, payload, by }]);
  }

  #send(to: HostId, message: BetweenHosts<P>): HostEffect<P> {
    return { type: 'send', to, message };
  }

  #tell(message: ToDirectory): HostEffect<P> {
    return { type: 'send', to: this.#directory, message };
  }

  unitsInMotion(): Unit[] {
    return this.#motions.units();
  }

  describe(): RouteReport {
    return {
      self: this.self,
      routes: this.#owners.size,
      resolving: this.#resolvingCount,
      ...this.#counters,
      ...this.#motions.counters,
      motions: this.#motions.describe(),
    };
  }
}
