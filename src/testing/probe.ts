// A probe stands in for an actor: it takes the messages sent to that address and lets the test decide what happens to each.
//
//   const orders = kit.probe(OrdersT, 'eu')
//   const done = kit.ref(CartT, 'u').checkout()
//   await orders.expect('open').reply('o-1')        waits until the message is there, then answers it
//   orders.allow('ping', () => 'pong')              answers whenever it comes
//   orders.disallow('close')                        fails the test at settle() if it ever comes

import { TroupeError } from '../errors.ts';
import type { Call } from '../runtime/call.ts';
import type { Host } from '../runtime/host.ts';

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
    return this.inbox;
  }

  expect(method: string, matcher?: readonly unknown[] | ((...args: any[]) => boolean)): Expectation {
    const matches = (args: readonly unknown[]): boolean =>
      matcher === undefined
        ? true
        : typeof matcher === 'function'
          ? matcher(...args)
          : JSON.stringify(args) === JSON.stringify(matcher);
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
      fail: error => then(({ call }) => call !== null && this.host.fail(call, error)),
      ignore: () => then(() => undefined),
    };
  }

  allow(method: string, answer: (...args: any[]) => unknown = () => undefined): this {
    this.allowed.set(method, answer);
    return this;
  }

  disallow(method: string): this {
    this.forbidden.add(method);
    for (const message of this.inbox)
      if (message.method === method) this.violations.push(`${this.id}.${method} was called and must not be`);
    return this;
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
    if (call === null) answer(...args);
    else
      Promise.resolve()
        .then(() => answer(...args))
        .then(
          value => this.host.answer(call, value),
          error => this.host.fail(call, error),
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
