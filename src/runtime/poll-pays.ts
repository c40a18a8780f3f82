// Does polling pay right now? A thread that polls for its next frame answers in 3 us instead of 40, as long as the core is its
// own. When others want the core it burns the very time its peer needs to answer: measured beside two busy processes, an ask
// took 243 us with polling and 40 without. So the poller watches whether it is being put aside, and gives polling up for a
// while when it is, or when window after window ends without a frame. Pure: the thread's port feeds it the time.
//
//      polling ──two gaps close together, or four barren windows──▶ resting (20 ms) ──▶ polling
//
// A gap: two turns of the event loop between which nothing was done lie far apart. One is a garbage collection, two are a
// neighbour.

import { pollBarrenMax, pollGapMs, pollGapsWithinMs, pollRestMs } from '../limits.ts';
import type { Millis } from './world.ts';

export class PollPays {
  private restUntil: Millis = Number.NEGATIVE_INFINITY;
  private gapAt: Millis = Number.NEGATIVE_INFINITY;
  private idleSince: Millis = Number.NEGATIVE_INFINITY;
  private barren = 0;
  rests = 0;

  /** A turn that found nothing ended now; the next is planned at once. */
  idled(now: Millis): void {
    this.look(now);
    this.idleSince = now;
  }

  /** A turn that found something began now: the time up to the next belongs to whoever was woken by it. */
  worked(now: Millis): void {
    this.look(now);
    this.idleSince = Number.NEGATIVE_INFINITY;
    this.barren = 0;
  }

  /** The thread sleeps from now on: the window has passed and nothing came, or polling rests, and then this says nothing about it. */
  parked(now: Millis): void {
    // Whoever sleeps is not put aside. Taken for a gap, each sleep of a rest would bring the next rest.
    this.idleSince = Number.NEGATIVE_INFINITY;
    if (!this.pays(now) || ++this.barren < pollBarrenMax) return;
    this.barren = 0;
    this.rest(now);
  }

  /** May a thread without work poll on? */
  pays(now: Millis): boolean {
    return now >= this.restUntil;
  }

  /** Was the poller put aside since its last idle turn? Often the frame it polled for is there when it comes back. */
  private look(now: Millis): void {
    if (this.idleSince === Number.NEGATIVE_INFINITY || now - this.idleSince <= pollGapMs) return;
    if (now - this.gapAt <= pollGapsWithinMs) this.rest(now);
    this.gapAt = now;
  }

  private rest(now: Millis): void {
    this.restUntil = now + pollRestMs;
    this.rests++;
  }
}
