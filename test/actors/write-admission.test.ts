// Which write is begun and which is refused, with the time in our hand.

import { describe, expect, it } from 'vitest';
import { WriteAdmission } from '../../src/actors/write-admission.ts';
import { writeBytesUnderWayMax, writesUnderWayMax, writesUnderWayMin, writeWaitMsMax } from '../../src/limits.ts';

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
    expect(admission.refusal(5_000)?.code).toBe('OVERLOADED');
    expect(admission.refusal(100)?.code).toBe('OVERLOADED');
    expect(admission.refused).toBe(2);
    end(admission, 1, 0, 1_001);
    expect(admission.refusal(5_000)).toBeUndefined();
  });

  it('does not call long what has not waited', () => {
    const admission = slow(writesUnderWayMin * 4, 1_000);
    expect(admission.refusal()?.code).toBe('OVERLOADED');
    end(admission, 1, 1_000, 1_000 + writeWaitMsMax / 8);
    expect(admission.refusal()).toBeUndefined();
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
