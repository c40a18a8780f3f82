// Who owns what: the one place where a unit changes hands. Lives on host 0, as long as the process does.
//
//   settled --propose--> reserving --reserved--> shipping --installed--> settling --settled--> settled
//                            \______________________\__ abort, death, watchdog __/  (settled, at the old owner, fresh epoch)
//
// The intuition: one thread decides, one decision at a time, so compare-and-swap is an if. Everyone else may ask, report or
// time out; only this class hands out ownership, and it tells each host its decisions in the order in which it took them.
//
// A unit that settles (its old owner still forwards) does not move again until it has settled: then there is never more than
// one tombstone a unit, and the order across B -> C -> D or B -> C -> B is that of two single moves. One proposal may wait.
//
// Invariants: an entry's epoch only rises; each epoch was handed in by the caller and is above all spent before; the owner
// changes only in becomeSettling (the switch) and becomeGranted (nobody owned it, or its owner died); each proposal gets
// one outcome.

import type { DirectoryReport, Entry, EntryState, Move, Proposal } from './directory-entry.ts';
import type {
  AbortReason,
  DirectoryEffect,
  DirectoryInput,
  Epoch,
  FromDirectory,
  HostId,
  MoveStats,
  Outcome,
  RefuseReason,
  RelocationLimits,
  ToDirectory,
  Unit,
} from './relocation-messages.ts';
import { nowhere, relocationLimits } from './relocation-messages.ts';
import type { Millis } from './world.ts';

export interface DirectoryOptions {
  readonly hosts: Iterable<HostId>;
  /** Where a unit without a live owner goes: one of the live hosts, or nowhere, until somebody asks again. */
  readonly place: (unit: Unit, live: readonly HostId[]) => HostId;
  readonly limits?: Partial<RelocationLimits>;
}

export class Directory {
  readonly #entries = new Map<Unit, Entry>();
  /** The entries that are not settled. */
  readonly #motion = new Set<Entry>();
  readonly #live: Set<HostId>;
  readonly #place: DirectoryOptions['place'];
  readonly #limits: RelocationLimits;
  /** The highest epoch given out so far, the same before this step, and the one this step may give out. */
  #spent: Epoch = 0;
  #spentBefore: Epoch = 0;
  #fresh: Epoch = 0;
  readonly #counters = { started: 0, committed: 0, settled: 0, granted: 0, refused: 0, late: 0 };
  readonly #aborted = new Map<AbortReason, number>();

  constructor(options: DirectoryOptions) {
    this.#live = new Set(options.hosts);
    this.#place = options.place;
    this.#limits = { ...relocationLimits, ...options.limits };
  }

  /**
   * `fresh` is an epoch above every one that was ever spent. If `spent` is below it afterwards, it may be offered again.
   * One is enough: a step gives a unit at most one new epoch, and between units an epoch says nothing.
   */
  step(input: DirectoryInput, now: Millis, fresh: Epoch): DirectoryEffect[] {
    this.#spentBefore = this.#spent;
    this.#fresh = fresh;
    switch (input.type) {
      case 'joined':
        this.#live.add(input.host);
        return [];
      case 'died':
        return this.#live.delete(input.host) ? this.#onDied(input.host, now) : [];
      case 'tick':
        return [...this.#motion].flatMap(entry => this.#onTick(entry, now));
      case 'heard':
        return this.#live.has(input.from) ? this.#onMessage(input.from, input.message, now) : [];
    }
  }

  get spent(): Epoch {
    return this.#spent;
  }

  /** When the next step may be overdue: arm one timer for it. Undefined when nothing moves. */
  get deadlineAt(): Millis | undefined {
    let earliest: Millis | undefined;
    for (const { move } of this.#motion) {
      if (move !== undefined && move.deadlineAt < (earliest ?? Number.POSITIVE_INFINITY)) earliest = move.deadlineAt;
    }
    return earliest;
  }

  #onMessage(from: HostId, message: ToDirectory, now: Millis): DirectoryEffect[] {
    const entry = this.#entries.get(message.unit);
    switch (message.type) {
      case 'resolve':
        return this.#onResolve(from, message.unit, entry);
      case 'propose':
        return this.#onPropose(message.unit, { ...message, by: from }, entry, now);
      case 'reserved':
        return this.#isDue(entry, 'reserving', message.epoch, from) ? this.#becomeShipping(entry, now) : [];
      case 'installed':
        return this.#isDue(entry, 'shipping', message.epoch, from) ? this.#becomeSettling(entry, now) : [];
      case 'abort':
        return this.#mayAbort(entry, message.epoch, from) ? this.#abort(entry, message.reason) : [];
      case 'settled':
        return this.#isDue(entry, 'settling', message.epoch, from) ? this.#onSettled(entry, message.stats, now) : [];
    }
  }

