// Who is here: the types of this thread, refs to actors, the actors awake, and how one is woken or spawned.
//
//   ref() -> find() -> activate() -> begin() -> begun()

import { TroupeError } from '../errors.ts';
import { Activation, Birth } from './activation.ts';
import { Actor, constructWith } from './actor.ts';
import type { ActorType } from './define-actor.ts';
import type { Failures } from './failures.ts';
import { backoff, dead, moving, starting, stopping } from './flags.ts';
import type { EpochSource } from './host-types.ts';
import type { HostedType } from './hosted-type.ts';
import { checkActorKey } from './ids.ts';
import { ACT, type AnyRef, type BaseRef, KEY, type Ref, TYPE } from './refs.ts';
import type { Residents } from './residents.ts';
import type { Router } from './router.ts';
import { show } from './show.ts';
import { TurnKeeper } from './turn-keeper.ts';
import { isThenable } from './turns.ts';
import { type Log, type Millis, withFields } from './world.ts';

const plainActor: Pick<Actor, 'onActivate'> = Actor.prototype;

export abstract class Registry extends TurnKeeper {
  abstract readonly node: string;
  abstract readonly thread: number;
  abstract readonly router: Router;
  abstract readonly epochs: EpochSource;
  abstract readonly failures: Failures;
  abstract readonly residents: Residents;
  readonly types: HostedType[] = [];
  readonly byName: Map<string, HostedType> = new Map();
  /** Coarse time for passivation, see residents.ts. */
  tick = 0;
  /** Only actors may still send; nothing comes from outside any more. */
  closing = false;
  /** No actor wakes any more. */
  stopped = false;
  private childCount = 0;
  /** Names this life of this thread in the names of its children: their numbers begin anew with each. */
  private childEpoch = 0;
  private readonly childrenByNumber = new Map<number, Activation>();
  /** A child gets its number when somebody asks for its name: most never need one, and a field would cost each 8 bytes. */
  private readonly numbers = new WeakMap<Activation, number>();

  ref<A extends Actor>(type: ActorType<A>, key: string): Ref<A> {
    if (type?.kind !== 'troupe-actor-type')
      throw new TroupeError(
        'BAD_OPTION',
        `ref() needs what defineActor or defineBehaviour returned, not ${show(type)}`,
      );
    const hosted = this.byName.get(type.type);
    if (hosted === undefined || hosted.source.url !== type.url) throw this.noType(type.type);
    checkActorKey(key);
    return new hosted.stubs.Ref(key) as unknown as Ref<A>;
  }

  /** An address in its parts. The type is undefined where this host does not know it. */
  split(id: string): { readonly hosted: HostedType | undefined; readonly key: string } {
    const slash = id.indexOf('/');
    return { hosted: this.byName.get(id.slice(0, slash)), key: id.slice(slash + 1) };
  }

  refById(id: string): BaseRef {
    const slash = id.indexOf('/');
    return this.refByName(id.slice(0, slash), id.slice(slash + 1));
  }

  refByName(typeName: string, key: string): BaseRef {
    const hosted = this.byName.get(typeName);
    if (hosted === undefined) throw this.noType(typeName);
    return new hosted.stubs.Ref(key);
  }

  refTo(act: Activation): AnyRef {
    const ref = new act.hosted.stubs.Ref(act.key);
    ref[ACT] = act;
    if (typeof act.keyed !== 'string') this.childrenByNumber.set(this.numberOf(act), act);
    return ref;
  }

  /** How a ref is written down. A spawned child is found again by its number, from now on. */
  /** As it is called on a wire. */
  nameRef(ref: BaseRef): [type: string, key: string] {
    const act = ref[ACT];
    if (ref[KEY] === '' && act !== null) {
      if ((act.flags & dead) === 0 && typeof act.keyed !== 'string') this.childrenByNumber.set(this.numberOf(act), act);
      return [ref[TYPE].name, act.key];
    }
    return [ref[TYPE].name, ref[KEY]];
  }

  childGone(act: Activation): void {
    const number = this.numbers.get(act);
    if (number !== undefined) this.childrenByNumber.delete(number);
  }

  /** False for a child whose name nobody has ever asked for: nothing can be kept under it. */
  hasName(act: Activation): boolean {
    return typeof act.keyed === 'string' || this.numbers.has(act);
  }

  private numberOf(act: Activation): number {
    const known = this.numbers.get(act);
    if (known !== undefined) return known;
    this.numbers.set(act, ++this.childCount);
    return this.childCount;
  }

  private noType(name: string): TroupeError {
    const known = [...this.byName.keys()].join(', ') || 'none';
    return new TroupeError(
      'NO_ACTOR_TYPE',
      `no actor type '${name}' on ${this.node}/${this.thread}; registered are: ${known}. Pass it to startNode({ actors: [...] })`,
    );
  }

  /** The actor behind a ref, awake on this thread; null when it lives elsewhere. */
  find(ref: BaseRef): Activation | null {
    const known = ref[ACT];
    if (known !== null && (known.flags & dead) === 0) return (known.flags & moving) === 0 ? known : null;
    const hosted = ref[TYPE];
    const key = ref[KEY];
    if (key === '') throw this.endedChild(ref.toString());
    let act = hosted.live.get(key) ?? null;
    if (act === null) {
      if (key.charCodeAt(0) === 0) act = this.findChild(hosted, key);
      else if (this.router.owns(hosted, key)) act = this.activate(hosted, key);
    }
    ref[ACT] = act;
    return act !== null && (act.flags & moving) !== 0 ? null : act;
  }

