// One host of the simulator: a route (the real one) and, around it, the least a runtime has to do: mailboxes, turns, and the
// freezing, packing and installing of counter actors that the route asks for. What it asks for is done some time later, as
// a local job, in order.
//
// The three calls into the route are those of a real runtime: send(), hear() and run() of a job.

import type { Chance } from './relocation-chance.ts';
import type { Control, Cores, ForHost, HostEffect, Outcome, Piece, Route, RouteInput } from './relocation-cores.ts';
import { type Counter, count, type Ledger, type Message, violation } from './relocation-ledger.ts';
import type { LinkEnd } from './relocation-links.ts';

export interface Instance {
  readonly unit: string;
  epoch: number;
  mode: 'running' | 'sealed' | 'installed';
  readonly mailbox: number[];
  readonly state: Counter;
  /** The message whose turn is open. */
  turn: number | undefined;
  turnEndsAt: number;
  /** The epoch under which it was asked to freeze. */
  freezing: number;
}

export interface Job {
  readonly type: string;
  readonly notBefore: number;
  readonly run: () => void;
}

/** The rest of the world, as a host sees it. */
export interface Surroundings {
  readonly cores: Cores;
  readonly chance: Chance;
  readonly ledger: Ledger;
  readonly refusals: boolean;
  readonly slow: boolean;
  readonly learnsAll: boolean;
  now(): number;
  post(from: number, to: number, message: Control<number>): void;
  onOutcome(ticket: number, outcome: Outcome): void;
  /** Throws when the unit may not start to run here under this epoch. */
  checkOwner(host: SimHost, unit: string, epoch: number): void;
  note(mark: string, host: number, effect: HostEffect<number>): void;
}

export const limits = { piecesInFlight: 2 };
const pieceBytes = 24; // a pack of this world is 50 to 500 bytes, so it travels in several pieces
const mailboxCapacity = 400;

export const checksum = (bytes: Uint8Array): number => {
  let hash = 2_166_136_261;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 16_777_619);
  return hash >>> 0;
};

export class SimHost implements LinkEnd {
  readonly id: number;
  alive = true;
  /** The directory has been told that it died, which is true of a zombie too. */
  declared = false;
  pausedUntil = 0;
  readonly route: Route<number>;
  readonly window: InstanceType<Cores['DedupeWindow']>;
  readonly hungUp = new Set<number>();
  readonly instances = new Map<string, Instance>();
  readonly installs = new Map<string, Instance>();
  readonly jobs: Job[] = [];
  readonly senders: { readonly unit: string; sent: number }[];
  readonly #around: Surroundings;

  constructor(id: number, units: readonly string[], around: Surroundings) {
    const { Route: RouteCore, DedupeWindow: Window } = around.cores;
    const { learnsAll } = around;
    this.id = id;
    this.route = new RouteCore<number>({ self: id, directory: 0, checksum, limits, learnsAll });
    this.window = new Window();
    this.senders = units.map(unit => ({ unit, sent: 0 }));
    this.#around = around;
  }

  get isUp(): boolean {
    return this.alive && !this.declared;
  }

  get isZombie(): boolean {
    return this.alive && this.declared;
  }

  isAwake(now: number): boolean {
    return this.alive && this.pausedUntil <= now;
  }

  crash() {
    this.alive = false;
    this.instances.clear();
    this.installs.clear();
    this.jobs.length = 0;
  }

  /** When something is due here although nobody speaks to it. */
  nextMoment(): number {
    let next = Math.min(
      this.route.deadlineAt ?? Number.POSITIVE_INFINITY,
      this.jobs[0]?.notBefore ?? Number.POSITIVE_INFINITY,
    );
    for (const { turn, turnEndsAt } of this.instances.values()) {
      if (turn !== undefined) next = Math.min(next, turnEndsAt);
    }
    return next;
  }

  // ---------------------------------------------------------------------------------------------------------------
  // The three calls of a runtime

