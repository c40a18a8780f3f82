// What goes on behind the writers, one a node: sealed segments become runs, many runs become one, files that nobody needs go.
//
//     sealed segment ─flush job─▶ run ─▶ manifest ─▶ generation turns ─▶ the slot is given up          flush-work-store.ts
//     runs           ─merge job─▶ run ─▶ manifest ─▶ generation turns ─▶ files removed                 merge-work-store.ts
//
//     none, idle ⇄ working ──failed──▶ retrying ──in time──▶ working        pause() ▶ paused ▶ resume()        stop() ▶ stopped
//
// The jobs are pure work on files, made elsewhere (the jobs pool, or right here where there is none); what they have made counts only
// when the manifest names it. One flush and one merge may be under way at once: a merge that has begun when a segment is full holds
// still on its own thread, and goes on after the flush, instead of beginning anew. It goes first only when there are so many runs
// that flushes must not make more.
//
// Invariants: what fails is tried again, seen in status(), and told once; nothing is tried in a tight loop. Stopping calls off what
// is under way and leaves nothing of it behind.

import { isTroupeError, TroupeError } from '../errors.ts';
import { paceLookMs, runsMax, sealWaitMs, slotWaitStepMs, upkeepRestMs } from '../limits.ts';
import type { JobLane } from './engine.ts';
import { FlushWork, type UpkeepSeams } from './flush-work-store.ts';
import { MergeWork } from './merge-work-store.ts';
import { paceOf } from './runs/pace.ts';
import { type SegmentSlot, slotState } from './segment-slot.ts';
import { SharedWords } from './shared-words.ts';
import { waitForNews } from './shared-words-store.ts';
import type { EngineUpkeep, OnTrouble, PurgeOf, Trouble, UpkeepState, UpkeepStatus } from './upkeep.ts';
import { UpkeepTrouble } from './upkeep-trouble.ts';

/** From here on flushes wait for merges: twice what there should ever be. */
const runsCeiling: number = 2 * runsMax;

export class Upkeep implements EngineUpkeep {
  /** Where it works, and on what: for who makes a copy. */
  readonly seams: UpkeepSeams;
  readonly #flushes: FlushWork;
  readonly #merges: MergeWork;
  readonly #troubles = new UpkeepTrouble();
  readonly #underWay = new Map<'flush' | 'merge', Promise<void>>();
  readonly #listeners: OnTrouble[] = [];
  #running: Promise<void> | undefined;
  #state: 'working' | 'paused' | 'finishing' | 'stopped' = 'working';

