// The way in: what has come of the addresses of `join`, and when this node is ready. Pure.
//
//     waiting ──somebody lets it in, and there is a ring──▶ ready
//        └─────everybody refuses it, for a reason that only a person can change──▶ refused ──let in after all──▶ ready
//
// The intuition: an address where nobody answers may answer later, so it is dialled for ever, and told of; whoever refuses us for our
// secret will do so tomorrow, so ready() ends with what it said. One of several is not enough for that, another may let us in. A
// refusal as a namesake holds only when it lasts: the life before this one is believed to live until it has been silent for a while.
//
// Invariant: ready() rejects only while no address has let this node in.

import { TroupeError } from '../../errors.ts';
import { joinPatienceMs, joinToldEveryMs } from '../../limits.ts';
import type { Reason } from '../links/greeting.ts';
import type { SeedTrouble } from '../links/peers-options.ts';
import type { Log, Millis } from '../world.ts';

export interface JoiningOptions {
  readonly name: string;
  /** Addresses of `join`, without this node's own. */
  readonly join: readonly string[];
  readonly log: Pick<Log, 'warn'>;
  emit(name: string, payload: unknown): void;
}

/** An address of `join` behind which nobody has let this node in yet. */
export interface Joined {
  readonly address: string;
  readonly state: 'untried' | 'unanswered' | 'refused';
  readonly tries: number;
  /** What came of the last try. */
  readonly error: string | undefined;
}

/** Those of `join`, and this node. */
export interface Voters {
  /** Who has let this node in, itself among them. */
  readonly names: readonly string[];
  /** With those that nobody has been found behind yet. */
  readonly size: number;
}

interface Door {
  tries: number;
  since: Millis;
  told: Millis | undefined;
  last: SeedTrouble | undefined;
}

/** What to change, by the reason of a refusal that stays. */
const remedies: Partial<Record<Reason, { option: string; isSure: boolean }>> = {
  refused: { option: 'join', isSure: true },
  version: { option: 'join', isSure: true },
  cluster: { option: 'cluster', isSure: true },
  certificate: { option: 'tls', isSure: true },
  secret: { option: 'secret', isSure: true },
  replicas: { option: 'replicas', isSure: true },
  partitions: { option: 'partitions', isSure: true },
  namesake: { option: 'name', isSure: false },
  malformed: { option: 'join', isSure: false },
};

export class Joining {
  readonly #options: JoiningOptions;
  /** Where nobody has let us in yet. */
  readonly #doors = new Map<string, Door>();
  /** Who has been found behind an address. */
  readonly #names = new Map<string, string>();
  #ready = settlable();
  #state: 'waiting' | 'ready' | 'refused' | 'over' = 'waiting';

  constructor(options: JoiningOptions) {
    this.#options = options;
    for (const address of options.join)
      this.#doors.set(address, { tries: 0, since: 0, told: undefined, last: undefined });
  }

  /** Rejects with what keeps this node out, and resolves again when it does no more. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  nameAt(address: string): string | undefined {
    return this.#names.get(address);
  }

  /** The node itself, or one that has let it in. */
  met(address: string, name: string): void {
    this.#names.set(address, name);
    this.#doors.delete(address);
  }

  /** Who has a say in the first ring. */
  get voters(): Voters {
    // Its own address may be written in another way than it listens by.
    const others = [...this.#doors.values()].filter(({ last }) => last?.refusal?.reason !== 'self');
    const names = [...new Set(this.#names.values()).add(this.#options.name)];
    return { names, size: names.length + others.length };
  }

  /** A dial came to nothing. `isIn`: there is a link with somebody. */
  failed(trouble: SeedTrouble, isIn: boolean, now: Millis): void {
    const door = this.#doors.get(trouble.address);
    if (door === undefined) return;
    door.tries++;
    if (isOther(door.last, trouble)) door.since = now;
    door.last = trouble;
    if (isIn || this.#state === 'ready' || this.#state === 'over') return;
    if (trouble.refusal === undefined) this.#tell(trouble.address, door, now);
    const refused = this.#verdict(now);
    if (refused !== undefined) this.refuse(refused);
  }

  refuse(error: TroupeError): void {
    if (this.#state !== 'waiting') return;
    this.#state = 'refused';
    this.#ready.reject(error);
  }

  becomeReady(): void {
    if (this.#state === 'over') return;
    if (this.#state === 'refused') this.#ready = settlable();
    this.#state = 'ready';
    this.#ready.resolve();
  }

  stop(error: TroupeError): void {
    if (this.#state === 'refused') this.#ready = settlable();
    this.#state = 'over';
    this.#ready.reject(error);
  }

  describe(): Joined[] {
    return [...this.#doors].map(([address, { tries, last }]) => ({
      address,
      state: last === undefined ? 'untried' : last.refusal === undefined ? 'unanswered' : 'refused',
      tries,
      error: last?.message,
    }));
  }

  /** Once it has lasted, and again now and then: whoever waits for ready() sees nothing else. */
  #tell(address: string, door: Door, now: Millis): void {
    const forMs = now - door.since;
    if (forMs < joinPatienceMs || (door.told !== undefined && now - door.told < joinToldEveryMs)) return;
    door.told = now;
    const event = { address, error: door.last?.message, tries: door.tries, forMs };
    this.#options.log.warn(
      event,
      `nobody answers at ${address}, which 'join' names; it is dialled until somebody does, and ready() waits`,
    );
    this.#options.emit('join-unanswered', event);
  }

  /** Everybody refuses it, but for those that have not answered for a while. */
  #verdict(now: Millis): TroupeError | undefined {
    const doors = [...this.#doors.values()];
    const closed = doors.filter(door => isClosed(door, now));
    const others = doors.filter(door => !closed.includes(door));
    if (closed.length === 0 || !others.every(({ last, since }) => last !== undefined && now - since >= joinPatienceMs))
      return undefined;
    const { address, refusal, message } = (closed[0] as Door).last as SeedTrouble;
    const more = doors.length === 1 ? '' : `; and nobody else of 'join' lets it in`;
    const reason = refusal?.reason as Reason;
    return new TroupeError('BAD_OPTION', `node ${this.#options.name} is let in by nobody: ${message}${more}`, {
      details: { option: remedies[reason]?.option, reason, by: refusal?.by, address, refusedBy: closed.length },
    });
  }
}

const isOther = (before: SeedTrouble | undefined, now: SeedTrouble): boolean =>
  before === undefined || before.refusal?.reason !== now.refusal?.reason;

function isClosed({ last, since }: Door, now: Millis): boolean {
  const remedy = last?.refusal && remedies[last.refusal.reason];
  return remedy !== undefined && (remedy.isSure || now - since >= joinPatienceMs);
}

/** One that nobody waits for may be rejected. */
function settlable(): PromiseWithResolvers<void> {
  const made = Promise.withResolvers<void>();
  made.promise.catch(() => undefined);
  return made;
}
