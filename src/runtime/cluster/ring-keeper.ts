// The state of the ring on this node: what is heard of it is merged, routed by, told and stored.
//
//     founding, commit, handOn ──▶ stored ──┐
//                                           ├──▶ merge ──▶ before ─▶ route ─▶ say ─▶ after ──▶ gossip, events
//     'ring-state', 'handed', fetched ──────┘                                             └──▶ stored, when there is time
//
// The intuition: whoever writes a register (the owner a holding, the claimant the claim) stores it before anybody hears of it, so
// what has been told is never taken back. Whoever only hears of it could ask again, so it stores what it heard behind its back.
//
// Invariants: everything between a merge and its last event happens in one go, so a message that is sent by new routes is
// behind the word 'handed' on its link. Saves go one after the other, and each is made of what holds when its turn comes.

import { TroupeError } from '../../errors.ts';
import { ringSaveAgainMs } from '../../limits.ts';
import type { Gateway } from '../gateway/gateway.ts';
import { tableOfRing } from '../gateway/node-table.ts';
import { checkNodeName } from '../ids.ts';
import type { AppState } from '../membership/member.ts';
import {
  type Change,
  effective,
  founded,
  type Handed,
  handedOn,
  type Merged,
  mergeStates,
  type RingState,
  withChanges,
} from '../ownership/holdings.ts';
import { type Ring, ringHash } from '../ownership/ring.ts';
import type { Cancel, World } from '../world.ts';
import type { HandoffHooks } from './handoff-hooks.ts';
import type { RingMemory } from './ring-memory.ts';
import { handedOf, stateOf, tagOf } from './ring-text.ts';

export interface RingKeeperOptions {
  readonly cluster: string;
  readonly name: string;
  readonly partitions: number;
  readonly world: World;
  readonly gateway: Gateway;
  /** Nodes that there is a session with, by name. */
  readonly linked: ReadonlyMap<string, number>;
  /** Everybody that may be addressed by name. */
  known(): Iterable<string>;
  readonly memory: Pick<RingMemory, 'saveState'>;
  onSaved(): void;
  onChanged(tag: AppState): void;
  /** Somebody goes by a ring that this node cannot take: of another birth, or with a number of partitions of its own. */
  onForeign(from: string, error?: TroupeError): void;
  emit(name: string, payload: unknown): void;
}

export class RingKeeper {
  hooks: HandoffHooks | undefined;
  readonly #options: RingKeeperOptions;
  readonly #handing = new Set<number>();
  #state: RingState | undefined;
  #ring: Ring | undefined;
  #saved: RingState | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #isSaving = false;
  #hasFailed = false;
  #cancel: Cancel | undefined;
  #stopped = false;

