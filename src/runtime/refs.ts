// Refs and their stubs. A ref is data: a type and a key. What makes `cart.add('book')` work is a class generated once per
// type and host, whose methods put a number and the arguments into the right mailbox; a ref itself holds the key and a
// pointer to where it last found the actor.
//
// Hot path: bench/local watches it. A tell to an actor on the same thread allocates nothing: the method's closure knows its
// number, `arguments.length` is read without making an arguments object, and the message is four slots of a flat array.
//
// Invariant: the cached activation is only a hint. It is checked for life on every use and looked up again when dead.

import { TroupeError } from '../errors.ts';
import { argumentsMax } from '../limits.ts';
import type { Activation } from './activation.ts';
import type { Actor } from './actor.ts';
import type { Host } from './host.ts';
import type { HostedType } from './hosted-type.ts';
import { show } from './show.ts';

export const KEY: unique symbol = Symbol('key');
export const ACT: unique symbol = Symbol('activation');
export const TELL: unique symbol = Symbol('tell');
export const FAR: unique symbol = Symbol('far');
export const TYPE: unique symbol = Symbol('type');
export const REF: unique symbol = Symbol('ref');

/** What every ref is, whatever its type: can be sent, stored, watched, located, relocated, printed. */
export interface AnyRef {
  readonly [KEY]: string;
  toString(): string;
}

/** Not callable: the frame, and what every object has (a ref must stay printable). */
type FrameName = keyof Actor | keyof object | 'toJSON' | 'toString' | 'toLocaleString' | 'valueOf' | 'hasOwnProperty';
type MethodNames<A> = {
  [K in keyof A]: K extends FrameName ? never : A[K] extends (...args: any[]) => unknown ? K : never;
}[keyof A];

/** A typed handle of an actor. Each call is an ask with the default deadline (5 s). */
export type Ref<A> = AnyRef & {
  readonly [K in MethodNames<A>]: A[K] extends (...args: infer P) => infer R
    ? (...args: P) => Promise<Awaited<R>>
    : never;
};

/** The same methods as tells: undefined when accepted at once, a promise when an `overflow: 'wait'` mailbox is full. */
export type TellStub<R> = {
  readonly [K in Exclude<keyof R, keyof AnyRef>]: R[K] extends (...args: infer P) => unknown
    ? (...args: P) => Promise<void> | undefined
    : never;
};

export interface CallOptions {
  /** Time for the whole ask, default 5,000 ms. 0 has passed already (DEADLINE, nothing is sent); Infinity never passes. */
  readonly deadlineMs?: number;
  /** Aborted before the turn: DEADLINE, it was not run. Aborted in the turn: UNKNOWN_OUTCOME, the turn goes on. */
  readonly signal?: AbortSignal;
  /** Names the operation: a retry with the same opId is answered from memory instead of done twice. */
  readonly opId?: string;
}

/** Where an actor was last known to be on another thread. */
export interface Far {
  thread: number;
  /** The host's routing version this was looked up under. */
  version: number;
  /** Its slot in the link's table of interned targets. */
  slot: number;
  /** The epoch of its owner as this host knows it; -1 for an actor that has never moved. */
  epoch: number;
}

export class BaseRef implements AnyRef {
  declare readonly [TYPE]: HostedType;
  readonly [KEY]: string;
  [ACT]: Activation | null;
  [FAR]: Far | null;
  [TELL]: object | null;

  constructor(key: string) {
    this[KEY] = key;
    this[ACT] = null;
    this[FAR] = null;
    this[TELL] = null;
  }

  toString(): string {
    return `${this[TYPE].name}/${this[KEY] === '' ? (this[ACT]?.key ?? '') : this[KEY]}`;
  }

  toJSON(): { ref: string } {
    return { ref: this.toString() };
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return `Ref(${this.toString()})`;
  }
}

class BaseTell {
  readonly [REF]: BaseRef;
  constructor(ref: BaseRef) {
    this[REF] = ref;
  }
}

class BaseCall {
  readonly [REF]: BaseRef;
  readonly options: CallOptions;
  constructor(ref: BaseRef, options: CallOptions) {
    this[REF] = ref;
    this.options = options;
  }
}

