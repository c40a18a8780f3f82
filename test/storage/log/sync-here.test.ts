import { describe, expect, it } from 'vitest';
import { syncHereMs, syncHereRestMs, syncHereRestMsMax, syncsHereTrusted } from '../../../src/limits.ts';
import { SyncHere } from '../../../src/storage/log/sync-here.ts';

function rig() {
  let now = 0;
  const here = new SyncHere(() => now);
  const pass = (ms: number): void => {
    now += ms;
  };
  /** Syncs that take so long each, until they are not done here any more; how many. */
  const syncs = (ms: number, most = 10_000): number => {
    let count = 0;
    for (; count < most && here.pays; count++) here.run(() => pass(ms));
    return count;
  };
  return { here, pass, syncs };
}

describe('waiting for a sync here', () => {
  it('goes on while the disk is quick, also when one in a hundred takes ten times as long', () => {
    const { here, syncs } = rig();
    for (let round = 0; round < 100; round++) {
      expect(syncs(0.06, 99)).toBe(99);
      syncs(3, 1);
    }
    expect(here.pays).toBe(true);
  });

  it('ends at once with a sync that does not come back for long', () => {
    const { here, syncs } = rig();
    syncs(0.06, 1_000);
    here.run(() => syncs(0, 0));
    syncs(500, 1);
    expect(here.pays).toBe(false);
  });

  it('is tried again after a rest that doubles, up to a bound, while the disk stays slow', () => {
    const { here, pass, syncs } = rig();
    let restMs = syncHereRestMs;
    for (let round = 0; round < 10; round++) {
      expect(syncs(syncHereMs * 8)).toBeLessThan(12);
      pass(restMs - 1);
      expect(here.pays).toBe(false);
      pass(1);
      expect(here.pays).toBe(true);
      restMs = Math.min(restMs * 2, syncHereRestMsMax);
    }
  });

  it('has a short rest again once the disk has been quick for long', () => {
    const { here, pass, syncs } = rig();
    for (let round = 0; round < 4; round++) {
      syncs(10);
      pass(syncHereRestMsMax);
    }
    syncs(0.06, syncsHereTrusted);
    syncs(100, 1);
    expect(here.pays).toBe(false);
    pass(syncHereRestMs);
    expect(here.pays).toBe(true);
  });
});
