// A partition that has become this node's, while last words of its senders may still be on their way (last-words.ts): who has said his, what
// waits for them, and what they owe of earlier turns.

import { TroupeError } from '../../errors.ts';
import type { FarMessage } from '../far-moves.ts';
import { numberIn, textIn } from '../gateway/words.ts';
import type { BaseRef } from '../refs.ts';

/** The last of a node by the way that was right before that turn. */
export interface Word {
  readonly partition: number;
  readonly turn: number;
  readonly node: string;
  /** Who became the owner with that turn. */
  readonly to: string;
  /** Who owned it until then, but is lost, as that node sees it: the word has not gone by him. */
  readonly past?: string | undefined;
  /** The turn by which that node has gone since it began, or as long as anybody waits: it has sent nothing by an owner of before. */
  readonly since?: number | undefined;
  /** The turn by which it has gone until then: of those in between it says no word. */
  readonly after?: number | undefined;
}

export interface Said {
  readonly turn: number;
  readonly to: string;
  /** Who owned it until then, since this node did: the last one first. */
  readonly by: readonly string[];
  /** The turn of the ring that it began with, if that is not long ago: of those before it owes nothing. */
  readonly since: number;
  readonly after: number;
}

export interface Detained {
  readonly ref: BaseRef;
  readonly message: FarMessage;
  readonly from: number;
}

export interface Waiting {
  readonly entries: Detained[];
  readonly over: Promise<void>;
  readonly end: () => void;
}

/** By node: turns, and who had owned it until then. */
export type Owed = Map<string, Map<number, string>>;

export interface Postponed {
  readonly turn: number;
  readonly pass: () => void;
}

export interface Settling {
  readonly turn: number;
  /** The old owner; what comes from there passes. */
  readonly via: string;
  /** It was lost, and has not given it: it is refused what others had sent it. */
  readonly isTaken: boolean;
  readonly marked: Set<string>;
  /** It became ours in an earlier life of this node, and only these have said that their last word is under way. */
  readonly only: Set<string> | null;
  readonly waiting: Map<string, Waiting>;
  /** Words of later turns, for whoever owns it by then: not before the one that is missed here, of the same node. */
  readonly later: Map<string, readonly Postponed[]>;
  /** Resolves with our own last word. */
  readonly own: Promise<void>;
  readonly ownCame: () => void;
  /** Runs that after lastWordMs, if it is still this turn. */
  readonly expire: (then: () => void) => void;
  /** Of earlier turns in which it was ours, by node: what it has sent directly since is behind that. */
  readonly owes: Owed;
  readonly postponed: Map<string, readonly Postponed[]>;
  /** Who has said it directly, while the old owner is asked to pass nothing of theirs on any more. */
  readonly direct: Set<string>;
  count: number;
}

export function waitsFor({ marked, only }: Settling, node: string): boolean {
  return !marked.has(node) && only?.has(node) !== false;
}

/** It has missed that turn, and the one before: it has never gone by who owned it then. */
export function neverSays({ turn, after }: Word, settling: Settling): boolean {
  return after !== undefined && after < settling.turn - 1 && settling.turn < turn;
}

/** Its word is here, behind what it owes. */
export function hasSaid({ turn, postponed }: Settling, node: string): boolean {
  return postponed.get(node)?.some(each => each.turn === turn) === true;
}

/**
 * A word of that turn comes when those of the turns before it have come that are owed: what it lets go was sent after them. Who has missed a
 * turn says no word of it, so it waits no longer than anything does.
 */
export function unlessOwed(settling: Settling, node: string, turn: number, pass: () => void): void {
  const { owes, postponed, expire } = settling;
  const owed = (): number[] => [...(owes.get(node)?.keys() ?? [])].filter(each => each < turn);
  if (owed().length === 0) return pass();
  const word = { turn, pass };
  postponed.set(node, [...(postponed.get(node) ?? []), word]);
  expire(() => {
    if (postponed.get(node)?.includes(word) === true) for (const each of owed()) paid(settling, node, each);
  });
}

/** What waits there for a word that has not come: it still does when the partition comes once more. */
export function takeWords(settling: Settling | undefined): Map<string, readonly Postponed[]> {
  const all = new Map(settling?.postponed);
  for (const [node, words] of settling?.later ?? []) all.set(node, [...(all.get(node) ?? []), ...words]);
  settling?.postponed.clear();
  settling?.later.clear();
  return all;
}

/** It has said that one. */
export function paid(settling: Settling, node: string, turn: number): void {
  if (settling.owes.get(node)?.delete(turn) === true) unpostpone(settling, node);
}

/** Looks again at what has waited for what it owes. */
export function unpostpone(settling: Settling, node: string): void {
  const waiting = settling.postponed.get(node) ?? [];
  settling.postponed.delete(node);
  for (const each of waiting) unlessOwed(settling, node, each.turn, each.pass);
}

export function takenOver(partition: number, to: string): TroupeError {
  const why = `partition ${partition} has been taken over by another node; this message, to ${to}, was not run`;
  return new TroupeError('FENCED', why, { details: { partition }, retryable: true });
}

/** Older versions do not say to whom. Throws BAD_MESSAGE. */
export function wordIn(word: Partial<Word> | null | undefined): Word {
  const { partition, turn, node, to, past, since, after } = word ?? {};
  return {
    partition: numberIn(partition),
    turn: numberIn(turn),
    node: textIn(node),
    to: textIn(to ?? ''),
    past: past === undefined ? undefined : textIn(past),
    since: since === undefined ? undefined : numberIn(since),
    after: after === undefined ? undefined : numberIn(after),
  };
}
