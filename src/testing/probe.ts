// A probe stands in for an actor: it takes the messages sent to that address and lets the test decide what happens to each.
//
//   const orders = kit.probe(OrdersT, 'eu')
//   const done = kit.ref(CartT, 'u').checkout()
//   await orders.expect('open').reply('o-1')        waits until the message is there, then answers it
//   orders.allow('ping', () => 'pong')              answers whenever it comes
//   orders.disallow('close')                        fails the test at settle() if it ever comes

import { fromWireError, TroupeError, toWireError } from '../errors.ts';
import type { Call } from '../runtime/call.ts';
import type { Host } from '../runtime/host.ts';
import { isRef } from '../runtime/refs.ts';

export interface ProbedMessage {
  readonly method: string;
  readonly args: readonly unknown[];
}

interface Arrived extends ProbedMessage {
  readonly call: Call | null;
}

/** A message that was or will be received. Await it for the message itself, or say what becomes of it. */
export interface Expectation extends PromiseLike<ProbedMessage> {
  reply(value?: unknown): Promise<ProbedMessage>;
  fail(error: unknown): Promise<ProbedMessage>;
  /** Takes the message and never answers it. */
  ignore(): Promise<ProbedMessage>;
}

/** Rounds of the event loop an expectation waits for its message before it gives up. */
const patience = 200;

export class Probe {
  readonly id: string;
  private readonly host: Host;
  private readonly inbox: Arrived[] = [];
  private readonly waiting: {
    method: string;
    matches: (args: readonly unknown[]) => boolean;
    take: (message: Arrived) => void;
  }[] = [];
  private readonly allowed = new Map<string, (...args: any[]) => unknown>();
  private readonly forbidden = new Set<string>();
  readonly violations: string[] = [];

  constructor(host: Host, id: string) {
    this.host = host;
    this.id = id;
  }

  /** Everything received and not yet expected, oldest first. */
  get received(): readonly ProbedMessage[] {
    return this.inbox.map(({ method, args }) => ({ method, args }));
  }

  expect(method: string, matcher?: readonly unknown[] | ((...args: any[]) => boolean)): Expectation {
    this.check(method);
    const matches = (args: readonly unknown[]): boolean =>
      matcher === undefined ? true : typeof matcher === 'function' ? matcher(...args) : same(args, matcher);
    const message = this.next(method, matches);
    const then = <T>(act: (arrived: Arrived) => T): Promise<ProbedMessage> =>
      message.then(arrived => {
        act(arrived);
        return { method: arrived.method, args: arrived.args };
      });
    return {
      // biome-ignore lint/suspicious/noThenProperty: an expectation is awaited like a promise, that is its interface
      then: (onOk, onError) => message.then(({ method: name, args }) => ({ method: name, args })).then(onOk, onError),
      reply: value => then(({ call }) => call !== null && this.host.answer(call, value)),
      fail: error => then(({ call }) => call !== null && this.host.fail(call, asArrived(error))),
      ignore: () => then(() => undefined),
    };
  }

  allow(method: string, answer: (...args: any[]) => unknown = () => undefined): this {
    this.check(method);
    this.allowed.set(method, answer);
    const before = this.inbox.filter(message => message.method === method);
    for (const { args, call } of before) this.take(method, args, call);
    for (const message of before) this.inbox.splice(this.inbox.indexOf(message), 1);
    return this;
  }

  disallow(method: string): this {
    this.check(method);
    this.forbidden.add(method);
    for (const message of this.inbox)
      if (message.method === method) this.violations.push(`${this.id}.${method} was called and must not be`);
    return this;
  }

  private check(method: string): void {
    const hosted = this.host.byName.get(this.id.slice(0, this.id.indexOf('/')));
    if (hosted?.methodCode(method) !== undefined || hosted?.reservedCode(method) !== undefined) return;
    throw new TroupeError('NO_METHOD', `${this.id} has no method '${method}' to be probed`);
  }

  /** The kit hands over a message for this address. */
  take(method: string, args: readonly unknown[], call: Call | null): void {
    if (this.forbidden.has(method)) {
      const text = `${this.id}.${method} was called and must not be`;
      this.violations.push(text);
      if (call !== null) this.host.fail(call, new TroupeError('REMOTE', text));
      return;
    }
    const message: Arrived = { method, args, call };
    const at = this.waiting.findIndex(each => each.method === method && each.matches(args));
    if (at >= 0) {
      this.waiting.splice(at, 1)[0]?.take(message);
      return;
    }
    const answer = this.allowed.get(method);
    if (answer === undefined) {
      this.inbox.push(message);
      return;
    }
    Promise.resolve()
      .then(() => answer(...args))
      .then(
        value => call !== null && this.host.answer(call, value),
        error => {
          if (call !== null) this.host.fail(call, asArrived(error));
          else this.violations.push(`the answer that ${this.id} allows for ${method} threw: ${String(error)}`);
        },
      );
  }

  private next(method: string, matches: (args: readonly unknown[]) => boolean): Promise<Arrived> {
    const at = this.inbox.findIndex(each => each.method === method && matches(each.args));
    if (at >= 0) return Promise.resolve(this.inbox.splice(at, 1)[0] as Arrived);
    return new Promise((resolve, reject) => {
      let rounds = 0;
      const entry = { method, matches, take: resolve };
      this.waiting.push(entry);
      const look = (): void => {
        const index = this.waiting.indexOf(entry);
        if (index < 0) return;
        if (++rounds < patience) {
          this.host.world.clock.soon(look);
          return;
        }
        this.waiting.splice(index, 1);
        const seen = this.inbox.map(each => each.method).join(', ') || 'nothing';
        reject(
          new Error(
            `${this.id} was expected to receive ${method}() and did not; it received: ${seen}. If it comes later, advance the clock first`,
          ),
        );
      };
      this.host.world.clock.soon(look);
    });
  }
}

/** The error as it would have come from an actor. */
function asArrived(error: unknown): TroupeError {
  return fromWireError(toWireError(error));
}

/** Equal as data: what arrives has passed through the codec, so there are no cycles and no strange objects. */
function same(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (isRef(a) || isRef(b)) return isRef(a) && isRef(b) && a.toString() === b.toString();
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
  if (isMoment(a) || isMoment(b)) return isMoment(a) && isMoment(b) && a.getTime() === b.getTime();
  if (a instanceof Map || a instanceof Set) return same([...a], [...(b as Map<unknown, unknown> | Set<unknown>)]);
  const keys = Object.keys(a);
  if (keys.length !== Object.keys(b).length) return false;
  return keys.every(key => Object.hasOwn(b, key) && same(a[key as never], b[key as never]));
}

function isMoment(value: object): value is { getTime(): number } {
  return typeof (value as { getTime?: unknown }).getTime === 'function';
}
