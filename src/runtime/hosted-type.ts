// An actor type on one host: its method table as flat arrays, its stubs, and the actors of that type awake here.

import { TroupeError } from '../errors.ts';
import type { Activation } from './activation.ts';
import type { Actor } from './actor.ts';
import type { ActorSpec, ActorType, MethodSpec, TurnMode } from './define-actor.ts';
import { busy, exclusive } from './flags.ts';
import type { Host } from './host.ts';
import { makeStubs, type StubClasses } from './refs.ts';
import type { Scheduler } from './scheduler.ts';
import { exclusiveMode, interleaveMode, readMode } from './turn-modes.ts';

/** Messages of the runtime that take their place among user messages, so that they follow a moving actor in order. */
export const topicMethod = 254;
export const reminderMethod = 253;
const reserved: ReadonlyMap<string, number> = new Map([
  ['onTopic', topicMethod],
  ['onReminder', reminderMethod],
]);

const modeNumber: Record<TurnMode, number> = { exclusive: exclusiveMode, read: readMode, interleave: interleaveMode };

export class HostedType {
  readonly host: Host;
  /** That of the host, one pointer nearer to a message. */
  readonly scheduler: Scheduler;
  /** The same number on every thread of a node: types are registered in one order. */
  readonly index: number;
  readonly name: string;
  readonly spec: ActorSpec;
  readonly source: ActorType;
  readonly methods: readonly MethodSpec[];
  readonly table: readonly ((...args: any[]) => unknown)[];
  /** The same for what slice.ts may run the short way: exclusive, not async, of a plain actor; null elsewhere. */
  readonly quick: (((...args: any[]) => unknown) | null)[];
  readonly modes: Uint8Array;
  /** 1 where the turn is carried along for continuations: async methods, and all of a persisted actor (its gate). */
  readonly asyncs: Uint8Array;
  /** All methods exclusive: the fast loop need not look at modes. */
  readonly simple: boolean;
  readonly persists: boolean;
  /** Every turn takes the slow way out: it may have to be stored, or somebody looks on. */
  readonly careful: boolean;
  readonly stubs: StubClasses;
  /** Awake actors by key; spawned children are not in it. */
  readonly live: Map<string, Activation> = new Map();
  private readonly codes: Map<string, number>;
  handled = 0;
  failed = 0;
  activated = 0;
  children = 0;

  constructor(host: Host, index: number, source: ActorType) {
    this.host = host;
    this.scheduler = host.scheduler;
    this.index = index;
    this.name = source.type;
    this.spec = source.spec;
    this.source = source;
    this.methods = source.methods;
    const table = new Array<(...args: any[]) => unknown>(256).fill(noMethod);
    this.modes = new Uint8Array(256);
    this.asyncs = new Uint8Array(256);
    source.methods.forEach((method, code) => {
      table[code] = method.fn;
      this.modes[code] = modeNumber[method.mode];
      this.asyncs[code] = method.isAsync || source.spec.persist !== 'none' ? 1 : 0;
    });
    // Called on the actor, so that a class's own onTopic() is found.
    table[topicMethod] = function (this: Actor, topic: string, value: unknown) {
      return this.onTopic(topic, value);
    };
    table[reminderMethod] = function (this: Actor, name: string) {
      return this.onReminder(name);
    };
    this.asyncs[topicMethod] = 1;
    this.asyncs[reminderMethod] = 1;
    this.table = table;
    this.simple = source.methods.every(method => method.mode === 'exclusive');
    this.persists = source.spec.persist !== 'none';
    this.careful = this.persists || host.observer !== null;
    const isPlain = this.simple && !this.careful;
    this.quick = Array.from({ length: 256 }, (_, code) => {
      const method = source.methods[code];
      return isPlain && method !== undefined && !method.isAsync ? method.fn : null;
    });
    this.codes = new Map(source.methods.map((method, code) => [method.name, code]));
    this.stubs = makeStubs(host, this);
  }

  /** A method that returns promises: its turns are carried along for their continuations from now on. */
  carryAlong(code: number): void {
    // A vnode waits for its disk and asks nobody: nothing looks for its turn.
    if (this.spec.ownsShards) return;
    this.asyncs[code] = 1;
    this.quick[code] = null;
  }

  /** Does a message of this number have a method to run? */
  has(code: number): boolean {
    return this.table[code] !== noMethod;
  }

  /** The number of a declared method; undefined for anything else, whatever its name. */
  methodCode(name: string): number | undefined {
    return this.codes.get(name);
  }

  reservedCode(name: string): number | undefined {
    return reserved.get(name);
  }

  nameOf(code: number): string {
    return (
      this.methods[code]?.name ??
      (code === topicMethod ? 'onTopic' : code === reminderMethod ? 'onReminder' : `method ${code}`)
    );
  }

  /** Forgets an ended activation, unless another has taken its key. */
  gone(act: Activation): void {
    if (typeof act.keyed !== 'string') this.host.childGone(act);
    else if (this.live.get(act.keyed) === act) this.live.delete(act.keyed);
  }

  describe(): object {
    const { placement, persist } = this.spec;
    return {
      type: this.name,
      placement,
      persist,
      awake: this.live.size,
      children: this.children,
      activated: this.activated,
      handled: this.handled,
      failed: this.failed,
    };
  }

  /** A restart begins with no turn open. */
  settle(act: Activation): void {
    act.flags &= ~(busy | exclusive);
    if (act.extras === null) return;
    act.extras.overlapping = 0;
    act.extras.reading = 0;
    act.extras.nested = 0;
  }

  open(act: Activation, mode: number): void {
    if (mode === exclusiveMode) {
      if (this.exclusiveOpen(act)) act.more().nested++;
      else act.flags |= this.simple ? busy : exclusive;
      return;
    }
    const more = act.more();
    more.overlapping++;
    if (mode === readMode) more.reading++;
  }

  close(act: Activation, mode: number): void {
    if (mode === exclusiveMode) {
      if ((act.extras?.nested ?? 0) > 0) act.more().nested--;
      else act.flags &= ~(busy | exclusive);
      return;
    }
    const more = act.more();
    more.overlapping--;
    if (mode === readMode) more.reading--;
  }

  exclusiveOpen(act: Activation): boolean {
    return (act.flags & (busy | exclusive)) !== 0;
  }

  /** No turn is open. */
  idle(act: Activation): boolean {
    return (act.flags & (busy | exclusive)) === 0 && (act.extras?.overlapping ?? 0) === 0;
  }
}

/** Only a damaged frame, or one from other code, gets here. It ends the message and nothing else (failures.ts). */
function noMethod(): never {
  throw new TroupeError('NO_METHOD', 'the message names a method that its actor type does not have; it was not run');
}