  // The compare of each compare-and-swap. What fails it is late or doubled and has no effect.

  #isDue(entry: Entry | undefined, phase: Move['phase'], epoch: Epoch, target: HostId): entry is Entry {
    const move = entry?.move;
    return move !== undefined && move.phase === phase && move.epoch === epoch && move.to === target;
  }

  #mayAbort(entry: Entry | undefined, epoch: Epoch, from: HostId): entry is Entry {
    const move = entry?.move;
    if (move === undefined || move.phase === 'settling' || move.epoch !== epoch) return false;
    return from === move.to || from === move.from;
  }

  #onResolve(from: HostId, unit: Unit, entry: Entry | undefined): DirectoryEffect[] {
    if (entry !== undefined && this.#live.has(entry.host)) return [located(from, entry)];
    const to = this.#placeOf(unit);
    if (to === nowhere) return [];
    return [...this.#grant(unit, to), located(from, this.#entries.get(unit) as Entry)];
  }

  #onPropose(unit: Unit, proposal: Proposal, entry: Entry | undefined, now: Millis): DirectoryEffect[] {
    const refusal = this.#refuse(proposal, entry);
    if (refusal !== undefined) return this.#onRefused(unit, proposal, refusal);
    if (entry === undefined || !this.#live.has(entry.host)) {
      // Nobody has it: there is nothing to move, only to place.
      const outcome: Outcome = { result: 'moved', epoch: this.#fresh, stats: undefined };
      return [...this.#grant(unit, proposal.to), ...this.#answer(unit, proposal, outcome)];
    }
    if (entry.state === 'settling') {
      entry.next = proposal;
      return [];
    }
    return this.#becomeReserving(entry, proposal, now);
  }

  #refuse(proposal: Proposal, entry: Entry | undefined): RefuseReason | undefined {
    if (!this.#live.has(proposal.to)) return 'target-down';
    if (entry === undefined) return proposal.expect === 0 ? undefined : 'stale';
    if (proposal.expect !== 0 && proposal.expect !== entry.epoch) return 'stale';
    if (entry.state === 'moving' || entry.next !== undefined) return 'busy';
    return entry.host === proposal.to ? 'same-host' : undefined;
  }

  #onRefused(unit: Unit, proposal: Proposal, reason: RefuseReason): DirectoryEffect[] {
    this.#counters.refused++;
    return this.#answer(unit, proposal, { result: 'refused', reason });
  }

  #onSettled(entry: Entry, stats: MoveStats | undefined, now: Millis): DirectoryEffect[] {
    const move = entry.move as Move;
    this.#counters.settled++;
    const event = this.#event('settled', entry, move);
    const answer = this.#answer(entry.unit, move.proposal, { result: 'moved', epoch: move.epoch, stats });
    this.#becomeSettled(entry);
    const { next } = entry;
    entry.next = undefined;
    return next === undefined
      ? [event, ...answer]
      : [event, ...answer, ...this.#onPropose(entry.unit, next, entry, now)];
  }

  /** The watchdog. A move is rolled back; a switch cannot be, it is only reported: its messages are safe, its order too. */
  #onTick(entry: Entry, now: Millis): DirectoryEffect[] {
    const move = entry.move as Move;
    if (now < move.deadlineAt) return [];
    if (move.phase !== 'settling') return this.#abort(entry, 'watchdog');
    move.deadlineAt = Number.POSITIVE_INFINITY;
    this.#counters.late++;
    return [this.#event('late', entry, move)];
  }

  /**
   * First everybody hears of the death, then of what follows from it. Settled units of the dead host are not touched: they
   * are placed again when somebody asks for them. Those in motion have others waiting, so they are resolved now.
   */
  #onDied(host: HostId, now: Millis): DirectoryEffect[] {
    const motion = [...this.#motion];
    const tombstones = motion
      .filter(({ move }) => move?.phase === 'settling' && move.via === host)
      .map(({ unit, epoch }) => [unit, epoch] as const);
    const news = this.#broadcast({ type: 'died', host, tombstones });
    return [...news, ...motion.flatMap(entry => this.#onDeathNear(entry, host, now))];
  }

  #onDeathNear(entry: Entry, host: HostId, now: Millis): DirectoryEffect[] {
    const move = entry.move as Move;
    const refused = entry.next?.to === host ? this.#dropNext(entry, 'target-down') : [];
    if (move.phase !== 'settling') {
      if (host === move.from) return [...refused, ...this.#abort(entry, 'source-died')];
      return host === move.to ? [...refused, ...this.#abort(entry, 'target-died')] : refused;
    }
    if (host === move.via) move.via = nowhere; // the new owner hears it too, and says `settled`
    return host === entry.host ? [...refused, ...this.#onOwnerDied(entry, now)] : refused;
  }

  /** The new owner died while the old one still forwards. Whoever comes next has to wait for the same tombstone. */
  #onOwnerDied(entry: Entry, now: Millis): DirectoryEffect[] {
    const move = entry.move as Move;
    const refused = entry.next === undefined ? [] : this.#dropNext(entry, 'owner-died');
    const answer = this.#answer(entry.unit, move.proposal, { result: 'moved', epoch: move.epoch, stats: undefined });
    const to = this.#placeOf(entry.unit, move.via);
    // Back at the host that forwards, its link from everybody is the one they use anyway: nothing has to be held.
    const via = move.via === to ? nowhere : move.via;
    const granted = via === nowhere ? this.#grant(entry.unit, to) : this.#becomeInherited(entry, to, via, now);
    return [...refused, ...answer, ...granted];
  }

  #dropNext(entry: Entry, reason: RefuseReason): DirectoryEffect[] {
    const next = entry.next as Proposal;
    entry.next = undefined;
    return this.#onRefused(entry.unit, next, reason);
  }

  /** The single way out of an unfinished move. Whoever owns the unit after it does so under a fresh epoch. */
  #abort(entry: Entry, reason: AbortReason): DirectoryEffect[] {
    const { unit } = entry;
    const { epoch, from, to, proposal } = entry.move as Move;
    this.#aborted.set(reason, (this.#aborted.get(reason) ?? 0) + 1);
    const event: DirectoryEffect = { type: 'event', event: { name: 'aborted', unit, epoch, from, to, reason } };
    const cancel = this.#send(to, { type: 'cancel', unit, epoch });
    const answer = this.#answer(unit, proposal, { result: 'aborted', epoch, reason });
    if (!this.#live.has(from)) return [event, ...cancel, ...answer, ...this.#grant(unit, this.#placeOf(unit, to))];
    this.#becomeSettled(entry);
    entry.epoch = this.#spend();
    const thaw = this.#send(from, { type: 'thaw', unit, epoch: entry.epoch, aborted: epoch });
    return [event, ...cancel, ...thaw, ...answer];
  }

  #becomeReserving(entry: Entry, proposal: Proposal, now: Millis): DirectoryEffect[] {
    const { unit, host: from } = entry;
    const epoch = this.#spend();
    // Longer than the target's own bound for its answer, so that its reason comes first.
    const deadlineAt = now + 2 * this.#limits.reserveMs;
    entry.move = { phase: 'reserving', epoch, from, to: proposal.to, proposal, via: nowhere, deadlineAt };
    entry.state = 'moving';
    this.#motion.add(entry);
    this.#counters.started++;
    return [
      this.#event('relocating', entry, entry.move),
      ...this.#send(proposal.to, { type: 'reserve', unit, epoch, from }),
    ];
  }

  #becomeShipping(entry: Entry, now: Millis): DirectoryEffect[] {
    const move = entry.move as Move;
    move.phase = 'shipping';
    move.deadlineAt = now + this.#limits.moveMs;
    return this.#send(move.from, { type: 'freeze', unit: entry.unit, epoch: move.epoch, to: move.to });
  }

  /** The switch: the single commit point. From here the old owner is a forwarding address, whatever happens. */
  #becomeSettling(entry: Entry, now: Millis): DirectoryEffect[] {
    const move = entry.move as Move;
    move.phase = 'settling';
    move.via = move.from;
    move.deadlineAt = now + this.#limits.settleWarnMs;
    entry.state = 'settling';
    entry.host = move.to;
    entry.epoch = move.epoch;
    this.#counters.committed++;
    const { unit, epoch } = entry;
    return [
      this.#event('relocated', entry, move),
      ...this.#broadcast({
        type: 'moved',
        unit,
        epoch,
        to: move.to,
        via: move.via,
        hosts: [...this.#live],
        how: 'shipped',
      }),
    ];
  }

  /** Like a switch, from a dead owner: every host sends a new marker, for the dead one took those of the last switch along. */
  #becomeInherited(entry: Entry, to: HostId, via: HostId, now: Millis): DirectoryEffect[] {
    const { unit } = entry;
    const epoch = this.#spend();
    const deadlineAt = now + this.#limits.settleWarnMs;
    entry.move = { phase: 'settling', epoch, from: via, to, proposal: undefined, via, deadlineAt };
    entry.host = to;
    entry.epoch = epoch;
    this.#counters.granted++;
    return [
      { type: 'event', event: { name: 'granted', unit, epoch, to } },
      ...this.#broadcast({ type: 'moved', unit, epoch, to, via, hosts: [...this.#live], how: 'disk' }),
    ];
  }

  /** Ownership out of nothing: the unit is new, or its owner is dead and nobody forwards for it. Nowhere: it stays dead. */
  #grant(unit: Unit, to: HostId): DirectoryEffect[] {
    if (to === nowhere) {
      this.#becomeSettled(this.#entries.get(unit) as Entry);
      return [];
    }
    const epoch = this.#spend();
    const known = this.#entries.get(unit);
    if (known === undefined) {
      this.#entries.set(unit, { unit, host: to, epoch, state: 'settled', move: undefined, next: undefined });
    } else {
      this.#becomeSettled(known);
      known.host = to;
      known.epoch = epoch;
    }
    this.#counters.granted++;
    return [
      { type: 'event', event: { name: 'granted', unit, epoch, to } },
      ...this.#send(to, { type: 'grant', unit, epoch }),
    ];
  }

  #becomeSettled(entry: Entry): void {
    entry.state = 'settled';
    entry.move = undefined;
    this.#motion.delete(entry);
  }

  /** `otherwise`: a host it has been on its way to or from, if it can be nowhere else. */
  #placeOf(unit: Unit, otherwise: HostId = nowhere): HostId {
    const to = this.#place(unit, [...this.#live]);
    if (to === nowhere) return this.#live.has(otherwise) ? otherwise : nowhere;
    if (!this.#live.has(to)) throw new Error(`directory: ${unit} was placed on host ${to}, which is not alive`);
    return to;
  }

  #spend(): Epoch {
    const [fresh, before] = [this.#fresh, this.#spentBefore];
    if (fresh <= before) throw new Error(`directory: epoch ${fresh} is not above ${before}, which is spent`);
    this.#spent = fresh;
    return fresh;
  }

  #event(name: 'relocating' | 'relocated' | 'settled' | 'late', entry: Entry, move: Move): DirectoryEffect {
    const { epoch, from, to } = move;
    return { type: 'event', event: { name, unit: entry.unit, epoch, from, to } };
  }

  #answer(unit: Unit, proposal: Proposal | undefined, outcome: Outcome): DirectoryEffect[] {
    if (proposal === undefined) return [];
    return this.#send(proposal.by, { type: 'outcome', ticket: proposal.ticket, unit, outcome });
  }

  #send(to: HostId, message: FromDirectory): DirectoryEffect[] {
    return this.#live.has(to) ? [{ type: 'send', to, message }] : [];
  }

  #broadcast(message: FromDirectory): DirectoryEffect[] {
    return [...this.#live].map(to => ({ type: 'send', to, message }));
  }

  /** Where everything is that was ever placed here, if its owner lives: what a newcomer has to know. Or, what is placed nowhere since its owner has died. */
  *owners(lives = true): IterableIterator<{ unit: Unit; host: HostId; epoch: Epoch }> {
    for (const entry of this.#entries.values()) if (this.#live.has(entry.host) === lives) yield entry;
  }

  /** What a person or a test wants to see. Units in motion in full, the others as a count. */
  describe(): DirectoryReport {
    const motion = [...this.#motion].map(({ unit, host, epoch, state, move, next }) => ({
      unit,
      host,
      epoch,
      state,
      phase: move?.phase,
      from: move?.from,
      to: move?.to,
      via: move?.via,
      next: next?.to,
    }));
    const aborted = Object.fromEntries(this.#aborted);
    return {
      units: this.#entries.size,
      hosts: [...this.#live],
      spent: this.#spent,
      ...this.#counters,
      aborted,
      motion,
    };
  }

  ownerOf(unit: Unit): { host: HostId; epoch: Epoch; state: EntryState } | undefined {
    const entry = this.#entries.get(unit);
    return entry && { host: entry.host, epoch: entry.epoch, state: entry.state };
  }
}

function located(to: HostId, entry: Entry): DirectoryEffect {
  return { type: 'send', to, message: { type: 'located', unit: entry.unit, host: entry.host, epoch: entry.epoch } };
}
