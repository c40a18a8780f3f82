// Which write is begun and which is refused, with the time in our hand.

import { describe, expect, it } from 'vitest';
import { WriteAdmission } from '../../src/actors/write-admission.ts';
import {
  writeBytesUnderWayMax,
  writesUnderWayFew,
  writesUnderWayMax,
  writesUnderWayMin,
  writeWaitMsMax,
} from '../../src/limits.ts';

const begin = (admission: WriteAdmission, count: number, now: number, bytes = 1): void => {
  for (let i = 0; i < count; i++) admission.begin(bytes, now);
};
const end = (admission: WriteAdmission, count: number, begun: number, now: number, served = true): void => {
  for (let i = 0; i < count; i++) admission.end(1, begun, now, served);
};

/** One that serves a write a millisecond, each of which has waited for `waitedMs`, with so many still under way. */
function slow(underWay: number, waitedMs: number): WriteAdmission {
  const admission = new WriteAdmission();
  begin(admission, underWay + 1_000, 0);
  for (let ms = 1; ms <= 1_000; ms++) end(admission, 1, ms - waitedMs, ms);
  return admission;
}

describe('admission of writes', () => {
  it('takes a burst on a node that has nothing to do, up to its bound', () => {
    const admission = new WriteAdmission();
    begin(admission, writesUnderWayMax - 1, 0);
    expect(admission.refusal()).toBeUndefined();
    begin(admission, 1, 0);
    expect(admission.refusal()).toMatchObject({ code: 'OVERLOADED', details: { underWay: writesUnderWayMax } });
    end(admission, 1, 0, 1);
    expect(admission.refusal()).toBeUndefined();
  });

  it('bounds the bytes of what is under way, however few they are', () => {
    const admission = new WriteAdmission();
    begin(admission, 1, 0, writeBytesUnderWayMax);
    expect(admission.refusal()).toBeUndefined();
    begin(admission, 1, 0, 1);
    expect(admission.refusal()?.code).toBe('OVERLOADED');
    admission.end(1, 0, 1, true);
    expect(admission.refusal()).toBeUndefined();
  });

  it('refuses what would wait longer than half of its deadline, at the rate seen last', () => {
    const admission = slow(writesUnderWayMin, 1_000);
    // 512 at about one a millisecond: half a second.
    expect(admission.refusal(5_000)).toBeUndefined();
    expect(admission.refusal(100)?.code).toBe('OVERLOADED');
    expect(admission.refused).toBe(1);
    end(admission, 1, 0, 1_001);
    expect(admission.refusal(100)).toBeUndefined();
  });

  it('lets nobody wait long among very many, however patient', () => {
    const admission = slow(writesUnderWayFew, 2_000);
    expect(admission.refusal(60_000)?.code).toBe('OVERLOADED');
    end(admission, 1, 0, 2_000);
    expect(admission.refusal(60_000)).toBeUndefined();
  });

  it('does not call long what has not waited', () => {
    const admission = slow(writesUnderWayFew, 1_000);
    expect(admission.refusal()?.code).toBe('OVERLOADED');
    end(admission, 1, 1_000, 1_000 + writeWaitMsMax / 8);
    begin(admission, 1, 1_000);
    expect(admission.refusal()).toBeUndefined();
  });

  it('does not believe a process that has just begun: a loop of 1,024 is taken', () => {
    const cold = new WriteAdmission();
    begin(cold, 1_024, 0);
    for (let ms = 1; ms <= 400; ms++) {
      // Compiling: one in five ms is done.
      if (ms % 5 === 0) {
        end(cold, 1, 0, ms);
        expect(cold.refusal(1_000)).toBeUndefined();
        begin(cold, 1, ms);
      }
    }
    expect(cold.refused).toBe(0);
  });

  it('learns nothing of the rate from what was given up', () => {
    const admission = new WriteAdmission();
    begin(admission, 4_000, 0);
    for (let ms = 1; ms <= 1_000; ms++) end(admission, 3, 0, ms, false);
    expect(admission.describe()).toMatchObject({ underWay: 1_000, perSecond: 0 });
    expect(admission.refusal()?.code).toBe('OVERLOADED');
  });

  it('begins anew when nothing was left to do', () => {
    const admission = slow(0, 1_000);
    begin(admission, writesUnderWayMin, 5_000);
    expect(admission.refusal()).toBeUndefined();
    end(admission, writesUnderWayMin, 5_000, 5_001);
    expect(admission).toMatchObject({ underWay: 0, bytes: 0 });
  });
});

