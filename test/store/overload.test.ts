// More writes than a thread takes: what is too much costs nothing, and what was taken is done.

import { describe, expect, it } from 'vitest';
import { writeBytesUnderWayMax, writesUnderWayMax } from '../../src/limits.ts';
import { ending, kinds, newDir, startedNode } from './nodes.ts';

const codes = async (puts: readonly Promise<unknown>[]): Promise<Record<string, number>> => {
  const ends = (await Promise.all(puts.map(ending))) as { code?: string; outcome?: string }[];
  expect(ends.every(({ code, outcome }) => code === undefined || outcome === 'failed')).toBe(true);
  return Object.fromEntries(
    [...Map.groupBy(ends, ({ code }) => code ?? 'ok')].map(([code, all]) => [code, all.length]),
  );
};

describe.each(kinds.filter(([name]) => name.endsWith('on a disk')))('a store %s', (_, threads) => {
  it('takes so many writes at once and refuses the rest, before it looks at their values', {
    timeout: 60_000,
  }, async () => {
    const node = await startedNode({ threads, dataDir: newDir() });
    const store = await node.store('s');
    let encoded = 0;
    const value = {
      toJSON: undefined,
      get seen() {
        return encoded++;
      },
    };
    const names = Array.from({ length: writesUnderWayMax + 1_000 }, (_, n) => `k${n}`);
    const puts = names.map(name => store.put(name, value, { deadlineMs: 60_000 }));
    expect(await codes(puts)).toEqual({ ok: writesUnderWayMax, OVERLOADED: 1_000 });
    expect(encoded).toBe(writesUnderWayMax);
    expect((await store.get(names[writesUnderWayMax - 1] as string)).found).toBe(true);
    expect((await store.get(names[writesUnderWayMax] as string)).found).toBe(false);
    await store.put('after', 1);
  });

  it('takes so many bytes at once', { timeout: 60_000 }, async () => {
    const node = await startedNode({ threads, dataDir: newDir() });
    const store = await node.store('s');
    const value = new Uint8Array(1 << 20).subarray(1);
    const puts = Array.from({ length: 100 }, (_, n) => store.put(`k${n}`, value, { deadlineMs: 60_000 }));
    const taken = writeBytesUnderWayMax / (1 << 20) + 1;
    expect(await codes(puts)).toEqual({ ok: taken, OVERLOADED: 100 - taken });
    await store.delete('k0');
  });
});
