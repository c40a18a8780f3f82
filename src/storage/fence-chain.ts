// The fences of one shard, as conditions that LMDB checks itself inside the transaction.
//
//     ifVersion(name, id)                                   the shard is still where we think it is
//       ├ ifVersion(fence, <= epoch)      { writes; token = 1 }     first link
//       ├ ifVersion(token, = 1)
//       │    └ ifVersion(fence, <= epoch) { writes; token = 2 }     second link: only if the first one was written
//       └ ...
//
// The whole transaction is a list of instructions that a native thread works off, so no JavaScript runs while LMDB's one
// write lock is held: a thread that is busy, or terminated, cannot hold up the others or leave half a group behind. (We
// tried a callback inside the transaction: just as fast, and one slow actor stalls every writer of the process.)
//
// The price is that the only decision inside is "these writes, if that version is at most so high". Two things follow:
//   - A fence must exist to be compared. A shard has its fence from birth. A record that is absent is put in before the
//     chain, with a version below every epoch, and taken out again behind it if no link has replaced it. A link that
//     deletes such a record puts it back to that version, for a later link may ask for it.
//   - That a link depends on the one before it must be a version too: the token, which each link raises in its turn.
// Putting in and taking out are outside of all conditions, for lmdb-js 3.5.6 carries out a noOverwrite put inside a block
// whose condition was not met (test/storage/fence-chain.test.ts shows it).
//
// Invariants: a link is written only if every link before it was. Nothing with the version `absent` is left behind.

import { type KeyName, nameOf } from './key.ts';

/** Below every epoch. */
export const absent = -1;

const nothing = new Uint8Array(0);

export interface ConditionalWriter {
  put(
    key: Uint8Array,
    value: Uint8Array,
    version: number | { version: number; noOverwrite: boolean },
  ): Promise<boolean>;
  remove(key: Uint8Array): Promise<boolean>;
  ifVersion(key: Uint8Array, version: number, then: () => void, options?: { ifLessThan: boolean }): Promise<boolean>;
}

/** Groups that stand or fall together, with the fences they stand or fall by. */
export interface Link {
  readonly epoch: number;
  /** Keys whose versions must not be higher than the epoch. */
  readonly fences: readonly Uint8Array[];
  /** Whether the fences may be absent. An absent one lets everybody pass. */
  readonly absentFences: boolean;
  /** `value` undefined removes. The version written is the epoch. */
  readonly writes: readonly { readonly key: Uint8Array; readonly value: Uint8Array | undefined }[];
}

export interface ChainPlace {
  /** The key that says where the shard is, and the version it must have. */
  readonly home: Uint8Array;
  readonly homeVersion: number;
  /** A key for nothing else. No two transactions run at once, so one is enough for everybody. */
  readonly token: Uint8Array;
}

export interface ChainOutcome {
  /** False: the shard is elsewhere now, and nothing was written. */
  readonly located: Promise<boolean>;
  /** One for each link. */
  readonly written: readonly Promise<boolean>[];
}

/** Hands the instructions to the writer, all in this turn. */
export function issueChain(db: ConditionalWriter, place: ChainPlace, links: readonly Link[]): ChainOutcome {
  const written: Promise<boolean>[] = [];
  const absents = new Map<KeyName, Uint8Array>();
  for (const { fences, absentFences } of links)
    if (absentFences) for (const key of fences) absents.set(nameOf(key), key);
  for (const fence of absents.values()) quiet(db.put(fence, nothing, { version: absent, noOverwrite: true }));
  const located = db.ifVersion(place.home, place.homeVersion, () => {
    const steps = new Steps(db, place.token);
    if (links.length > 1 || links.some(({ fences }) => fences.length > 1)) steps.reset();
    links.forEach((link, index) => {
      const write = () => issueWrites(db, link, absents);
      written.push(issueLink(db, steps, link, write, index === links.length - 1));
    });
  });
  for (const fence of absents.values()) quiet(db.ifVersion(fence, absent, () => quiet(db.remove(fence))));
  return { located, written };
}

function issueLink(
  db: ConditionalWriter,
  steps: Steps,
  { fences, epoch }: Link,
  write: () => void,
  last: boolean,
): Promise<boolean> {
  const pass = (fence: Uint8Array) => (then: () => void) => db.ifVersion(fence, epoch, then, { ifLessThan: true });
  if (fences.length === 1) return steps.next(last, pass(fences[0] as Uint8Array), write);
  // Several fences: the writes follow when all of them have been passed.
  for (const fence of fences) quiet(steps.next(false, pass(fence)));
  return steps.next(last, undefined, write);
}

function issueWrites(db: ConditionalWriter, { writes, epoch }: Link, absents: ReadonlyMap<KeyName, Uint8Array>): void {
  for (const { key, value } of writes) {
    if (value) quiet(db.put(key, value, epoch));
    else if (absents.size > 0 && absents.has(nameOf(key))) quiet(db.put(key, nothing, absent));
    else quiet(db.remove(key));
  }
}

/** The token: a counter in the environment, raised by each step that was taken, and asked for by the next one. */
class Steps {
  readonly #db: ConditionalWriter;
  readonly #token: Uint8Array;
  #taken = 0;

  constructor(db: ConditionalWriter, token: Uint8Array) {
    this.#db = db;
    this.#token = token;
  }

  /** The token of an earlier transaction must not pass for a step of this one. */
  reset(): void {
    quiet(this.#db.put(this.#token, nothing, absent));
  }

  /** Takes a step if the one before was taken, and `when` agrees. Resolves whether it was. */
  next(
    last: boolean,
    when: ((then: () => void) => Promise<boolean>) | undefined,
    write: () => void = () => {},
  ): Promise<boolean> {
    const before = this.#taken;
    const step = ++this.#taken;
    const act = () => {
      write();
      if (!last) quiet(this.#db.put(this.#token, nothing, step));
    };
    if (before === 0) {
      if (when) return when(act);
      act();
      return Promise.resolve(true);
    }
    let inner: Promise<boolean> | undefined;
    const outer = this.#db.ifVersion(this.#token, before, () => {
      if (when) inner = when(act);
      else act();
    });
    if (!inner) return outer;
    quiet(outer);
    return inner;
  }
}

/** For outcomes nobody asks for. When a commit fails, those that are asked for say so. */
function quiet(promise: Promise<boolean>): void {
  promise.catch(() => {});
}