  send(sender: { readonly unit: string; sent: number }) {
    const { unit } = sender;
    const id = this.#around.ledger.write(this.id, unit, ++sender.sent);
    const owner = this.route.ownerOf(unit);
    if (owner !== undefined && owner.host !== this.id) {
      this.#around.post(this.id, owner.host, { type: 'direct', unit, epoch: owner.epoch, payload: id });
    } else if (owner !== undefined && !this.route.inMotion(unit)) {
      this.#enqueue(unit, id, false);
    } else {
      this.step({ type: 'send', unit, payload: id });
    }
  }

  hear(from: number, message: ForHost) {
    if (message.type === 'direct' && !this.route.inMotion(message.unit) && this.instances.has(message.unit)) {
      this.#enqueue(message.unit, message.payload, false);
    } else {
      this.step({ type: 'heard', from, message });
    }
  }

  step(input: RouteInput<number>) {
    for (const effect of this.route.step(input, this.#around.now())) this.#apply(effect);
  }

  // ---------------------------------------------------------------------------------------------------------------
  // What the route asks for

  #apply(effect: HostEffect<number>) {
    this.#around.note(effect.type === 'send' ? effect.message.type : effect.type, this.id, effect);
    switch (effect.type) {
      case 'send':
        return this.#around.post(this.id, effect.to, effect.message);
      case 'deliver':
        return this.#enqueue(effect.unit, effect.payload, effect.accepted);
      case 'refuse':
        return this.#around.ledger.refused(effect.payload);
      case 'reserve':
        return this.#reserve(effect.unit, effect.epoch);
      case 'freeze':
        return this.#freeze(effect.unit, effect.epoch);
      case 'pack':
        return this.#job('packed', () => this.#pack(effect.unit, effect.epoch));
      case 'install':
        return this.#job('restored', () => this.#install(effect.unit, effect.epoch, effect.pieces));
      case 'discard':
        if (this.installs.get(effect.unit)?.epoch === effect.epoch) this.installs.delete(effect.unit);
        return;
      case 'thaw':
        return this.#thaw(effect.unit, effect.epoch);
      case 'activate':
        if (effect.how === 'shipped') return this.#activateShipped(effect.unit, effect.epoch);
        return this.#activateFromDisk(effect.unit, effect.epoch);
      case 'retire':
        this.instances.delete(effect.unit);
        return;
      case 'hang-up':
        this.hungUp.add(effect.host);
        this.window.forget(effect.host);
        return;
      case 'outcome':
        return this.#around.onOutcome(effect.ticket, effect.outcome);
      case 'lost':
        return this.#around.ledger.report(this.id, ({ unit }) => effect.units.includes(unit));
      case 'doubt':
        return this.#around.ledger.report(this.id, ({ unit, epoch }) => unit === effect.unit && epoch < effect.below);
    }
  }

  #enqueue(unit: string, id: number, accepted: boolean) {
    const instance = this.#instanceOf(unit, `message ${id} is delivered`);
    if (instance === undefined) return;
    if (!accepted && instance.mailbox.length >= mailboxCapacity) return this.#around.ledger.refused(id);
    instance.mailbox.push(id);
    this.#around.ledger.reaches(id, this.id);
  }

