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
import type { FarRouter } from './far-router.ts';
import { FarTopics } from './far-topics.ts';
import { dead, frozen, moving } from './flags.ts';
import type { Host } from './host.ts';
import type { HostedType } from './hosted-type.ts';
import { argumentsOf } from './messages.ts';
import { freeze, install, type PackedActor, pack, retire, run, thaw, unmovable } from './moves.ts';
import type { RecordCopy } from './persistence.ts';
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
import { type Checksum, cutPieces, joinPieces } from './relocation-pieces.ts';
import { Route } from './relocation-route.ts';

/** A message on its way: as it lies in a mailbox. */
export interface FarMessage {
  readonly code: number;
  readonly a0: unknown;
  readonly a1: unknown;
  readonly call: Call | null;
}

/** What is shipped: the actor, and its records when threads do not share the engine. */
interface Shipment {
  readonly actor: PackedActor;
  readonly records: readonly RecordCopy[];
}

const none: readonly string[] = [];

/** An actor may end (go to sleep, stop) while a move waits for it to come to rest: so often it is woken again for the move. */
const wakingsMax = 3;

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
  private readonly topics: FarTopics;
  readonly route: Route<FarMessage>;
  private readonly host: Host;
  private readonly options: FarMovesOptions;
  private readonly inputs: RouteInput<FarMessage>[] = [];
  private stepping = false;
  private tick: Wake | null = null;
  private tickAt = Number.POSITIVE_INFINITY;
  private readonly tickets = new Map<number, (outcome: Outcome) => void>();
  private ticket = 0;
  /** Installed, not running yet. */
  private readonly installed = new Map<Unit, Activation>();
  /** Moves that wait until the actor has come to rest. */
  private readonly freezes = new Map<Unit, { readonly epoch: number; wakings: number }>();
  /** Why the last move of a unit could not be packed, for the one who asked. */
  private readonly refusals = new Map<Unit, string>();
  private readonly hungUp = new Set<HostId>();
  /** Messages for a thread that died before this one had heard of it. */
  undelivered = 0;

  constructor(router: FarRouter, options: FarMovesOptions) {
    this.router = router;
    this.host = router.host;
    this.options = options;
    this.calls = new FarCalls(router);
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
    router.on('movable', (_from, unit: Unit) => this.movable(unit));
    router.on('why-aborted', (_from, unit: Unit) => this.refusals.get(unit));
  }

  /** Whether anything has ever moved: until then nobody need look. */
  get any(): boolean {
    return this.route.size !== 0;
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
    const { hosted, key } = this.split(unit);
    const payload = this.calls.importMessage(message);
    if (hosted === undefined) this.refuse(unit, payload, 'no-type');
    else this.router.arrivals.arriveSlow(from, { hosted, key, act: null }, epoch, payload);
  }

  heard(from: HostId, message: FromDirectory | BetweenHosts<FarMessage> | ToDirectory): void {
    if (this.hungUp.has(from)) return;
    if (isForDirectory(message)) this.options.toDirectory?.(from, message);
    else this.step({ type: 'heard', from, message });
  }

  propose(unit: Unit, to: HostId): Promise<Outcome> {
    return new Promise(resolve => {
      const ticket = ++this.ticket;
      this.tickets.set(ticket, resolve);
      this.step({ type: 'propose', unit, to, expect: 0, ticket });
    });
  }

  /** Current lives of the threads, told by the overseer. */
  readonly lives: number[] = [];

  private lifeOf(thread: number): HostId {
    return hostOf(thread, this.lives[thread] ?? 0);
  }

  private step(input: RouteInput<FarMessage>): void {
    this.inputs.push(input);
    if (this.stepping) return;
    this.stepping = true;
    try {
      for (let next = this.inputs.shift(); next !== undefined; next = this.inputs.shift()) {
        const died = next.type === 'heard' && next.message.type === 'died';
        const concerned = died ? this.route.unitsInMotion() : [];
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
      this.router.moved(message.unit);
    } else {
      this.topics.died(threadOf(message.host));
      this.router.settleUnsent();
    }
  }

  /** Messages take the slow road to an actor exactly while its unit is in motion here. */
  private mark(unit: Unit): void {
    const act = this.residentOf(unit);
    if (act === undefined) return;
    if (this.route.inMotion(unit)) act.flags |= moving;
    else act.flags &= ~moving;
    this.router.version++;
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
        return this.deliver(effect.unit, effect.from, effect.payload, effect.accepted);
      case 'refuse':
        return this.refuse(effect.unit, effect.payload, effect.by);
      case 'reserve':
        return this.reserve(effect.unit, effect.epoch);
      case 'freeze':
        return this.freeze(effect.unit, effect.epoch);
      case 'pack':
        return this.pack(effect.unit, effect.epoch);
      case 'install':
        return this.install(effect.unit, effect.epoch, effect.pieces);
      case 'discard':
        return this.discard(effect.unit);
      case 'thaw':
        return this.thaw(effect.unit, effect.epoch);
      case 'activate':
        return this.activate(effect.unit, effect.epoch, effect.how);
      case 'retire':
        return this.retire(effect.unit);
      case 'hang-up':
        this.hungUp.add(effect.host);
        return;
      case 'lost':
        // Calls to what lived there were ended with the thread (FarRouter.peerDied).
        return;
      case 'doubt':
        return this.doubt(effect.unit);
      case 'outcome': {
        const settle = this.tickets.get(effect.ticket);
        this.tickets.delete(effect.ticket);
        settle?.(effect.outcome);
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
      this.refuse(unit, payload, 'its thread has died');
      return undefined;
    }
    const exported = this.calls.exportMessage(payload);
    if (payload.call?.arrived === true) this.router.arrivals.silence(payload.call);
    return { ...message, payload: exported };
  }

  private importMessage(message: any): FromDirectory | BetweenHosts<FarMessage> | ToDirectory {
    return message.payload === undefined ? message : { ...message, payload: this.calls.importMessage(message.payload) };
  }

  // What the route asks for.

  private split(unit: Unit): { hosted: HostedType | undefined; key: string } {
    const slash = unit.indexOf('/');
    return { hosted: this.host.byName.get(unit.slice(0, slash)), key: unit.slice(slash + 1) };
  }

  private residentOf(unit: Unit): Activation | undefined {
    const { hosted, key } = this.split(unit);
    return hosted?.live.get(key);
  }

  private deliver(unit: Unit, from: HostId, payload: FarMessage, accepted: boolean): void {
    const { hosted, key } = this.split(unit);
    if (hosted === undefined) return this.refuse(unit, payload, 'no-type');
    try {
      const act = hosted.live.get(key) ?? this.host.activate(hosted, key);
      this.router.arrivals.deliver(act, threadOf(from), payload.code, payload.a0, payload.a1, payload.call, accepted);
    } catch (error) {
      if (payload.call !== null) this.host.fail(payload.call, error);
      else this.refuse(unit, payload, String(error));
    }
  }

  private refuse(unit: Unit, payload: FarMessage, by: string): void {
    const why = `${unit} is on the move and cannot take more (${by}); the message was not run`;
    if (payload.call !== null) this.host.fail(payload.call, new TroupeError('OVERLOADED', why));
    else
      this.host.deadLetter(
        unit,
        this.split(unit).hosted?.nameOf((payload.code >>> 2) & 255) ?? '?',
        argumentsOf(payload.code, payload.a0, payload.a1),
        why,
      );
  }

  private reserve(unit: Unit, epoch: number): void {
    const { hosted } = this.split(unit);
    const room = hosted !== undefined && !this.host.stopped && this.host.residents.hasRoom;
    this.step({ type: room ? 'reserved' : 'reserve-refused', unit, epoch });
  }

  /** Why a unit cannot leave this host now; undefined when it can. */
  private movable(unit: Unit): string | undefined {
    const act = this.residentOf(unit);
    if (act === undefined) {
      const placement = this.split(unit).hosted?.spec.placement;
      return placement === 'pinned' || placement === 'pool' ? `its placement is '${placement}'` : undefined;
    }
    return unmovable(act);
  }

  private freeze(unit: Unit, epoch: number): void {
    this.refusals.delete(unit);
    this.freezes.set(unit, { epoch, wakings: 0 });
    this.bringToRest(unit);
  }

  private bringToRest(unit: Unit): void {
    const waiting = this.freezes.get(unit);
    const { hosted, key } = this.split(unit);
    if (waiting === undefined || hosted === undefined) return;
    const done = (): void => {
      if (!this.freezes.delete(unit)) return;
      this.step({ type: 'frozen', unit, epoch: waiting.epoch });
    };
    try {
      const act = hosted.live.get(key) ?? this.host.activate(hosted, key);
      act.flags |= moving;
      // On its way to sleep, or ending: when that is over, onEnded() comes back here.
      if ((act.flags & (frozen | dead)) === 0) freeze(this.host, act, done);
    } catch (error) {
      // It cannot even be woken: there is nothing to pack.
      this.refusals.set(unit, String(error));
      done();
    }
  }

  /** An actor here has ended while a move waited for it to come to rest: it is woken again, and that one moves. */
  onEnded(act: Activation): void {
    if (this.freezes.size === 0) return;
    const unit = act.id;
    const waiting = this.freezes.get(unit);
    if (waiting === undefined || ++waiting.wakings > wakingsMax) return;
    this.host.world.clock.micro(() => this.host.outside(() => this.bringToRest(unit)));
  }

  private pack(unit: Unit, epoch: number): void {
    const act = this.residentOf(unit);
    const fail = (error: unknown): void => {
      this.refusals.set(unit, (error as Error).message);
      this.step({ type: 'pack-failed', unit, epoch });
    };
    if (act === undefined) return fail(new Error(this.refusals.get(unit) ?? `${unit} is not awake`));
    pack(this.host, act, this.calls.shipOut(unit)).then(actor => {
      try {
        const shipment: Shipment = { actor, records: this.host.persistence.recordsOf(act) };
        const pieces = cutPieces(this.host.codec.encode(shipment, 1 << 30), this.options.checksum);
        this.step({ type: 'packed', unit, epoch, pieces, messages: actor.messages.length + actor.stash.length });
      } catch (error) {
        fail(error);
      }
    }, fail);
  }

  private install(unit: Unit, epoch: number, pieces: readonly Uint8Array[]): void {
    try {
      const { actor, records } = this.host.codec.decode(joinPieces(pieces), true) as Shipment;
      // The directory's epoch was drawn when the move began; the actor may have been restarted since, under a higher one.
      this.host.epochs.renew();
      const own = epoch > actor.epoch ? epoch : this.host.epochs.next();
      this.host.persistence.putRecords(actor.key, own, records);
      const act = install(this.host, actor, own, this.calls.shipIn(unit));
      act.flags |= moving;
      this.topics.installed(unit);
      this.installed.set(unit, act);
      this.step({ type: 'restored', unit, epoch });
    } catch (error) {
      this.calls.discard(unit);
      this.host.world.log.warn({ err: error, unit }, 'a moved actor could not be installed');
      const code = (error as TroupeError).code;
      this.step({ type: 'restore-failed', unit, epoch, reason: code === 'FENCED' ? 'version' : 'decode' });
    }
  }

  private discard(unit: Unit): void {
    const act = this.installed.get(unit);
    this.installed.delete(unit);
    this.calls.discard(unit);
    this.topics.discarded(unit);
    if (act === undefined) return;
    this.host.persistence.dropRecords(act);
    retire(this.host, act);
  }

  private thaw(unit: Unit, epoch: number): void {
    this.freezes.delete(unit);
    this.calls.takeBack(unit);
    const act = this.residentOf(unit);
    if (act !== undefined) thaw(this.host, act, epoch);
  }

  private activate(unit: Unit, epoch: number, how: 'shipped' | 'disk'): void {
    this.host.epochs.renew();
    if (how === 'shipped') {
      const act = this.installed.get(unit);
      this.installed.delete(unit);
      this.calls.takeIn(unit);
      if (act !== undefined) run(this.host, act);
      return;
    }
    const act = this.residentOf(unit);
    if (act !== undefined && (act.flags & dead) === 0 && epoch > act.epochNumber) act.epochNumber = epoch;
  }

  private retire(unit: Unit): void {
    this.freezes.delete(unit);
    this.refusals.delete(unit);
    this.calls.giveAway(unit);
    const watchers = this.host.watches.reportsOf(unit);
    const act = this.residentOf(unit);
    if (act !== undefined && !this.installed.has(unit)) {
      this.host.persistence.dropRecords(act);
      retire(this.host, act);
    }
    this.router.version++;
    // Those who came to watch after the pack had been made are in nobody's list but ours.
    const owner = this.threadOf(unit) ?? -1;
    if (owner >= 0 && owner !== this.host.thread)
      for (const thread of watchers) this.router.control(owner, 'watch', { id: unit, thread });
  }

  /** Asks that an old owner may have taken along when it died. Those it had sent on before will be answered yet. */
  private doubt(unit: Unit): void {
    const why = `the thread that sent messages on to ${unit} has died; the message may have run`;
    for (const call of [...this.router.pending.all()])
      if (call.to?.toString() === unit) this.host.fail(call, new TroupeError('UNKNOWN_OUTCOME', why));
  }

  describe(): object {
    return { ...this.route.describe(), undelivered: this.undelivered };
  }
}
