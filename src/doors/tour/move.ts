// A busy actor sent from thread to thread while several senders on several threads keep talking to it.
//
//   this thread ──tells, asks──▶ ┌────────┐ ◀──tells, asks── sources on host threads 1, 2 ...
//                                │ ledger │
//                                └────────┘  1 ─▶ 2 ─▶ 0 ─▶ 1 ... while they talk
//
// Every sender numbers what it sends. In the end the ledger's book of a sender must be one run from 0 to the last number:
// nothing lost, doubled or overtaken. And each ask behind a burst of tells must know of all of them.

import { call, type Node, type Ref, TroupeError, tell } from '../../index.ts';
import { Histogram } from '../../runtime/histogram.ts';
import { type Burst, type Ledger, LedgerT, type Source, SourceT } from './actors.ts';
import { percentiles, type Rate } from './in-flight.ts';
import type { Random } from './random.ts';
import { judge, type Runs } from './runs.ts';
import type { View } from './view.ts';

export interface MovePlan {
  readonly node: Node;
  readonly threads: number;
  readonly moves: number;
  readonly random: Random;
  readonly view: View;
  readonly signal: AbortSignal;
}

export interface MoveReport {
  readonly moves: number;
  /** Moves that were refused or called off and tried again; the actor ran on where it was. */
  readonly repeated: number;
  readonly senders: number;
  readonly messages: number;
  readonly lost: number;
  readonly doubled: number;
  readonly reordered: number;
  /** Messages that travelled with the actor, and that followed it. */
  readonly shipped: number;
  readonly forwarded: number;
  readonly pause: { readonly p50Ms: number; readonly p99Ms: number; readonly maxMs: number };
  readonly asks: Rate;
  readonly perSecond: number;
  readonly problems: readonly string[];
}

const ledgerKey = 'busy';
/** Tells between two asks. */
const burstOf = 100;
/** Bursts of this thread between two moves: the actor has work to do wherever it is. */
const burstsPerMove = 5;
/** Tries of one move. A refusal is an answer ("try again later"), not a loss. */
const triesMax = 20;
/** An ask may wait for a whole move on a busy machine. */
const patienceMs = 30_000;

export async function moveUnderTraffic(plan: MovePlan): Promise<MoveReport> {
  const { node, view, signal, moves, random } = plan;
  const ledger = node.ref(LedgerT, ledgerKey);
  const asks = new Histogram();
  const pauses = new Histogram();
  const problems: string[] = [];
  const sent = new Map<string, number>();
  let over = false;

  /** One sender: bursts until the moves are done. */
  const talk = async (name: string, burst: () => Promise<Burst>): Promise<void> => {
    while (!over) {
      const { sent: count, newest } = await burst();
      sent.set(name, count);
      if (newest !== count - 1)
        problems.push(`${name} asked behind ${count} tells, and the ledger knew of ${newest + 1}`);
    }
  };

  let ownBursts = 0;
  let heard: (() => void) | undefined;
  const own = ownBurst(ledger, asks);
  const began = performance.now();
  const traffic = [
    talk('here', async () => {
      const done = await own();
      ownBursts++;
      heard?.();
      return done;
    }),
    ...(await sourcesOn(node, plan.threads)).map(source =>
      talk(source.toString(), () => call(source, { deadlineMs: patienceMs }).burst(ledgerKey, burstOf)),
    ),
  ];
  // A sender that fails must end the tour, not leave it waiting for bursts that never come.
  const failed = Promise.all(traffic).then(() => undefined);
  failed.catch(() => undefined);
  const moreTraffic = async (): Promise<void> => {
    const enough = ownBursts + burstsPerMove;
    while (ownBursts < enough) {
      await Promise.race([
        failed,
        new Promise<void>(resolve => {
          heard = resolve;
        }),
      ]);
    }
  };

  let [repeated, shipped, forwarded] = [0, 0, 0];
  try {
    for (let move = 1; move <= moves; move++) {
      signal.throwIfAborted();
      await moreTraffic();
      const { thread } = await node.locate(ledger);
      const to = (thread + 1 + random.below(plan.threads)) % (plan.threads + 1);
      const moved = await relocate(node, ledger, to);
      repeated += moved.repeated;
      shipped += moved.shipped;
      forwarded += moved.forwarded;
      pauses.record(moved.pausedMs * 1_000);
      view.progress(move, moves);
    }
    await moreTraffic();
  } finally {
    over = true;
    await failed.catch(() => undefined);
  }
  await failed;
  const tookMs = performance.now() - began;

  const books = new Map(await call(ledger, { deadlineMs: patienceMs }).report());
  const { lost, doubled, reordered } = compare(books, sent, problems);
  const messages = [...sent.values()].reduce((a, b) => a + b, 0);
  return {
    moves,
    repeated,
    senders: sent.size,
    messages,
    lost,
    doubled,
    reordered,
    shipped,
    forwarded,
    pause: { ...percentiles(pauses), maxMs: pauses.max / 1_000 },
    asks: { count: asks.count, perSecond: Math.round((asks.count / tookMs) * 1_000), ...percentiles(asks) },
    perSecond: Math.round((messages / tookMs) * 1_000),
    problems,
  };
}

/** This thread as a sender: as a source, but timed. */
function ownBurst(ledger: Ref<Ledger>, asks: Histogram): () => Promise<Burst> {
  let sent = 0;
  const teller = tell(ledger);
  return async () => {
    for (let i = 0; i < burstOf; i++) {
      const full = teller.note('here', sent++);
      if (full !== undefined) await full;
    }
    const askedAt = performance.now();
    const newest = await call(ledger, { deadlineMs: patienceMs }).newest('here');
    asks.record((performance.now() - askedAt) * 1_000);
    return { sent, newest };
  };
}

/** One source on each host thread. Keys are placed by their hash, so a few have to be tried. */
async function sourcesOn(node: Node, threads: number): Promise<Ref<Source>[]> {
  const found = new Map<number, Ref<Source>>();
  for (let i = 0; found.size < threads; i++) {
    const source = node.ref(SourceT, `source-${i}`);
    const { thread } = await node.locate(source);
    if (!found.has(thread)) found.set(thread, source);
  }
  return [...found.values()];
}

async function relocate(
  node: Node,
  ledger: Ref<Ledger>,
  to: number,
): Promise<{ pausedMs: number; shipped: number; forwarded: number; repeated: number }> {
  for (let repeated = 0; ; repeated++) {
    try {
      return { ...(await node.relocate(ledger, `${node.name}/${to}`)), repeated };
    } catch (error) {
      if (!(error instanceof TroupeError) || !error.retryable || repeated >= triesMax) throw error;
    }
  }
}

/** Holds the ledger's books against what was sent. Whatever differs is a problem. */
export function compare(
  books: ReadonlyMap<string, Runs>,
  sent: ReadonlyMap<string, number>,
  problems: string[],
): { lost: number; doubled: number; reordered: number } {
  const sums = { lost: 0, doubled: 0, reordered: 0 };
  for (const [sender, count] of sent) {
    const { received, lost, doubled, reordered, invented } = judge(books.get(sender) ?? [], count);
    sums.lost += lost;
    sums.doubled += doubled;
    sums.reordered += reordered;
    if (lost + doubled + reordered + invented > 0) {
      problems.push(
        `${sender} sent ${count}, received were ${received}: ${lost} lost, ${doubled} doubled, ${reordered} reordered, ${invented} never sent`,
      );
    }
  }
  for (const sender of books.keys()) if (!sent.has(sender)) problems.push(`${sender} has a book and has sent nothing`);
  return sums;
}
