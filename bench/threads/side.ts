// What a way between two threads has to do to take part. The far thread counts and sums what it is told (so that a tell
// is confirmed by the receiver, not by the sender), adds one to what it is asked, and echoes text.

import type { Done } from '../harness.ts';

export interface ThreadSide {
  setup(): Promise<void>;
  /** n numbers one way, each sent on its own as it comes, no batching by the sender. */
  tellNumbers(n: number): Promise<Done>;
  /** The same with a text of 1 KiB. */
  tellTexts(n: number): Promise<Done>;
  askNumber(value: number): Promise<number>;
  /** The text there and back again. */
  askText(text: string): Promise<string>;
  teardown(): Promise<void>;
}

/** What the far thread saw so far. */
export interface Tally {
  readonly count: number;
  readonly sum: number;
}

export const text1k: string = 'abcdefghijklmnopqrstuvwxyz012345'.repeat(32);

/** The receiver's half of a tell: an amount is a number or the length of a text. */
export class Counter {
  private count = 0;
  private sum = 0;

  hit(message: number | string): void {
    this.count++;
    this.sum = (this.sum + (typeof message === 'number' ? message : message.length)) >>> 0;
  }

  tally(): Tally {
    return { count: this.count, sum: this.sum };
  }
}

/** Tells, then asks the receiver what came: `tell` is called n times, `tally` must see all of them. */
export async function confirmTells(
  n: number,
  tell: (index: number) => void | Promise<void>,
  tally: () => Promise<Tally>,
): Promise<Done> {
  const before = await tally();
  const began = performance.now();
  for (let index = 0; index < n; index++) {
    const slot = tell(index);
    if (slot !== undefined) await slot;
  }
  const after = await tally();
  return { done: after.count - before.count, ms: performance.now() - began, hash: (after.sum - before.sum) >>> 0 };
}

/** What a side is made of when it can be told and asked by functions. */
export interface Talk {
  tell(value: number | string): void | Promise<void>;
  tally(): Promise<Tally>;
  next(value: number): Promise<number>;
  echo(text: string): Promise<string>;
}

export function talkingBy(talk: Talk): Pick<ThreadSide, 'tellNumbers' | 'tellTexts' | 'askNumber' | 'askText'> {
  const { tell, tally, next, echo } = talk;
  return {
    tellNumbers: n => confirmTells(n, tell, tally),
    tellTexts: n => confirmTells(n, () => tell(text1k), tally),
    askNumber: next,
    askText: echo,
  };
}

export type What = 'hit' | 'next' | 'echo' | 'tally';
/** [what, number of the request, argument] there; [number of the request, answer] back. */
export type Request = readonly [what: What, id: number, value: number | string];
export type Answer = readonly [id: number, value: number | string | Tally];

/** Requests over something that carries messages: each has a number, by which its answer is known. A tell has none. */
export class Requests implements Talk {
  private readonly send: (request: Request) => void | Promise<void>;
  private readonly waiting = new Map<number, (value: never) => void>();
  private ids = 0;

  constructor(send: (request: Request) => void | Promise<void>) {
    this.send = send;
  }

  readonly onAnswer = ([id, value]: Answer): void => {
    this.waiting.get(id)?.(value as never);
    this.waiting.delete(id);
  };

  private ask<Reply>(what: What, value: number | string): Promise<Reply> {
    const { promise, resolve } = Promise.withResolvers<Reply>();
    const id = this.ids++;
    this.waiting.set(id, resolve as (value: never) => void);
    void this.send([what, id, value]);
    return promise;
  }

  readonly tell = (value: number | string): void | Promise<void> => this.send(['hit', 0, value]);
  readonly tally = (): Promise<Tally> => this.ask('tally', 0);
  readonly next = (value: number): Promise<number> => this.ask('next', value);
  readonly echo = (text: string): Promise<string> => this.ask('echo', text);
}