/** A disk that serves so many writes a ms, first come first served, except while `stalls` says that it stands still. */
class Simulated {
  readonly admission = new WriteAdmission();
  readonly latencies: number[] = [];
  refused = 0;
  late = 0;
  now = 0;
  private readonly line: number[] = [];
  private credit = 0;

  /** Offers so many a ms with this deadline, for so many ms. */
  run(
    ms: number,
    load: { offered: number; served: number; deadlineMs?: number; stalls?: (now: number) => boolean },
  ): void {
    for (const end = this.now + ms; this.now < end; this.now++) {
      if (!load.stalls?.(this.now)) this.credit += load.served;
      for (; this.credit >= 1 && this.line.length > 0; this.credit--) this.serve(load.deadlineMs ?? 5_000);
      if (this.line.length === 0) this.credit = Math.min(this.credit, 1);
      for (let n = 0; n < load.offered; n++) this.offer(load.deadlineMs);
    }
  }

  private offer(deadlineMs?: number): void {
    if (this.admission.refusal(deadlineMs) !== undefined) this.refused++;
    else {
      this.admission.begin(1_024, this.now);
      this.line.push(this.now);
    }
  }

  private serve(deadlineMs: number): void {
    const begun = this.line.shift() as number;
    const latency = this.now - begun;
    if (latency > deadlineMs) this.late++;
    else this.latencies.push(latency);
    this.admission.end(1_024, begun, this.now, latency <= deadlineMs);
  }
}

describe('admission of writes, before a disk that serves so many a ms', () => {
  it('refuses nothing below the peak', () => {
    const disk = new Simulated();
    disk.run(5_000, { offered: 8, served: 10 });
    expect(disk.refused).toBe(0);
  });

  it.each([5_000, 1_000, 200])('wastes no work at ten times the peak, with a deadline of %i ms', deadlineMs => {
    const disk = new Simulated();
    // Before the rate is known nobody knows what is too much: what the first second lets in may be late, once.
    disk.run(3_000, { offered: 100, served: 10, deadlineMs });
    expect(disk.late).toBeLessThan(1.5 * 10 * 1_000);
    const { late } = disk;
    const before = disk.latencies.length;
    disk.run(7_000, { offered: 100, served: 10, deadlineMs });
    expect(disk.late).toBe(late);
    expect(disk.latencies.length - before).toBeGreaterThan(0.99 * 10 * 7_000);
    const settled = disk.latencies.slice(-50_000);
    expect(Math.max(...settled)).toBeLessThanOrEqual(Math.min(deadlineMs, writeWaitMsMax * 1.1));
  });

  it('is as before as soon as the flood is over', () => {
    const disk = new Simulated();
    disk.run(5_000, { offered: 100, served: 10 });
    disk.run(1_000, { offered: 5, served: 10 });
    const { refused } = disk;
    disk.latencies.length = 0;
    disk.run(1_000, { offered: 5, served: 10 });
    expect(disk.refused).toBe(refused);
    expect(Math.max(...disk.latencies)).toBeLessThanOrEqual(2);
  });

  it('lets a disk stop for a moment, at half of the peak', () => {
    const disk = new Simulated();
    disk.run(2_000, { offered: 5, served: 10 });
    disk.run(5_000, { offered: 5, served: 10, stalls: now => now % 1_000 < 150 });
    expect(disk.refused).toBe(0);
  });

  it('takes a burst up to the bound when nothing waits, however slow what came before was', () => {
    const disk = new Simulated();
    disk.run(1_000, { offered: 1, served: 1 });
    disk.run(1, { offered: writesUnderWayMax + 100, served: 0 });
    expect(disk.refused).toBe(100);
    expect(disk.admission.underWay).toBe(writesUnderWayMax);
    disk.run(20_000, { offered: 0, served: 10 });
    expect(disk.admission.underWay).toBe(0);
    disk.run(1, { offered: 10_000, served: 0 });
    expect(disk.refused).toBe(100);
  });

  it('never refuses the few that a group commit needs', () => {
    const disk = new Simulated();
    disk.run(1_000, { offered: writesUnderWayMin, served: 0 });
    expect(disk.admission.underWay).toBeGreaterThanOrEqual(writesUnderWayMin);
    const admission = new WriteAdmission();
    for (let n = 1; n < writesUnderWayMin; n++) admission.begin(1, 0);
    expect(admission.refusal(1)).toBeUndefined();
  });
});
