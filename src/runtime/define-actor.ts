// defineActor: checks an actor class and its options once, and builds the table of methods that may be called. Nothing is
// ever called as actor[name]: a wire carries a number, and a name that is not in the table does not exist (security S3).
//
// Intuition: a type is (module url, class, options). Worker threads import the url, which runs defineActor again there, so

// both sides hold the same table in the same order.

import { TroupeError } from '../errors.ts';
import { mailboxBytesDefault, mailboxCapacityDefault, methodsMax } from '../limits.ts';
import { type Actor, frameMethods } from './actor.ts';
import { checkTypeName } from './ids.ts';
import { show } from './show.ts';
import { checkSupervision, type SupervisionOptions } from './supervision.ts';

export type TurnMode = 'exclusive' | 'read' | 'interleave';
export type Placement = 'ring' | 'local' | 'pool' | 'pinned' | 'node';
export type Persist = 'none' | 'snapshot' | 'journal';

export interface ActorOptions<A extends Actor<any> = Actor<any>> {
  readonly type: string;
  /** Version of the stored state. A newer stored version than this code knows is refused. */
  readonly version?: number;
  /** Brings stored state of an older version up to `version`. Fields it does not know must be kept. */
  readonly migrate?: (state: any, fromVersion: number) => A['state'];
  readonly mailbox?: { readonly capacity?: number; readonly bytes?: number; readonly overflow?: 'reject' | 'wait' };
  readonly turns?: { readonly [method: string]: TurnMode };
  readonly reentrant?: 'never' | 'same-chain';
  readonly placement?: Placement;
  /** Only with placement 'pinned': which thread; 0 is the thread that called startNode. */
  readonly thread?: number;
  readonly persist?: Persist;
  /** 'turn' (default): every turn that may change state is durable before its outputs leave. 'explicit': only save(). */
  readonly saves?: 'turn' | 'explicit';
  /** Durability the output gate waits for. */
  readonly durability?: 'committed' | 'flushed';
  readonly idleMs?: number;
  /** It keeps records of its own in the thread's storage engine (a vnode does): it can only move where that is shared. */
  readonly ownsShards?: boolean;
  readonly supervise?: SupervisionOptions;
}

export interface ActorSpec {
  readonly type: string;
  readonly version: number;
  readonly migrate: ((state: any, fromVersion: number) => unknown) | undefined;
  readonly capacity: number;
  readonly bytes: number;
  readonly overflow: 'reject' | 'wait';
  readonly reentrant: 'never' | 'same-chain';
  readonly placement: Placement;
  readonly thread: number;
  readonly persist: Persist;
  readonly saves: 'turn' | 'explicit';
  readonly durability: 'committed' | 'flushed';
  readonly idleMs: number;
  readonly ownsShards: boolean;
  readonly supervise: Required<SupervisionOptions>;
}

export interface MethodSpec {
  readonly name: string;
  readonly fn: (...args: any[]) => unknown;
  readonly mode: TurnMode;
  /** Declared `async`: its continuations need the turn carried along. */
  readonly isAsync: boolean;
}

declare const actorClass: unique symbol;

/** A registered actor type. Plain to hold and to export; the class it stands for is only in its TypeScript type. */
export interface ActorType<A extends Actor<any> = Actor<any>> {
  readonly kind: 'troupe-actor-type';
  readonly type: string;
  /** Module that defines it; empty for types that stay on the thread that made them. */
  readonly url: string;
  readonly spec: ActorSpec;
  readonly methods: readonly MethodSpec[];
  readonly make: (() => Actor<any>) | undefined;
  readonly [actorClass]?: A;
}

/** Types defined in this thread, by module url and name: where a worker finds what it has just imported. */
const defined = new Map<string, ActorType>();

export function definedType(url: string, type: string): ActorType | undefined {
  return defined.get(`${url}#${type}`);
}

/** Registers a class as an actor type. Throws BAD_OPTION naming the option and the remedy. */
export function defineActor<A extends Actor<any>>(
  url: string,
  cls: new () => A,
  options: ActorOptions<A>,
): ActorType<A> {
  // Not instanceof: there may be two copies of this package.
  if (typeof cls !== 'function' || typeof cls.prototype?.initial !== 'function')
    throw badOption(`defineActor needs a class that extends Actor as its second argument, not ${show(cls)}`);
  const spec = checkOptions(options);
  const methods = methodTable(cls.prototype, options);
  return register(url, { kind: 'troupe-actor-type', type: spec.type, url, spec, methods, make: () => new cls() });
}

/** A handle by contract only, for processes that must not load the implementation; its methods are looked up by name. */
export function register<A extends Actor<any>>(url: string, made: ActorType<A>): ActorType<A> {
  const frozen = Object.freeze(made);
  if (url !== '') defined.set(`${url}#${made.type}`, frozen as ActorType);
  return frozen;
}

