// Group commit: groups wait in one line, and whatever stands there when the disk is free goes into the next transaction.
//
//     commit() ──> [g1 g2 g3 | g4 ...] ──take──> apply(batch) ──verdicts──> settle
//                   the line (bounded)           the store's own             done | again | refused
//
// One batch is under way at a time, so the outcome of a group is known before any group of a later batch is looked at.
// A refused group takes along every group of its shard that stands behind it: they may rest on what was refused.
//
// Where a batch is waited for beside this thread (a sync of the log), it is begun as soon as half of those that are usually
// under way stand in line. The other half is worked on meanwhile, and is the next batch: a thread that waits for its disk with all of its
// writers waiting too does nothing.
//
// Invariants: every promise handed out settles. Groups of one shard are applied in the order they were handed in. What
// waits stays below the bounds; the next group is refused with OVERLOADED.

import { TroupeError } from '../errors.ts';
import { batchBytesMax, batchRecordsMax, writeBytesPendingMax, writesPendingMax } from '../limits.ts';
import type { Ack } from './engine.ts';
import type { PendingGroup, PendingWrites } from './pending-writes.ts';
import { crashed, restsOn, stopped } from './refusals.ts';

/** What became of a group: written; to be tried again at the head of the line; or refused for good. */
export type Verdict = 'done' | 'again' | TroupeError;

export interface GroupCommitSeams<Owner> {
  /** Runs fn later in this tick or in the next: whoever hands in a group until then shares the transaction. */
  soon(fn: () => void): void;
  /** Applies each group whole or not at all, in order. A rejection means that the store cannot go on. */
  apply(batch: readonly PendingGroup<Owner>[]): Promise<readonly Verdict[]>;
  /** 'flushed' is waited for beside this thread: apply() hands it over before it returns. */
  overlaps?(): boolean;
  /** Makes what is committed survive a loss of power. Absent where committing does. */
  flush?(): Promise<void>;
  pendingOf(owner: Owner): PendingWrites;
  /** Called once, when apply or a job has failed. */
  onFatal(why: Error): void;
}

/** Work that is no group: it has the store to itself, in its turn. */
interface Job {
  run(): Promise<void>;
  resolve(): void;
  reject(error: Error): void;
}

interface Refusal<Owner> {
  readonly group: PendingGroup<Owner>;
  readonly why: TroupeError;
}

/** Not the function alone: the same one may watch twice. */
interface Watcher<Owner> {
  readonly changed: (owner: Owner, key: Uint8Array) => void;
  stopped: boolean;
}

type Item<Owner> = { readonly group: PendingGroup<Owner> } | { readonly job: Job };

export class GroupCommit<Owner> {
  readonly #seams: GroupCommitSeams<Owner>;
  #line: Item<Owner>[] = [];
  /** What apply() is working on: no longer in the line, not settled yet. */
  #underWay: readonly PendingGroup<Owner>[] = [];
  #running = false;
  #planned = false;
  /** Groups under way and in line when the last batch ended. */
  #usual = 0;
  /** Somebody in the last batch wanted it 'flushed'. */
  #waited = false;
  /** Replaced, never changed. Undefined while nobody watches, which is nearly always: a write then pays for one comparison. */
  #watchers: readonly Watcher<Owner>[] | undefined;
  #stopped: TroupeError | undefined;
  #writes = 0;
  #bytes = 0;
  readonly #counts = { transactions: 0, groups: 0, records: 0, bytesPut: 0, fenced: 0, diskFull: 0 };

  constructor(seams: GroupCommitSeams<Owner>) {
    this.#seams = seams;
  }

