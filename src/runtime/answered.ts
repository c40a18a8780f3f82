// Operations an actor has been asked to do once: `call(ref, { opId })`. A retry with the same id finds the answer of the
// first try, or joins it while it runs, instead of doing it twice. Pure bookkeeping; delivery.ts asks it before a message
// goes into the mailbox.
//
//      first try ──▶ running ──answer──▶ done (kept)          an error forgets it: it may be tried again
//      retry     ──▶ joins it            gets the answer
//
// The memo is part of the actor: it is stored in the same commit as the state it goes with, and travels with a move.
// Bound: the last answersMax operations; one that is retried later than that is done again.

import { answerBytesMax, answersMax } from '../limits.ts';
import type { Call } from './call.ts';
import { sizeOf } from './size-of.ts';

interface Running {
  readonly done: false;
  readonly joined: Call[];
}

interface Done {
  readonly done: true;
  readonly value: unknown;
}

export class Answered {
  private readonly entries = new Map<string, Running | Done>();
  /** Changed since it was stored last. */
  dirty = false;

  /** undefined: the first try, now marked as running. */
  begin(opId: string): Running | Done | undefined {
    const found = this.entries.get(opId);
    if (found !== undefined) return found;
    this.entries.set(opId, { done: false, joined: [] });
    return undefined;
  }

  /** The operation has its answer: whoever joined it is handed back to be answered. */
  finish(opId: string, value: unknown): readonly Call[] {
    const found = this.entries.get(opId);
    if (found === undefined || found.done) return none;
    // To the end of the order, so that the oldest answer is the one to go.
    this.entries.delete(opId);
    if (sizeOf(value) <= answerBytesMax) {
      this.entries.set(opId, { done: true, value });
      this.dirty = true;
    }
    if (this.entries.size > answersMax) this.forgetOldest();
    return found.joined;
  }

  /** It failed or never began: forgotten. Whoever joined it is handed back to fail with it. */
  drop(opId: string): readonly Call[] {
    const found = this.entries.get(opId);
    if (found === undefined || found.done) return none;
    this.entries.delete(opId);
    return found.joined;
  }

  /** Operations that have not been answered, each with the retries that joined it. */
  running(): [opId: string, joined: readonly Call[]][] {
    return [...this.entries].flatMap(([opId, entry]) =>
      entry.done ? [] : [[opId, entry.joined] as [string, readonly Call[]]],
    );
  }

  private forgetOldest(): void {
    for (const [opId, entry] of this.entries) {
      if (!entry.done) continue;
      this.entries.delete(opId);
      return;
    }
  }

  /** What is stored and shipped: finished operations, oldest first. */
  pack(): [opId: string, value: unknown][] {
    return [...this.entries].flatMap(([opId, entry]) => (entry.done ? [[opId, entry.value] as [string, unknown]] : []));
  }

  /** `before`: what it replaces, because a write was refused. Operations that wait, or run, do so still. */
  static unpack(packed: readonly (readonly [string, unknown])[], before: Answered | null = null): Answered {
    const made = new Answered();
    for (const [opId, value] of packed) made.entries.set(opId, { done: true, value });
    for (const [opId, entry] of before?.entries ?? []) if (!entry.done) made.entries.set(opId, entry);
    return made;
  }
}

const none: readonly Call[] = [];