export interface StubClasses {
  readonly Ref: new (key: string) => BaseRef;
  readonly Tell: new (ref: BaseRef) => BaseTell;
  readonly Call: new (ref: BaseRef, options: CallOptions) => BaseCall;
}

/** Low bits of a message head: how many arguments travel unboxed; 3 = a0 is the array of all arguments. */
export const boxedArguments = 3;
/** Not the exported one: on the hot path that would be a load and two checks more. */
const fewArguments: number = boxedArguments;

export function makeStubs(host: Host, type: HostedType): StubClasses {
  class TypedRef extends BaseRef {}
  class TypedTell extends BaseTell {}
  class TypedCall extends BaseCall {}
  Object.defineProperty(TypedRef.prototype, TYPE, { value: type });
  type.methods.forEach((method, index) => {
    const code = index << 2;
    define(TypedRef, method.name, function (this: BaseRef, a0: unknown, a1: unknown) {
      const count = arguments.length;
      if (count < fewArguments) return host.ask(this, code | count, a0, a1, null);
      if (count > argumentsMax) return Promise.reject(tooMany(this, method.name, count));
      return host.ask(this, code | boxedArguments, Array.prototype.slice.call(arguments), undefined, null);
    });
    define(TypedTell, method.name, function (this: BaseTell, a0: unknown, a1: unknown) {
      const count = arguments.length;
      if (count < fewArguments) {
        const act = this[REF][ACT];
        // The common case: the actor lives here, is not persisted-and-gated, nobody traces. `plain` says the last two.
        if (act?.isHere && host.plain) return act.accept(code | count, a0, a1);
        return host.tell(this[REF], code | count, a0, a1);
      }
      if (count > argumentsMax) throw tooMany(this[REF], method.name, count);
      return host.tell(this[REF], code | boxedArguments, Array.prototype.slice.call(arguments), undefined);
    });
    define(TypedCall, method.name, function (this: BaseCall, a0: unknown, a1: unknown) {
      const count = arguments.length;
      if (count < fewArguments) return host.ask(this[REF], code | count, a0, a1, this.options);
      if (count > argumentsMax) return Promise.reject(tooMany(this[REF], method.name, count));
      return host.ask(this[REF], code | boxedArguments, Array.prototype.slice.call(arguments), undefined, this.options);
    });
  });
  return { Ref: TypedRef, Tell: TypedTell, Call: TypedCall };
}

function tooMany(ref: BaseRef, method: string, count: number): TroupeError {
  return new TroupeError(
    'TOO_LARGE',
    `${ref.toString()}.${method}() was given ${count} arguments, a message carries ${argumentsMax}; put them in one array`,
    { details: { arguments: count, limit: argumentsMax } },
  );
}

function define(cls: { prototype: object }, name: string, value: (...args: any[]) => unknown): void {
  Object.defineProperty(cls.prototype, name, { value, enumerable: false, configurable: true, writable: true });
}

export function isRef(value: unknown): value is BaseRef {
  return value instanceof BaseRef;
}

/** Fire and forget. Throws OVERLOADED when the mailbox is full and its type says 'reject', BAD_MESSAGE for what is no ref. */
export function tell<R extends AnyRef>(ref: R): TellStub<R> {
  const base = ref as unknown as BaseRef;
  let stub: object | null | undefined;
  try {
    stub = base[TELL];
  } catch {
    throw noRef('tell', base); // of null: to look for it first would be seen in what a tell costs
  }
  if (stub !== null && stub !== undefined) return stub as TellStub<R>;
  if (!isRef(base)) throw noRef('tell', base);
  base[TELL] = new base[TYPE].stubs.Tell(base);
  return base[TELL] as TellStub<R>;
}

/** An ask with options: deadline, signal, operation id. Throws BAD_MESSAGE for what is no ref. */
export function call<R extends AnyRef>(ref: R, options: CallOptions): Omit<R, keyof AnyRef> {
  const base = ref as unknown as BaseRef;
  const type = base?.[TYPE];
  if (type === undefined) throw noRef('call', base);
  return new type.stubs.Call(base, options ?? {}) as unknown as Omit<R, keyof AnyRef>;
}

function noRef(what: 'tell' | 'call', got: unknown): TroupeError {
  const why = `${what}() needs a ref, such as node.ref(CartT, 'user-7'), not ${show(got)}`;
  return new TroupeError('BAD_MESSAGE', why);
}