  /** A zombie may miss it: its activation was refused by the fence. */
  #instanceOf(unit: string, what: string): Instance | undefined {
    const instance = this.instances.get(unit);
    if (instance === undefined && !this.isZombie) violation(`${what} on ${this.id}, where ${unit} is not`);
    return instance;
  }

  #reserve(unit: string, epoch: number) {
    const type = this.#refuses(0.1) ? 'reserve-refused' : 'reserved';
    this.#job(type, () => this.step({ type, unit, epoch }));
  }

  #freeze(unit: string, epoch: number) {
    const instance = this.#instanceOf(unit, 'it is frozen');
    if (instance === undefined) return;
    instance.mode = 'sealed';
    instance.freezing = epoch;
    if (instance.turn === undefined) this.#frozen(instance);
  }

  #frozen({ unit, freezing: epoch }: Instance) {
    this.#job('frozen', () => this.step({ type: 'frozen', unit, epoch }));
  }

  #pack(unit: string, epoch: number) {
    const instance = this.instances.get(unit);
    if (instance === undefined || this.#refuses(0.05)) return this.step({ type: 'pack-failed', unit, epoch });
    const { mailbox, state } = instance;
    this.#around.ledger.packed(unit, epoch, mailbox);
    const bytes = new TextEncoder().encode(JSON.stringify({ mailbox, state }));
    const pieces = this.#around.cores.cutPieces(bytes, checksum, pieceBytes);
    if (this.#refuses(0.05)) damage(pieces, this.#around.chance.below(pieces.length));
    this.step({ type: 'packed', unit, epoch, pieces, messages: mailbox.length });
  }

  #install(unit: string, epoch: number, pieces: readonly Uint8Array[]) {
    if (this.#refuses(0.1)) {
      return this.step({ type: 'restore-failed', unit, epoch, reason: this.#refuses(0.5) ? 'version' : 'decode' });
    }
    const text = new TextDecoder().decode(this.#around.cores.joinPieces(pieces));
    const { mailbox, state } = JSON.parse(text) as { mailbox: number[]; state: Counter };
    this.installs.set(unit, instanceOf(unit, epoch, 'installed', state, mailbox));
    this.step({ type: 'restored', unit, epoch });
  }

  #thaw(unit: string, epoch: number) {
    const instance = this.#instanceOf(unit, 'it is thawed');
    if (instance === undefined) return;
    this.#around.checkOwner(this, unit, epoch);
    instance.epoch = epoch;
    instance.mode = 'running';
  }

  #activateShipped(unit: string, epoch: number) {
    const instance = this.installs.get(unit);
    if (instance === undefined) return violation(`${unit} is activated on ${this.id}, where it is not installed`);
    const onDisk = this.#around.ledger.diskOf(unit).state.count;
    const arrived = instance.state.count;
    if (!this.isZombie && arrived !== onDisk) violation(`${unit} arrives with ${arrived} of ${onDisk} in its state`);
    this.installs.delete(unit);
    this.#around.checkOwner(this, unit, epoch);
    instance.mode = 'running';
    instance.epoch = epoch;
    this.instances.set(unit, instance);
  }

  #activateFromDisk(unit: string, epoch: number) {
    this.#around.checkOwner(this, unit, epoch);
    const disk = this.#around.ledger.diskOf(unit);
    if (epoch < disk.epoch) return; // a zombie that reads old mail
    disk.epoch = epoch; // the fence first
    this.instances.set(unit, instanceOf(unit, epoch, 'running', structuredClone(disk.state), []));
  }

  // ---------------------------------------------------------------------------------------------------------------
  // Jobs and turns

  #job(type: string, run: () => void) {
    this.jobs.push({ type, notBefore: this.#slowUntil(), run });
  }

  /** Now; sometimes much later, so that each step of a move overruns its time in some run. */
  #slowUntil(): number {
    const { chance, slow } = this.#around;
    return this.#around.now() + (slow && chance.under(0.02) ? chance.below(15_000) : 0);
  }

  #refuses(probability: number): boolean {
    return this.#around.refusals && this.#around.chance.under(probability);
  }

  beginTurn(instance: Instance) {
    instance.turn = instance.mailbox.shift() as number;
    instance.turnEndsAt = this.#slowUntil();
  }

  endTurn(instance: Instance) {
    const { unit, epoch, turn: id } = instance;
    const { ledger } = this.#around;
    instance.turn = undefined;
    if (epoch >= ledger.diskOf(unit).epoch) {
      ledger.processed(id as number, epoch);
      count(instance.state, ledger.messages[id as number] as Message);
    } else if (!this.isZombie) violation(`${unit} is fenced on ${this.id}, which is alive`);
    if (instance.mode === 'sealed') this.#frozen(instance);
  }
}

function instanceOf(unit: string, epoch: number, mode: Instance['mode'], state: Counter, mailbox: number[]): Instance {
  return { unit, epoch, mode, mailbox, state, turn: undefined, turnEndsAt: 0, freezing: 0 };
}

function damage(pieces: Piece[], index: number) {
  const piece = pieces[index] as Piece;
  pieces[index] = { ...piece, bytes: piece.bytes.map(byte => byte ^ 1) };
}