  constructor(options: RingKeeperOptions) {
    this.#options = options;
    const { gateway } = options;
    gateway.on('ring', () => this.#state);
    gateway.on('ring-state', (from, value) => this.hear(gateway.nameOf(from) ?? '', value));
    gateway.on('handed', (from, value) => this.#onHanded(gateway.nameOf(from) ?? '', value));
  }

  get state(): RingState | undefined {
    return this.#state;
  }

  /** The effective one. */
  get ring(): Ring | undefined {
    return this.#ring;
  }

  get tag(): AppState | undefined {
    return this.#state && tagOf(this.#state, this.#ring as Ring);
  }

  /** What an earlier life has stored. */
  begin(state: RingState): void {
    this.#saved = state;
    this.#become({ state, changes: [] });
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
  }

  /** A session has begun: the first that is said in it, so that it precedes every message. */
  greet(number: number): void {
    if (this.#state !== undefined) this.#options.gateway.say(number, 'ring-state', this.#state);
  }

  /** Names in the table of routes may have changed. */
  route(): void {
    if (this.#ring === undefined) return;
    const { gateway, name } = this.#options;
    gateway.setNodes(tableOfRing(name, this.#ring.owners, this.#options.known()));
  }

  // What others say.

  /** A state that was told or fetched. Throws BAD_MESSAGE. */
  hear(from: string, value: unknown): void {
    const { cluster, partitions, onForeign } = this.#options;
    let theirs: RingState;
    try {
      theirs = stateOf(value, cluster, partitions);
    } catch (error) {
      if ((error as TroupeError).code !== 'BAD_OPTION') throw error;
      return onForeign(from, error as TroupeError);
    }
    if (this.#stopped) return;
    if (this.#take(theirs)) this.#heard(from, partition => theirs.holdings[partition]?.turn ?? -1);
    else onForeign(from);
    this.#saveSoon();
  }

  /** Only what follows a 'ring-state' in its session means something: without a ring, or of another birth, it is not for us. */
  #onHanded(from: string, value: unknown): void {
    const { birth, changes } = handedOf(value, this.#options.partitions);
    if (this.#stopped || this.#state?.birth !== birth) return;
    this.#take(withChanges(this.#state, changes));
    this.#heard(from, partition => changes.find(each => each.partition === partition)?.turn ?? -1);
    this.#saveSoon();
  }

  #heard(from: string, turnOf: (partition: number) => number): void {
    this.#hook('heard', hooks => hooks.heard?.(from, turnOf));
  }

  // What this node writes.

  /** The first ring; unless another has come meanwhile, which has been told and this one has not. */
  async found(ring: Ring): Promise<void> {
    await this.durably(state => state ?? founded(ring));
  }

  /** The next state by what holds when it can be stored. Resolves when it is durable and told; changed by nothing when it rejects. */
  durably(make: (state: RingState | undefined) => RingState): Promise<void> {
    const done = this.#last.then(() => this.#save(make));
    this.#last = done.catch(() => undefined);
    return done;
  }

  /** Resolves when what holds now is on the disk: the next life begins with it, or with more. Rejects when it cannot be stored. */
  stored(): Promise<void> {
    return this.#saved === this.#state ? Promise.resolve() : this.durably(state => state as RingState);
  }

  async #save(make: (state: RingState | undefined) => RingState): Promise<void> {
    const made = make(this.#state);
    let mayBe = made === this.#saved;
    for (let isKnown = mayBe; !isKnown; ) {
      if (this.#stopped) throw this.#hasStopped(mayBe);
      try {
        await this.#options.memory.saveState(made);
        [mayBe, isKnown] = [true, true];
      } catch (error) {
        // It may be on the disk, and then it is the truth of the next life: there is no way back.
        if ((error as TroupeError).outcome !== 'unknown') throw error;
        mayBe = true;
        this.#complain(error);
        await new Promise<void>(again => this.#options.world.clock.timer(ringSaveAgainMs, again));
      }
    }
    if (this.#stopped) throw this.#hasStopped(mayBe);
    this.#saved = made;
    this.#hasFailed = false;
    this.#take(made);
    this.#options.onSaved();
    this.#saveSoon();
  }

  /** `mayBe`: it is, or may be, on the disk, and nobody has been told. */
  #hasStopped(mayBe: boolean): TroupeError {
    return new TroupeError('STOPPED', `node ${this.#options.name} has stopped`, {
      outcome: mayBe ? 'unknown' : 'failed',
    });
  }

  /**
   * Gives a partition of this node to another; under the turn that was agreed to, where somebody has to agree. It is done when it is durable here; resolves when it is also routed by and told.
   * Rejects, and it is still ours, when it cannot be stored; with the outcome 'unknown' when this node has stopped and its next life
   * will know.
   */
  async handOn(partition: number, to: string, agreed?: number): Promise<Handed> {
    const { name } = this.#options;
    const refuse = (why: string, reason: string): TroupeError =>
      new TroupeError('BAD_OPTION', `partition ${partition} cannot go from ${name} to ${to}: ${why}`, {
        details: { partition, from: name, to, reason },
      });
    const own = (state: RingState | undefined): RingState => {
      const owner = state?.holdings[partition]?.owner;
      if (state !== undefined && owner === name) return state;
      throw refuse(owner === undefined ? 'there is none' : `it is ${owner}'s`, 'not-ours');
    };
    own(this.#state);
    checkNodeName(to);
    if (to === name) throw refuse('it is there', 'same-owner');
    if (this.#handing.has(partition)) throw refuse('it is being handed on', 'under-way');
    this.#handing.add(partition);
    try {
      let turn = 0;
      await this.durably(state => {
        const next = handedOn(own(state), partition, to);
        turn = next.holdings[partition]?.turn as number;
        if (agreed !== undefined && agreed !== turn) throw refuse(`turn ${agreed} was agreed to`, 'turn-changed');
        return next;
      });
      return { partition, from: name, to, turn };
    } finally {
      this.#handing.delete(partition);
    }
  }

  /** Its group has agreed that it is this node's, under that turn. Resolves when it is durable, routed by and told. */
  takeOver(partition: number, turn: number): Promise<void> {
    const to = this.#options.name;
    return this.durably(state => {
      if (state === undefined || (state.holdings[partition]?.turn ?? turn) >= turn)
        throw new TroupeError(
          'FENCED',
          `partition ${partition} is another node's by now, under turn ${turn} or a later one`,
        );
      return withChanges(state, [{ partition, to, turn }]);
    });
  }

  // What follows.

  /** False: it is foreign, and nothing has changed. */
  #take(theirs: RingState): boolean {
    const merged = this.#state === undefined ? { state: theirs, changes: [] } : mergeStates(this.#state, theirs);
    if (merged === 'foreign') return false;
    if (merged.state !== this.#state) this.#become(merged);
    return true;
  }

  #become({ state, changes }: Merged): void {
    const { emit } = this.#options;
    const isNewClaim = state.claim !== this.#state?.claim;
    if (changes.length > 0) this.#hook('before', hooks => hooks.before(changes));
    this.#state = state;
    this.#ring = effective(state);
    this.route();
    if (changes.length > 0) this.#sayHanded(changes);
    if (isNewClaim) for (const number of this.#options.linked.values()) this.greet(number);
    if (changes.length > 0) this.#hook('after', hooks => hooks.after(changes));
    this.#options.onChanged(this.tag as AppState);
    for (const { partition, from, to, turn } of changes)
      if (from !== to) emit('partition-handed', { partition, from, to, turn });
    emit('ring-changed', { epoch: this.#ring.epoch, hash: ringHash(this.#ring) });
    this.lookAround();
  }

  /** To the new owners first: they have the most to do. */
  #sayHanded(changes: readonly Change[]): void {
    const { gateway, linked } = this.#options;
    const word = { birth: this.#state?.birth, changes };
    const owners = new Set(changes.map(({ to }) => to));
    const names = [...linked.keys()];
    for (const name of [...names.filter(each => owners.has(each)), ...names.filter(each => !owners.has(each))])
      gateway.say(linked.get(name) as number, 'handed', word);
  }

  /** For the handoff: something it may have waited for has changed. */
  lookAround(): void {
    if (this.#state !== undefined) this.#hook('ringChanged', hooks => hooks.ringChanged());
  }

  /** What has been decided is not undone by whoever cannot follow. */
  #hook(step: string, call: (hooks: HandoffHooks) => void): void {
    if (this.hooks === undefined || this.#stopped) return;
    try {
      call(this.hooks);
    } catch (error) {
      this.#options.world.log.error({ err: error, step }, 'a change of the ring could not be followed');
    }
  }

  // Stored behind our back.

  #saveSoon(): void {
    if (this.#isSaving || this.#stopped || this.#state === undefined || this.#saved === this.#state) return;
    this.#isSaving = true;
    this.durably(state => state as RingState).then(
      () => {
        this.#isSaving = false;
        this.#saveSoon();
      },
      error => {
        if (this.#stopped) return;
        this.#complain(error);
        this.#cancel = this.#options.world.clock.timer(ringSaveAgainMs, () => {
          this.#isSaving = false;
          this.#saveSoon();
        });
      },
    );
  }

  /** Once, until it has worked again. */
  #complain(error: unknown): void {
    if (!this.#hasFailed)
      this.#options.world.log.error({ err: error }, 'the ring could not be stored; it is tried again');
    this.#hasFailed = true;
  }
}