  private findChild(hosted: HostedType, key: string): Activation | null {
    const [thread, epoch, number] = key.slice(1).split('.');
    if (Number(thread) !== this.thread) return null;
    const act = Number(epoch) === this.childEpoch ? this.childrenByNumber.get(Number(number)) : undefined;
    if (act === undefined || act.hosted !== hosted || (act.flags & dead) !== 0) throw this.endedChild(key.slice(1));
    return act;
  }

  private endedChild(name: string): TroupeError {
    return new TroupeError('STOPPED', `the spawned actor ${name} has ended; it lived with its parent's activation`);
  }

  childKey(act: Activation): string {
    if (this.childEpoch === 0) this.childEpoch = this.epochs.next();
    return `\u0000${this.thread}.${this.childEpoch}.${this.numberOf(act)}`;
  }

  activate(hosted: HostedType, key: string, epoch: number = this.epochs.next()): Activation {
    if (this.stopped) throw new TroupeError('STOPPED', `${hosted.name}/${key}: node ${this.node} is stopping`);
    const act = new Activation(hosted, key, epoch);
    hosted.live.set(key, act);
    this.residents.added(act);
    this.router.woke(act);
    const failed = this.begin(act, undefined);
    if (failed !== undefined) throw failed;
    return act;
  }

  spawn(parent: Activation, type: ActorType, props: unknown): BaseRef {
    const hosted = this.byName.get(type.type);
    if (hosted === undefined) throw this.noType(type.type);
    if (hosted.persists)
      throw new TroupeError(
        'BAD_OPTION',
        `${parent.id} cannot spawn a '${type.type}': its type has persist: '${hosted.spec.persist}', and a spawned actor ends with its parent; give it a key and use ref()`,
      );
    const family = parent.more();
    family.children ??= [];
    const act = new Activation(hosted, props === undefined ? parent : new Birth(parent, props), family.children.length);
    family.children.push(act);
    hosted.children++;
    this.begin(act, props);
    this.observer?.effect(parent, 'spawn', { type: type.type });
    const ref = new hosted.stubs.Ref('');
    ref[ACT] = act;
    return ref;
  }

  /** Makes the user's object, gives it its state, and lets onActivate() run before any message. Answers with what ended it at once. */
  begin(act: Activation, props: unknown): TroupeError | undefined {
    const hosted = act.hosted;
    hosted.activated++;
    act.usedTick = this.tick;
    act.flags |= starting;
    try {
      const make = hosted.source.make;
      if (make === undefined)
        throw new TroupeError(
          'NO_ACTOR_TYPE',
          `actor type '${hosted.name}' is known by contract only; its class is not loaded in this process`,
        );
      const actor = constructWith(act, make);
      act.actor = actor;
      let stored: true | undefined;
      try {
        if (hosted.persists || typeof act.keyed === 'string') stored = this.persistence.load(act, actor);
      } catch (error) {
        return this.failures.startFailed(act, actor, error, true);
      }
      if (stored === undefined) actor.state = actor.initial(props);
      if (actor.onActivate !== plainActor.onActivate) {
        const ready = this.hook(act, actor, () => actor.onActivate());
        if (isThenable(ready)) {
          ready.then(
            () => this.begun(act, actor),
            error => this.failures.startFailed(act, actor, error),
          );
          return undefined;
        }
      }
      this.begun(act, actor);
    } catch (error) {
      return this.failures.startFailed(act, act.actor, error);
    }
    return undefined;
  }

  private begun(act: Activation, actor: Actor): void {
    if (act.actor !== actor || (act.flags & dead) !== 0) return;
    act.flags &= ~starting;
    if ((act.flags & stopping) !== 0) {
      this.failures.stopAfterTurn(act);
      return;
    }
    this.checkQuiet(act);
    if (act.box !== null || act.extras !== null) act.ready();
  }

  /** A move waits for this: no turn open, nothing awaited. */
  checkQuiet(act: Activation): void {
    const extras = act.extras;
    if (extras?.onQuiet == null || !this.isQuiet(act)) return;
    const quiet = extras.onQuiet;
    extras.onQuiet = null;
    quiet();
  }

  /** No turn open, nothing awaited, no control work left. */
  isQuiet(act: Activation): boolean {
    if ((act.flags & (starting | backoff)) !== 0) return false;
    return act.hosted.idle(act) && act.waits === null && (act.extras?.control.length ?? 0) === 0;
  }

  // The end. Between drain() and halt() actors may wake again: those of other threads still speak with them.

  close(): void {
    if (this.closing) return;
    this.closing = true;
    // From now on no tell takes the short way past who sends it.
    this.carefully(1);
  }

  protected refusal(what: string): TroupeError {
    return new TroupeError('STOPPED', `node ${this.node} has stopped, or is stopping; the ${what} was not sent`);
  }

  /** Refuses what comes from outside, and lets every actor end in good order; resolves when they have, or in so many ms. */
  async drain(ms: Millis): Promise<void> {
    this.close();
    const ended = this.failures.retireAll('shutdown');
    if (ms === Number.POSITIVE_INFINITY) return ended;
    await new Promise<void>(resolve => {
      const cancel = this.world.clock.timer(ms, resolve);
      void ended.then(() => {
        cancel();
        resolve();
      });
    });
  }

  /** Ends what is still open: turns that nobody will let end, and calls that nobody will answer. */
  halt(): void {
    this.close();
    this.stopped = true;
    for (const hosted of this.types) for (const act of [...hosted.live.values()]) this.failures.end(act, 'shutdown');
    this.failures.forsake([...this.calls()]);
    this.stopAlarms();
  }

  logOf(act: Activation): Log {
    return withFields(this.world.log, { actor: act.id, epoch: act.epochNumber });
  }
}