export function methodTable(prototype: object, options: ActorOptions): MethodSpec[] {
  const found = new Map<string, (...args: any[]) => unknown>();
  const chain: object[] = [];
  for (let at: object | null = prototype; at !== null && at !== Object.prototype; at = Object.getPrototypeOf(at))
    chain.unshift(at);
  for (const level of chain) {
    for (const name of Object.getOwnPropertyNames(level)) {
      if (frameMethods.has(name)) continue;
      const property = Object.getOwnPropertyDescriptor(level, name);
      // What a subclass has made a getter or a value is no method any more, although its base still has one.
      if (typeof property?.value === 'function') found.set(name, property.value);
      else found.delete(name);
    }
  }
  if (found.has('then')) {
    throw badOption(
      `actor type '${options.type}' declares a method named 'then': awaiting a ref would call it; rename it`,
    );
  }
  if (found.size > methodsMax)
    throw badOption(`actor type '${options.type}' declares ${found.size} methods; the most is ${methodsMax}`);
  for (const [name, mode] of Object.entries(options.turns ?? {})) {
    if (!found.has(name)) throw badOption(`turns.${name}: actor type '${options.type}' has no method of that name`);
    if (!['exclusive', 'read', 'interleave'].includes(mode))
      throw badOption(`turns.${name} must be 'exclusive', 'read' or 'interleave', not ${show(mode)}`);
  }
  return [...found].map(([name, fn]) => ({
    name,
    fn,
    mode: options.turns?.[name] ?? 'exclusive',
    isAsync: Object.prototype.toString.call(fn) === '[object AsyncFunction]',
  }));
}

export function checkOptions(options: ActorOptions): ActorSpec {
  if (typeof options !== 'object' || options === null)
    throw badOption('defineActor needs options as its third argument');
  const type = checkTypeName(options.type);
  const known = [
    'type',
    'version',
    'migrate',
    'mailbox',
    'turns',
    'reentrant',
    'placement',
    'thread',
    'persist',
    'saves',
    'durability',
    'idleMs',
    'ownsShards',
    'supervise',
  ];
  for (const name of Object.keys(options))
    if (!known.includes(name))
      throw badOption(`actor type '${type}': unknown option '${name}'; known are ${known.join(', ')}`);
  const oneOf = <T extends string>(name: string, value: T | undefined, allowed: readonly T[]): T => {
    if (value === undefined) return allowed[0] as T;
    if (!allowed.includes(value))
      throw badOption(`actor type '${type}': ${name} must be one of ${allowed.join(', ')}, not ${show(value)}`);
    return value;
  };
  const whole = (
    name: string,
    value: number | undefined,
    fallback: number,
    min: number,
    max = Number.MAX_SAFE_INTEGER,
  ): number => {
    if (value === undefined) return fallback;
    if (!Number.isSafeInteger(value) || value < min || value > max)
      throw badOption(`actor type '${type}': ${name} must be a whole number from ${min} to ${max}, not ${show(value)}`);
    return value;
  };
  for (const name of Object.keys(options.mailbox ?? {}))
    if (!['capacity', 'bytes', 'overflow'].includes(name))
      throw badOption(
        `actor type '${type}': unknown option 'mailbox.${name}'; known are mailbox.capacity, mailbox.bytes, mailbox.overflow`,
      );
  if (options.migrate !== undefined && typeof options.migrate !== 'function')
    throw badOption(`actor type '${type}': migrate must be a function (state, fromVersion) => state`);
  const idleMs = options.idleMs ?? 60_000;
  if (typeof idleMs !== 'number' || !(idleMs > 0))
    throw badOption(
      `actor type '${type}': idleMs must be a positive number of ms (Infinity to stay awake), not ${show(idleMs)}`,
    );
  if (options.placement === 'pool' && (options.persist ?? 'none') !== 'none') {
    throw badOption(
      `actor type '${type}': placement 'pool' is one stateless actor a thread; it cannot have persist: '${options.persist}'`,
    );
  }
  return Object.freeze({
    type,
    version: whole('version', options.version, 1, 0),
    migrate: options.migrate,
    capacity: whole('mailbox.capacity', options.mailbox?.capacity, mailboxCapacityDefault, 1, 1 << 24),
    bytes: whole('mailbox.bytes', options.mailbox?.bytes, mailboxBytesDefault, 64),
    overflow: oneOf('mailbox.overflow', options.mailbox?.overflow, ['reject', 'wait'] as const),
    reentrant: oneOf('reentrant', options.reentrant, ['never', 'same-chain'] as const),
    placement: oneOf('placement', options.placement, ['ring', 'local', 'pool', 'pinned', 'node'] as const),
    thread: whole('thread', options.thread, 0, 0, 1_023),
    persist: oneOf('persist', options.persist, ['none', 'snapshot', 'journal'] as const),
    saves: oneOf('saves', options.saves, ['turn', 'explicit'] as const),
    durability: oneOf('durability', options.durability, ['committed', 'flushed'] as const),
    idleMs,
    ownsShards: options.ownsShards === true,
    supervise: checkSupervision(type, { onError: 'resume', ...options.supervise }),
  });
}

function badOption(message: string): TroupeError {
  return new TroupeError('BAD_OPTION', message);
}