  /** Throws what stops the store from being used, if anything. */
  check(): void {
    if (this.#stopped) throw this.#stopped;
  }

  get counts(): Readonly<Record<'transactions' | 'groups' | 'records' | 'bytesPut' | 'fenced' | 'diskFull', number>> {
    return this.#counts;
  }

  get pending(): { readonly writes: number; readonly bytes: number } {
    return { writes: this.#writes, bytes: this.#bytes };
  }

  /** Puts a group in the line, and its writes over the committed ones. */
  submit(group: Omit<PendingGroup<Owner>, 'resolve' | 'reject'>): Promise<void> {
    const refusal = this.#stopped ?? refuse(group, this.#writes, this.#bytes);
    if (refusal) return Promise.reject(refusal);
    return new Promise((resolve, reject) => {
      const pending = { ...group, resolve, reject };
      this.#writes += weightOf(group);
      this.#bytes += group.bytes;
      this.#seams.pendingOf(group.owner).add(pending);
      this.#join({ group: pending });
      if (this.#watchers !== undefined) tell(this.#watchers, pending);
    });
  }

  /** Calls `changed` for each write that joins the line, once however often it is tried, until the returned function is called. */
  watch(changed: Watcher<Owner>['changed']): () => void {
    const watcher: Watcher<Owner> = { changed, stopped: false };
    this.#watchers = [...(this.#watchers ?? []), watcher];
    return () => {
      watcher.stopped = true;
      const rest = this.#watchers?.filter(other => other !== watcher);
      this.#watchers = rest?.length ? rest : undefined;
    };
  }

  /** Runs when everything handed in before has settled, and before anything handed in later. */
  job(run: () => Promise<void>): Promise<void> {
    if (this.#stopped) return Promise.reject(this.#stopped);
    return new Promise((resolve, reject) => this.#join({ job: { run, resolve, reject } }));
  }

  /** Resolves when everything handed in before has settled, and is durable to the level asked. */
  sync(ack: Ack): Promise<void> {
    return this.job(async () => (ack === 'flushed' ? this.#seams.flush?.() : undefined));
  }

  /** Refuses what comes; lets what waits finish. */
  stop(): Promise<void> {
    const drained = this.job(async () => {});
    this.#stopped ??= stopped();
    return drained;
  }

  /** Forgets what is not committed, as a crash does. The line is open again at once: the engine was "restarted". */
  crash(): void {
    const lost = crashed();
    const items = this.#line.splice(0);
    this.#refuse([...this.#underWay, ...groupsOf(items)].map(group => ({ group, why: lost })));
    this.#underWay = [];
    for (const item of items) if ('job' in item) item.job.reject(lost);
  }

  #join(item: Item<Owner>): void {
    this.#line.push(item);
    if (this.#running) return;
    if ('group' in item && item.group.ack === 'flushed' && this.#isEnough()) this.#turn();
    else this.#plan();
  }

  /** Enough for a batch, although others will come in this tick? */
  #isEnough(): boolean {
    return this.#line.length * 2 >= this.#usual && this.#seams.overlaps?.() === true;
  }

  #plan(): void {
    if (this.#planned) return;
    this.#planned = true;
    this.#seams.soon(() => {
      this.#planned = false;
      if (!this.#running && this.#line.length > 0) this.#turn();
    });
  }

  #turn(): void {
    this.#running = true;
    this.#stepOf(this.#line).then(
      () => {
        this.#running = false;
        if (this.#line.length === 0) return;
        // Behind a batch that waited for nothing, the event loop has its turn first: writers that go on at once would keep it for ever.
        if (this.#waited && this.#isEnough()) this.#turn();
        else this.#plan();
      },
      why => this.#fail(why),
    );
  }

  async #stepOf(line: Item<Owner>[]): Promise<void> {
    const first = line[0];
    if (first && 'job' in first) {
      line.shift();
      return this.#work(first.job);
    }
    const batch = take(line);
    if (batch.length === 0) return;
    this.#underWay = batch;
    this.#waited = batch.some(({ ack }) => ack === 'flushed');
    const verdicts = await this.#seams.apply(batch);
    this.#usual = batch.length + line.length;
    // A crash in between has already told everyone, and what was applied is not ours to speak of any more.
    if (this.#underWay !== batch) return;
    this.#settle(batch, verdicts);
  }

  async #work(job: Job): Promise<void> {
    try {
      await job.run();
      job.resolve();
    } catch (why) {
      job.reject(why as Error);
      // A refusal (no room, a damaged record) is an answer; anything else means that the store has failed.
      if (!(why instanceof TroupeError)) throw why;
    }
  }

  #settle(batch: readonly PendingGroup<Owner>[], verdicts: readonly Verdict[]): void {
    checkOrder(batch, verdicts);
    this.#underWay = [];
    const refused = new Map<Owner, TroupeError>();
    const refusals: Refusal<Owner>[] = [];
    const again: Item<Owner>[] = [];
    const unflushed: PendingGroup<Owner>[] = [];
    batch.forEach((group, index) => {
      const earlier = refused.get(group.owner);
      const verdict = verdicts[index] as Verdict;
      if (earlier) refusals.push({ group, why: restsOn(earlier) });
      else if (verdict === 'again') again.push({ group });
      else if (verdict === 'done') this.#commit(group, unflushed);
      else {
        refused.set(group.owner, verdict);
        refusals.push({ group, why: verdict });
      }
    });
    if (unflushed.length > 0) this.#flush(unflushed);
    if (verdicts.includes('done')) this.#counts.transactions++;
    if (refused.size > 0) this.#refuse([...refusals, ...this.#takeBehind(refused)]);
    // What is tried again stood before any refusal of its shard, so nothing takes it along.
    this.#line.unshift(...again);
  }

  /** The line behind a refusal: whatever of the same shard stands there was handed in before anyone could know. */
  #takeBehind(refused: ReadonlyMap<Owner, TroupeError>): Refusal<Owner>[] {
    const taken: Refusal<Owner>[] = [];
    this.#line = this.#line.filter(item => {
      const why = 'group' in item ? refused.get(item.group.owner) : undefined;
      if ('group' in item && why) taken.push({ group: item.group, why: restsOn(why) });
      return why === undefined;
    });
    return taken;
  }

  #commit(group: PendingGroup<Owner>, unflushed: PendingGroup<Owner>[]): void {
    this.#leave(group);
    this.#seams.pendingOf(group.owner).committed(group);
    this.#counts.groups++;
    this.#counts.records += group.writes.length;
    for (const { key, record } of group.writes) if (record) this.#counts.bytesPut += key.length + record.length;
    if (group.ack === 'flushed' && this.#seams.flush) unflushed.push(group);
    else group.resolve();
  }

  #flush(groups: readonly PendingGroup<Owner>[]): void {
    this.#seams.flush?.().then(
      () => {
        for (const { resolve } of groups) resolve();
      },
      (why: Error) => {
        for (const { reject } of groups) reject(why);
      },
    );
  }

  #refuse(refusals: readonly Refusal<Owner>[]): void {
    // The overlay of a shard is laid anew once, not once a group: a full line may fall at a single refusal.
    for (const [owner, groups] of Map.groupBy(
      refusals.map(({ group }) => group),
      ({ owner }) => owner,
    )) {
      this.#seams.pendingOf(owner).refused(groups);
    }
    for (const { group, why } of refusals) {
      this.#leave(group);
      if (why.code === 'FENCED') this.#counts.fenced++;
      if (why.code === 'DISK_FULL') this.#counts.diskFull++;
      group.reject(why);
    }
  }

  #leave(group: PendingGroup<Owner>): void {
    this.#writes -= weightOf(group);
    this.#bytes -= group.bytes;
  }

  /** The store is broken. First whoever must act on it (by default: end the process), then everyone who waits. */
  #fail(why: unknown): void {
    const cause = why instanceof Error ? why : new Error(String(why));
    const stop = new TroupeError('STOPPED', `The store has failed: ${cause.message}`, { cause });
    this.#stopped = stop;
    this.#seams.onFatal(cause);
    const unknown = new TroupeError('UNKNOWN_OUTCOME', `The commit failed: ${cause.message}`, { cause });
    const items = this.#line.splice(0);
    this.#refuse([
      ...this.#underWay.map(group => ({ group, why: unknown })),
      ...groupsOf(items).map(group => ({ group, why: stop })),
    ]);
    this.#underWay = [];
    for (const item of items) if ('job' in item) item.job.reject(stop);
  }
}

