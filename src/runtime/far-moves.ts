// Moves, as one host takes part in them: feeds the relocation route with what happens, and does what it asks for. The
// protocol is in relocation-*.ts (pure), the handling of the actor itself in moves.ts; this shell joins the two.
//
// Invariant: the route's effects are performed in the order it gave them, one input at a time: an effect that causes
// another input puts it in a queue, so no machine is stepped from within its own step.

import { TroupeError } from '../errors.ts';
import type { Activation } from './activation.ts';
import { type Call, ended } from './call.ts';
import { Wake } from './failures.ts';
import { FarCalls } from './far-calls.ts';
import type { Outgoing } from './far-peer.ts';
import type { FarRouter } from './far-router.ts';
import { OutgoingAsk, OutgoingTell } from './far-send.ts';
import { FarTopics } from './far-topics.ts';
import { FarUnits } from './far-units.ts';
import { moving } from './flags.ts';
import type { Host } from './host.ts';
import { unitBytes } from './mailbox.ts';
import { crowdedOut, MovingCrowds } from './moving-crowd.ts';
import type { BaseRef } from './refs.ts';
import type {
  BetweenHosts,
  FromDirectory,
  HostEffect,
  HostId,
  Outcome,
  RouteInput,
  ToDirectory,
  Unit,
} from './relocation-messages.ts';
import { isForDirectory } from './relocation-messages.ts';
import type { Checksum } from './relocation-pieces.ts';
import { Route } from './relocation-route.ts';
import { unitsOf } from './weight.ts';

/** A message on its way: as it lies in a mailbox. */
export interface FarMessage {
  readonly code: number;
  readonly a0: unknown;
  readonly a1: unknown;
  readonly call: Call | null;
}

const none: readonly string[] = [];

/** A host number holds the thread and how often it has been restarted: a new life is a new host. */
export const livesPerThread = 4_096;
export const threadOf = (host: HostId): number => Math.floor(host / livesPerThread);
export const hostOf = (thread: number, life: number): HostId => thread * livesPerThread + life;

export interface FarMovesOptions {
  readonly self: HostId;
  readonly directory: HostId;
  readonly checksum: Checksum;
  /** Only on the directory's host: hands a message to it. */
  readonly toDirectory?: (from: HostId, message: ToDirectory) => void;
  readonly relocateTurnMs?: number;
}

export class FarMoves {
  readonly router: FarRouter;
  readonly calls: FarCalls;
  readonly topics: FarTopics;
  readonly units: FarUnits;
  readonly route: Route<FarMessage>;
  private readonly crowds = new MovingCrowds();
  private readonly host: Host;
  private readonly options: FarMovesOptions;
  private readonly inputs: RouteInput<FarMessage>[] = [];
  private stepping = false;
  private tick: Wake | null = null;
  private tickAt = Number.POSITIVE_INFINITY;
  private readonly tickets = new Map<number, { resolve(outcome: Outcome): void; reject(error: TroupeError): void }>();
  private ticket = 0;
  private readonly hungUp = new Set<HostId>();
  /** Messages for a thread that died before this one had heard of it. */
  undelivered = 0;

  constructor(router: FarRouter, options: FarMovesOptions) {
    this.router = router;
    this.host = router.host;
    this.options = options;
    this.calls = new FarCalls(router);
    this.units = new FarUnits(this, options.checksum);
    this.topics = new FarTopics(router, this);
    this.host.topics.gate = this.topics;
    const limits = options.relocateTurnMs === undefined ? {} : { turnMs: options.relocateTurnMs };
    this.route = new Route<FarMessage>({
      self: options.self,
      directory: options.directory,
      checksum: options.checksum,
      limits,
      learnsAll: true,
    });
    router.on('move', (from, { host, message }) => this.heard(host ?? hostOf(from, 0), this.importMessage(message)));
    router.on('forwarded', (from, { unit, epoch, ...message }) => this.forwarded(from, unit, epoch, message));
    router.on('movable', (_from, unit: Unit) => this.units.movable(unit));
    router.on('why-aborted', (_from, unit: Unit) => this.units.refusalOf(unit));
  }

