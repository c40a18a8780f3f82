// Whether another write is begun on this thread, asked before anything is copied, encoded or sent for it. Pure: it is told the time.
//
//     put ──▶ refusal? ──no──▶ begin ──▶ under way: the link, the vnode's mailbox, the line for the disk ──▶ end
//                └─yes─▶ OVERLOADED, at once
//
// Intuition: behind this door every stage has a queue of its own, and each of them is short compared with a deadline; all of them
// together were not. A node that was offered ten times what it can do kept 50,000 writes waiting, each begun and half of
// them answered after their askers had given up: that is work for nobody, and a heap in which the collector finds much to copy.
// So the whole way is looked at as one queue. What it serves a millisecond is measured at its end; what is under way divided by
// that is how long a new write will wait (Little's law), and it may wait for half of its time; among very many, no longer than
// `writeWaitMsMax`.
//
// A burst on a node that has nothing to do is another thing: how fast it will be served nobody knows, and asking for 10,000 writes
// at once is what people do. As long as what has ended last did not wait, only the bounds in number and bytes hold; among few
// (`writesUnderWayFew`) also until the rate has been seen for a second, because what a cold process serves is not what it will.
//
// Invariant: `underWay` and `bytes` are what begin() has counted and end() has not.

import { quickError, type TroupeError } from '../errors.ts';
import {
  askDeadlineMsDefault,
  writeBytesUnderWayMax,
  writesUnderWayFew,
  writesUnderWayMax,
  writesUnderWayMin,
  writeWaitMsMax,
} from '../limits.ts';

/** Long enough for several group commits, short enough that a rate is known before much has been begun. */
const windowMs = 50;
/** A second of work. */
const windowsBeforeTrust = 20;
const rise = 1 / 2;
const fall = 1 / 8;

export class WriteAdmission {
  underWay = 0;
  bytes = 0;
  refused = 0;
  /** How long what ended last was under way. */
  private waitedMs = 0;
  private perMs = 0;
  /** How many of them have made the rate what it is. */
  private windows = 0;
  /** The window: what was served in it, and the time in which there was something to serve, up to `mark`. */
  private served = 0;
  private busyMs = 0;
  private mark = 0;

  /** Why a write with so much time is not begun. */
  refusal(deadlineMs: number = askDeadlineMsDefault): TroupeError | undefined {
    const { underWay } = this;
    if (underWay < writesUnderWayMin && this.bytes <= writeBytesUnderWayMax) return undefined;
    const isFew = underWay < writesUnderWayFew;
    const waitMs = isFew ? deadlineMs / 2 : Math.min(deadlineMs / 2, writeWaitMsMax);
    const isKnown = !isFew || this.windows >= windowsBeforeTrust;
    const isLate = isKnown && this.waitedMs > waitMs / 4 && underWay > this.perMs * waitMs;
    if (!isLate && underWay < writesUnderWayMax && this.bytes <= writeBytesUnderWayMax) return undefined;
    this.refused++;
    return quickError('OVERLOADED', 'too many writes are under way on this thread; this one was not begun', {
      details: { underWay, bytes: this.bytes, waitedMs: this.waitedMs },
    });
  }

  begin(bytes: number, now: number): void {
    if (this.underWay++ === 0) {
      this.mark = now;
      this.waitedMs = 0;
    }
    this.bytes += bytes;
  }

  /** `served`: it was carried out or had a proper answer. What nobody waited for until its end says nothing of the rate. */
  end(bytes: number, begun: number, now: number, served: boolean): void {
    this.underWay--;
    this.bytes -= bytes;
    this.waitedMs = now - begun;
    if (served) this.served++;
    this.busyMs += now - this.mark;
    this.mark = now;
    if (this.busyMs < windowMs) return;
    const found = this.served / this.busyMs;
    // Quickly up and slowly down: a disk that stops for a moment has not become a slower one.
    if (this.perMs === 0) this.perMs = found;
    else this.perMs += (found - this.perMs) * (found > this.perMs ? rise : fall);
    this.windows++;
    this.busyMs = 0;
    this.served = 0;
  }

  describe(): object {
    const { underWay, bytes, refused, waitedMs, perMs } = this;
    return { underWay, bytes, refused, waitedMs, perSecond: perMs * 1_000 };
  }
}