/** A group without writes takes a place too: it raises a fence. */
function weightOf(group: { readonly writes: readonly unknown[] }): number {
  return Math.max(1, group.writes.length);
}

function tell<Owner>(watchers: readonly Watcher<Owner>[], { owner, writes }: PendingGroup<Owner>): void {
  for (const { key } of writes) {
    for (const watcher of watchers) {
      // A watcher may stop any of them while it is told.
      if (watcher.stopped) continue;
      try {
        // A copy: ours is what goes to the disk.
        watcher.changed(owner, key.slice());
      } catch {
        // The group is in the line and will be written: its writer must not be told otherwise (engine.ts).
      }
    }
  }
}

function refuse(group: { readonly writes: readonly unknown[]; readonly bytes: number }, writes: number, bytes: number) {
  const weight = weightOf(group);
  if (weight > writesPendingMax || group.bytes > writeBytesPendingMax) {
    return new TroupeError('TOO_LARGE', `A group of ${weight} writes, ${group.bytes} bytes is too large.`, {
      details: { writes: weight, writesMax: writesPendingMax, bytes: group.bytes, bytesMax: writeBytesPendingMax },
    });
  }
  if (writes + weight <= writesPendingMax && bytes + group.bytes <= writeBytesPendingMax) return undefined;
  return new TroupeError('OVERLOADED', `${writes} writes, ${bytes} bytes wait for the disk already.`, {
    details: { writes, writesMax: writesPendingMax, bytes, bytesMax: writeBytesPendingMax },
  });
}

function groupsOf<Owner>(items: readonly Item<Owner>[]): PendingGroup<Owner>[] {
  return items.flatMap(item => ('group' in item ? [item.group] : []));
}

/** The groups at the head of the line that fit into one transaction, at least one, and none behind a job. */
function take<Owner>(line: Item<Owner>[]): PendingGroup<Owner>[] {
  const batch: PendingGroup<Owner>[] = [];
  let writes = 0;
  let bytes = 0;
  for (const item of line) {
    if (!('group' in item)) break;
    writes += weightOf(item.group);
    bytes += item.group.bytes;
    if (batch.length > 0 && (writes > batchRecordsMax || bytes > batchBytesMax)) break;
    batch.push(item.group);
  }
  line.splice(0, batch.length);
  return batch;
}

/** A store that writes a group after it has put off or refused one of the same shard is broken, and must not go on. */
function checkOrder<Owner>(batch: readonly PendingGroup<Owner>[], verdicts: readonly Verdict[]): void {
  const held = new Set<Owner>();
  batch.forEach(({ owner }, index) => {
    if (verdicts[index] !== 'done') held.add(owner);
    else if (held.has(owner)) throw new Error('A group was written although one before it in its shard was not.');
  });
}