  /** Whether anything has ever moved: until then nobody need look. */
  get any(): boolean {
    return this.route.any;
  }

  knows(unit: Unit): boolean {
    return this.route.knows(unit);
  }

  inMotion(unit: Unit): boolean {
    return this.route.inMotion(unit);
  }

  /** The thread of a unit that has moved; -2 when the directory must be asked; undefined when it never moved. */
  threadOf(unit: Unit): number | undefined {
    if (!this.route.knows(unit)) return undefined;
    const owner = this.route.ownerOf(unit);
    return owner === undefined ? -2 : threadOf(owner.host);
  }

  /** A tell of an actor of this thread to a unit in motion or in doubt. A promise when it has to wait; throws OVERLOADED. */
  tell(ref: BaseRef, code: number, a0: unknown, a1: unknown): Promise<void> | undefined {
    const unit = ref.toString();
    if (!this.inMotion(unit) || this.crowds.admits(ref, unit, unitsOf(code, a0, a1) * unitBytes)) {
      this.send(unit, { code, a0, a1, call: null });
      return undefined;
    }
    const message = new OutgoingTell(this.router, this.host.thread, ref, code, a0, a1);
    if (!this.crowds.keep(ref, unit, message)) throw crowdedOut(unit);
    return message.sent;
  }

  /** The same of one whose sender was told that it is on its way: it waits only where others do. */
  tellSurely(ref: BaseRef, code: number, a0: unknown, a1: unknown): Promise<void> | undefined {
    const unit = ref.toString();
    if (!this.crowds.isWaiting(unit)) {
      this.send(unit, { code, a0, a1, call: null });
      return undefined;
    }
    const message = new OutgoingTell(this.router, this.host.thread, ref, code, a0, a1);
    if (!this.crowds.keep(ref, unit, message)) throw crowdedOut(unit);
    return message.sent;
  }

  /** What waits in front of those that are on the move. */
  takeWaitingOf(which: (unit: Unit) => boolean): Outgoing[] {
    return this.crowds.takeOf(which);
  }

  ask(ref: BaseRef, call: Call, code: number, a0: unknown, a1: unknown): void {
    const unit = ref.toString();
    if (!this.inMotion(unit) || this.crowds.admits(ref, unit, unitsOf(code, a0, a1) * unitBytes))
      return this.send(unit, { code, a0, a1, call });
    const message = new OutgoingAsk(this.router, this.host.thread, ref, call, code, a0, a1);
    if (!this.crowds.keep(ref, unit, message)) this.host.fail(call, crowdedOut(unit));
  }

  /** A local sender's message to a unit in motion or in doubt. */
  send(unit: Unit, payload: FarMessage): void {
    this.step({ type: 'send', unit, payload });
  }

  /** The epoch of a moved unit's owner as far as this host knows: it goes with every message to it. */
  epochOf(unit: Unit): number {
    return this.route.ownerOf(unit)?.epoch ?? -1;
  }

  /**
   * A message from another thread for a unit that has moved or is moving here. `epoch` is what its sender believed in: a
   * higher one than ours means that the sender has read news which is still on its way to us, and the route waits for it.
   */
  arrived(from: number, unit: Unit, epoch: number, payload: FarMessage): void {
    const message = { type: 'direct', unit, epoch: Math.max(0, epoch), payload } as const;
    this.step({ type: 'heard', from: this.lifeOf(from), message });
  }

  /** A message that another thread had been sent, and that may be ours. */
  private forwarded(from: number, unit: Unit, epoch: number, message: any): void {
    const { hosted, key } = this.units.split(unit);
    const payload = this.calls.importMessage(message);
    if (hosted === undefined) this.units.refuse(unit, payload, 'no-type');
    else this.router.arrivals.arriveSlow(from, { hosted, key, act: null, ref: null }, epoch, payload);
  }