  constructor(seams: UpkeepSeams) {
    this.seams = seams;
    this.#merges = new MergeWork(seams, why =>
      why === undefined ? this.#troubles.went('removal') : this.#failed('removal', why),
    );
    this.#flushes = new FlushWork(seams, run => this.#merges.trust(run));
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#state = 'stopped';
    this.#flushes.stop();
    this.#merges.stop();
    this.#wake();
    await this.#running;
    await this.#merges.removal.stop();
  }

  pause(): void {
    if (this.#state !== 'working') return;
    this.#state = 'paused';
    // It would keep a thread, and go on holding files that could have been removed.
    this.#merges.stop();
  }

  resume(): void {
    if (this.#state !== 'paused') return;
    this.#state = 'working';
    this.#wake();
  }

  finish(): void {
    if (this.#state === 'stopped') return;
    this.#state = 'finishing';
    this.#merges.stop();
    this.#wake();
  }

  async run({ all = false }: { readonly all?: boolean | undefined } = {}): Promise<void> {
    this.#check();
    const before = this.#troubles.count;
    await this.#sealAll();
    if (all) this.#merges.all = true;
    await this.#settled(() => this.#troubles.count > before && this.#isRetrying());
    // What has failed and then worked is none.
    const trouble = this.#troubles.last;
    if (this.#troubles.count > before && trouble !== undefined) throw errorOf(trouble);
    this.#check();
  }

  setBytesPerSecond(bytes: number): void {
    this.#merges.budget(bytes);
  }

  purgeBy(purgeOf: PurgeOf): void {
    this.#merges.purgeOf = purgeOf;
  }

  onTrouble(tell: OnTrouble): void {
    this.#listeners.push(tell);
  }

  /** Files of runs stay where they are, also when they are merged away, until the hold is given back. */
  hold(): () => void {
    return this.#merges.removal.hold();
  }

  /** Resolves when there is nothing to do. */
  settle(): Promise<void> {
    return this.#settled(() => false);
  }

  /** The disk has not answered the log of a thread for so long; 0: it answers again. */
  stalls(thread: number, ms: number): void {
    const what = `log/t${thread}`;
    if (ms === 0) return this.#troubles.went(what);
    const message = `The disk has not answered the log of thread ${thread} for ${Math.round(ms)} ms; writers wait.`;
    this.#failed(what, new TroupeError('OVERLOADED', message, { details: { thread, ms } }));
  }

  /** The thread of this log is dead: what it has left is flushed, and its files removed. */
  adopt(thread: number): void {
    this.#flushes.adopt(thread);
    this.#wake();
  }

  /** A segment of an earlier life: its file is ours to remove. */
  inherit(segment: number): void {
    this.#flushes.inherit(segment);
  }

  /**
   * Before start(): nothing is merged yet, so that lane may help. Settles when both are at rest: whoever gives the directory up because
   * of what it rejects with must find nobody at work in it.
   */
  async flushFiles(segments: readonly { readonly log: string; readonly id: number }[]): Promise<void> {
    const waiting = [...segments];
    const work = async (lane: JobLane): Promise<void> => {
      try {
        for (let next = waiting.shift(); next !== undefined; next = waiting.shift())
          await this.#flushes.flushFile(next.log, next.id, undefined, lane);
      } catch (why) {
        waiting.length = 0;
        throw why;
      }
    };
    const ends = await Promise.allSettled([work('flush'), work('merge')]);
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  }

  status(): UpkeepStatus {
    const { flushes, bytesOut } = this.#flushes.counts;
    const merges = this.#merges;
    const counts = { ...merges.counts, bytesOut: merges.counts.bytesOut + bytesOut };
    return {
      state: this.#shown(),
      waiting: this.#flushes.sealed().length,
      ...this.#memory(),
      ...this.#sizes(),
      jobs: [this.#flushes.job, merges.job].filter(job => job !== undefined),
      bytesPerSecond: Number.isFinite(merges.bytesPerSecond) ? merges.bytesPerSecond : null,
      flushes,
      bytesFlushed: bytesOut,
      ...counts,
      failures: this.#troubles.count,
      trouble: this.#troubles.last ?? null,
      damaged: merges.damaged,
    };
  }

  #memory(): Pick<UpkeepStatus, 'segments' | 'memoryBytes'> {
    const live = this.seams.disk.slots.filter(({ isLive }) => isLive);
    return { segments: live.length, memoryBytes: live.reduce((sum, { end }) => sum + end, 0) };
  }

  /** A manifest that is closed, or damaged, cannot be asked. */
  #sizes(): ReturnType<MergeWork['status']> {
    try {
      return this.#merges.status();
    } catch {
      return { runs: 0, bytes: 0, tiers: [], backlog: 0, unneeded: 0 };
    }
  }

  #shown(): UpkeepState {
    if (this.#state === 'paused' || this.#state === 'stopped') return this.#state;
    if (this.#underWay.size > 0) return 'working';
    return this.#isRetrying() ? 'retrying' : 'idle';
  }

  async #run(): Promise<void> {
    const { disk } = this.seams;
    while (this.#state !== 'stopped') {
      const { sealed } = disk.words;
      disk.sweep();
      try {
        if (this.#state !== 'paused') this.#begin(performance.now());
        this.#troubles.went('manifest');
      } catch (why) {
        this.#failed('manifest', why as Error);
      }
      disk.words.tellIdle();
      await waitForNews(disk.words, SharedWords.sealedIndex, sealed, this.#restMs());
    }
    await Promise.all(this.#underWay.values());
  }

  /** Begins what can be begun, and sees to it that what goes on is in nobody's way. */
  #begin(now: number): void {
    const runs = this.seams.manifest.state().runs.length;
    const merging = this.#underWay.has('merge');
    if (!this.#underWay.has('flush') && !(merging && runs >= runsCeiling)) this.#beginFlush(now);
    const flushing = this.#underWay.has('flush');
    const inTheWay = paceOf({ runs, flushing, busy: true }) === 'hold';
    if (!merging && this.#state === 'working' && !inTheWay) this.#beginMerge(now);
    this.#merges.look(flushing, now);
  }

  #beginFlush(now: number): void {
    if (this.#troubles.waitMs('flush', now) > 0) return;
    const slot = this.#flushes.sealed().find(({ id }) => this.#troubles.waitMs(`flush/${id}`, now) === 0);
    if (slot === undefined) return;
    const { id } = slot;
    const work = this.#flushes.flush(slot).then(
      () => {
        this.#troubles.went('flush');
        this.#troubles.went(`flush/${id}`);
      },
      // A damaged segment is in nobody's way but its own slot's.
      (why: Error) => this.#failed(isCorrupt(why) ? `flush/${id}` : 'flush', why, !isCorrupt(why)),
    );
    this.#goesOn('flush', work);
  }

  #beginMerge(now: number): void {
    if (this.#troubles.waitMs('merge', now) > 0) return;
    const item = this.#merges.next();
    if (item === undefined) return;
    const work = this.#merges.work(item).then(
      damaged => {
        this.#troubles.went('merge');
        for (const { file, reason } of damaged) this.#failed(`run/${file}`, new TroupeError('CORRUPT', reason));
      },
      (why: Error) => this.#failed('merge', why),
    );
    this.#goesOn('merge', work);
  }

  #goesOn(what: 'flush' | 'merge', work: Promise<void>): void {
    const done = work.then(() => {
      this.#underWay.delete(what);
      this.#wake();
    });
    this.#underWay.set(what, done);
  }

  #failed(what: string, why: Error, steady = false): void {
    if (this.#state === 'stopped') return;
    const news = this.#troubles.failed(what, why, performance.now(), steady);
    if (news === undefined) return;
    for (const tell of this.#listeners) {
      try {
        tell(news);
      } catch {
        // A listener of the user's is no reason to stop.
      }
    }
  }

  #restMs(): number {
    if (this.#underWay.has('merge')) return paceLookMs;
    const waits = this.#waits();
    return waits.length === 0 ? upkeepRestMs : Math.min(upkeepRestMs, Math.max(1, ...waits.slice(0, 1)));
  }

  /** Ms until what has failed is tried again, the soonest first. */
  #waits(): number[] {
    const now = performance.now();
    const segments = this.#flushes.sealed().map(({ id }) => `flush/${id}`);
    const waits = ['flush', 'merge', ...segments].map(what => this.#troubles.waitMs(what, now));
    return waits.filter(ms => ms > 0).sort((a, b) => a - b);
  }

  #isRetrying(): boolean {
    return this.#waits().length > 0;
  }

  async #settled(enough: () => boolean): Promise<void> {
    const { words } = this.seams.disk;
    while ((this.#state === 'working' || this.#state === 'finishing') && this.#hasWork() && !enough()) {
      this.#wake();
      await waitForNews(words, SharedWords.generationIndex, words.generation, slotWaitStepMs);
    }
  }

  #hasWork(): boolean {
    if (this.#underWay.size > 0 || this.#flushes.sealed().length > 0) return true;
    return this.#state === 'working' && this.#merges.next() !== undefined;
  }

  /** Every thread hands over the segment it writes. One that does not in time keeps it: it is stuck, or dead and adopted. */
  async #sealAll(): Promise<void> {
    const { slots, words } = this.seams.disk;
    const isActive = ({ state, entries }: SegmentSlot): boolean => state === slotState.active && entries > 0;
    const active = slots.filter(isActive).map(slot => ({ slot, version: slot.version }));
    const until = performance.now() + sealWaitMs;
    words.wantSeals();
    while (active.some(({ slot, version }) => isActive(slot) && slot.version === version)) {
      if (performance.now() > until || this.#state === 'stopped') return;
      await waitForNews(words, SharedWords.sealedIndex, words.sealed, slotWaitStepMs);
    }
  }

  #check(): void {
    if (this.#state === 'paused')
      throw new TroupeError('BAD_OPTION', 'The upkeep of the storage is paused; resume it first.');
    if (this.#state !== 'working') throw new TroupeError('STOPPED', 'The storage engine is closing.');
  }

  #wake(): void {
    this.seams.disk.words.tellSealed();
  }
}

function isCorrupt(why: Error): boolean {
  return isTroupeError(why) && why.code === 'CORRUPT';
}

function errorOf({ code, message, ...details }: Trouble): TroupeError {
  return new TroupeError(code, message, { details });
}