  heard(from: HostId, message: FromDirectory | BetweenHosts<FarMessage> | ToDirectory): void {
    if (this.hungUp.has(from)) return;
    if (isForDirectory(message)) this.options.toDirectory?.(from, message);
    else this.step({ type: 'heard', from, message });
  }

  propose(unit: Unit, to: HostId): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      const ticket = ++this.ticket;
      this.tickets.set(ticket, { resolve, reject });
      this.step({ type: 'propose', unit, to, expect: 0, ticket });
    });
  }

  /** Current lives of the threads, told by the overseer. */
  readonly lives: number[] = [];

  private lifeOf(thread: number): HostId {
    return hostOf(thread, this.lives[thread] ?? 0);
  }

  step(input: RouteInput<FarMessage>): void {
    this.inputs.push(input);
    if (this.stepping) return;
    this.stepping = true;
    try {
      for (let next = this.inputs.shift(); next !== undefined; next = this.inputs.shift()) {
        // A death and a deadline name no unit, and may end the motion of several.
        const isAnys = next.type === 'tick' || (next.type === 'heard' && next.message.type === 'died');
        const concerned = isAnys ? this.route.unitsInMotion() : [];
        const topics = next.type === 'heard' ? this.topicsOf(next.message) : none;
        const effects = this.route.step(next, this.host.now());
        for (const effect of effects) this.perform(effect);
        if ('unit' in next) this.mark(next.unit);
        else if (next.type === 'heard' && 'unit' in next.message) this.mark(next.message.unit);
        for (const unit of concerned) this.mark(unit);
        if (next.type === 'heard') this.follow(next.from, next.message, topics);
      }
    } finally {
      this.stepping = false;
    }
    this.armTick();
  }

  /** What a unit that leaves us is subscribed to: the step that retires it forgets. */
  private topicsOf(message: FromDirectory | BetweenHosts<FarMessage>): readonly string[] {
    return message.type === 'moved' && message.via === this.options.self ? this.host.topics.of(message.unit) : none;
  }

  /** What news means for those outside the protocol. */
  private follow(from: HostId, message: FromDirectory | BetweenHosts<FarMessage>, topics: readonly string[]): void {
    if (message.type === 'marker') this.topics.marked(message.unit, threadOf(from));
    if (message.type !== 'moved' && message.type !== 'died') return;
    this.host.epochs.renew();
    this.router.version++;
    if (message.type === 'moved') {
      this.topics.moved(message, topics);
      // What has been waiting for its mailbox over there is sent after it.
      for (const peer of this.router.peers)
        for (const waiting of peer?.takeWaiting(message.unit) ?? []) this.host.outside(() => waiting.again());
    } else {
      this.topics.died(threadOf(message.host));
      this.router.deaths.settle();
    }
  }

  /** Messages take the slow road to an actor exactly while its unit is in motion here. */
  private mark(unit: Unit): void {
    const inMotion = this.route.inMotion(unit);
    const act = this.units.residentOf(unit);
    if (act !== undefined) {
      if (inMotion) act.flags |= moving;
      else if (!this.isLookedAfter(act)) act.flags &= ~moving;
      this.router.version++;
    }
    // What waits for room where it was is before all that is sent from now on; so is, when the move is over, what waited for that.
    const waiting = inMotion
      ? this.router.peers.flatMap(peer => peer?.takeWaiting(unit) ?? [])
      : this.crowds.over(unit);
    if (waiting.length > 0) this.host.outside(() => waiting.forEach(message => void message.again()));
  }

  /** Do its messages take the slow road for another reason: its partition changes hands, or it moves between nodes, or is a guest? */
  private isLookedAfter({ hosted, key, id }: Activation): boolean {
    const { places, held, holding } = this.router;
    return (holding && held.of(hosted, key) !== undefined) || !places.isOurs(hosted, key) || places.takesOwnWay(id);
  }

  private armTick(): void {
    const at = this.route.deadlineAt ?? Number.POSITIVE_INFINITY;
    if (at === this.tickAt) return;
    if (this.tick !== null) this.host.disarm(this.tick);
    this.tickAt = at;
    if (at === Number.POSITIVE_INFINITY) return;
    this.tick = new Wake(() => {
      this.tickAt = Number.POSITIVE_INFINITY;
      // Not before the links have been read: after a long block the answer may be there already.
      this.host.world.clock.soon(() => this.step({ type: 'tick' }));
    });
    this.host.arm(this.tick, at);
  }

  private perform(effect: HostEffect<FarMessage>): void {
    switch (effect.type) {
      case 'send':
        return this.post(effect.to, effect.message);
      case 'deliver':
        return this.units.deliver(effect.unit, effect.from, effect.payload, effect.accepted);
      case 'refuse':
        return this.units.refuse(effect.unit, effect.payload, effect.by);
      case 'reserve':
        return this.units.reserve(effect.unit, effect.epoch);
      case 'freeze':
        return this.units.freeze(effect.unit, effect.epoch);
      case 'pack':
        return this.units.pack(effect.unit, effect.epoch);
      case 'install':
        return this.units.install(effect.unit, effect.epoch, effect.pieces);
      case 'discard':
        return this.units.discard(effect.unit);
      case 'thaw':
        return this.units.thaw(effect.unit, effect.epoch);
      case 'activate':
        return this.units.activate(effect.unit, effect.epoch, effect.how);
      case 'retire':
        return this.units.retire(effect.unit);
      case 'hang-up':
        this.hungUp.add(effect.host);
        return;
      case 'lost':
        // Calls to what lived there were ended with the thread (FarRouter.peerDied).
        return;
      case 'doubt':
        return this.units.doubt(effect.unit);
      case 'outcome': {
        const ticket = this.tickets.get(effect.ticket);
        this.tickets.delete(effect.ticket);
        ticket?.resolve(effect.outcome);
      }
    }
  }

  private post(to: HostId, message: ToDirectory | BetweenHosts<FarMessage>): void {
    if (to === this.options.self) {
      if (isForDirectory(message)) this.options.toDirectory?.(to, message);
      else this.step({ type: 'heard', from: to, message });
      return;
    }
    const envelope = 'payload' in message ? this.exportEnvelope(to, message) : message;
    if (envelope !== undefined)
      this.router.control(threadOf(to), 'move', { host: this.options.self, message: envelope });
  }

  /** A user's message leaves this host for good. One that nobody wants any more stays behind. */
  private exportEnvelope(
    to: HostId,
    message: Extract<BetweenHosts<FarMessage>, { payload: FarMessage }>,
  ): object | undefined {
    const { payload, unit } = message;
    if (payload.call?.state === ended) return undefined;
    if (this.router.peers[threadOf(to)]?.gone === true) {
      this.undelivered++;
      this.units.refuse(unit, payload, 'its thread has died');
      return undefined;
    }
    const exported = this.calls.exportMessage(payload);
    if (payload.call?.arrived === true) this.router.arrivals.silence(payload.call);
    return { ...message, payload: exported };
  }

  private importMessage(message: any): FromDirectory | BetweenHosts<FarMessage> | ToDirectory {
    return message.payload === undefined ? message : { ...message, payload: this.calls.importMessage(message.payload) };
  }

  /** Nobody will say how the moves that are under way end. */
  stop(): void {
    const why = `node ${this.host.node} stopped while the move was under way`;
    for (const { reject } of this.tickets.values()) reject(new TroupeError('STOPPED', why, { outcome: 'unknown' }));
    this.tickets.clear();
    this.crowds.stop(new TroupeError('STOPPED', `node ${this.host.node} stopped; the message was not sent`));
  }

  describe(): object {
    return { ...this.route.describe(), undelivered: this.undelivered };
  }
}
