import { describe, expect, it } from 'vitest';
import {
  checkStoreName,
  conflict,
  conflictError,
  overlaps,
  quorumOf,
  readStoreOptions,
  rulesOf,
  type StoreOptionsInput,
  valueBytesCeiling,
} from '../../src/actors/store-options.ts';
import type { TroupeError } from '../../src/errors.ts';

function refusal(make: () => unknown): TroupeError {
  try {
    make();
  } catch (error) {
    return error as TroupeError;
  }
  throw new Error('nothing was refused');
}

const bad = (given: unknown) => refusal(() => readStoreOptions(given as StoreOptionsInput, 3));

describe('options of a new store', () => {
  it('default to three replicas, or as many as there are nodes, and to majorities', () => {
    expect(readStoreOptions({}, 5)).toEqual({
      n: 3,
      r: 2,
      w: 2,
      mode: 'ap',
      quorum: 'sloppy',
      siblings: true,
      readRepair: 'background',
      valueBytesMax: 1 << 20,
    });
    expect(readStoreOptions(undefined, 1)).toMatchObject({ n: 1, r: 1, w: 1 });
    expect(readStoreOptions({ n: 5 }, 1)).toMatchObject({ n: 5, r: 3, w: 3 });
  });

  it.each([
    ['r = 0', { r: 0 }, 'r', 'r must be a whole number from 1 to n = 3; got 0'],
    ['w above n', { n: 3, w: 4 }, 'w', 'from 1 to n = 3; got 4'],
    ['text', { r: 'abc' }, 'r', "got 'abc'"],
    ['half a replica', { n: 1.5 }, 'n', 'got 1.5'],
    ['no replicas', { n: 0 }, 'n', 'from 1 to 16'],
    ['too many replicas', { n: 17 }, 'n', 'from 1 to 16'],
    ['an unknown option', { N: 3 }, 'N', "no option 'N'; it has n, r, w"],
    ['an unknown quorum', { quorum: 'loose' }, 'quorum', 'sloppy, strict'],
    ['an unknown repair', { readRepair: true }, 'readRepair', 'background, blocking, none'],
    ['text for a truth', { siblings: 'no' }, 'siblings', 'true or false'],
    ['no room for values', { valueBytesMax: 0 }, 'valueBytesMax', 'from 1'],
    [
      'values larger than a record',
      { valueBytesMax: valueBytesCeiling + 1 },
      'valueBytesMax',
      `to ${valueBytesCeiling}`,
    ],
    ['no object', 7, 'options', 'are an object; got 7'],
    ['null', null, 'options', 'got null'],
  ])('refuse %s and name it (A-39)', (_, given, option, message) => {
    const error = bad(given);
    expect(error).toMatchObject({ code: 'BAD_OPTION', outcome: 'failed', details: { option } });
    expect(error.message).toContain(message);
  });

  it("refuse mode 'ca' with the reason, and 'cp' as not yet there (A-64)", () => {
    expect(bad({ mode: 'ca' }).message).toContain('cannot exist: networks do partition');
    expect(bad({ mode: 'cp' }).message).toContain('not in this version');
    expect(bad({ mode: 'AP' }).message).toContain("must be 'ap'");
  });

  it('refuse siblings together with last-writer-wins, and neither of them (A-46)', () => {
    expect(bad({ siblings: true, lww: true })).toMatchObject({ code: 'BAD_OPTION', details: { option: 'lww' } });
    expect(bad({ siblings: false, lww: false }).message).toContain('contradict');
    expect(readStoreOptions({ lww: true })).toMatchObject({ siblings: false });
    expect(readStoreOptions({ lww: false })).toMatchObject({ siblings: true });
    expect(readStoreOptions({ siblings: false, lww: true })).toMatchObject({ siblings: false });
  });

  it.each([
    [1, 1, false],
    [1, 2, false],
    [1, 3, true],
    [2, 1, false],
    [2, 2, true],
    [2, 3, true],
    [3, 1, true],
    [3, 2, true],
    [3, 3, true],
  ])('with r = %i and w = %i of 3 overlap: %s (A-29)', (r, w, expected) => {
    expect(overlaps(readStoreOptions({ n: 3, r, w }))).toBe(expected);
  });

  it('tell a replica what it needs to know', () => {
    expect(rulesOf(readStoreOptions({ n: 1, siblings: false, valueBytesMax: 10 }))).toEqual({
      valueBytesMax: 10,
      siblings: false,
      alone: true,
    });
    expect(rulesOf(readStoreOptions({ n: 3 }))).toMatchObject({ alone: false, siblings: true });
  });
});

describe('an existing store', () => {
  const existing = readStoreOptions({ n: 1 });

  it('is opened by whoever asks for nothing else', () => {
    for (const asked of [
      undefined,
      {},
      { n: 1 },
      { r: undefined },
      { lww: false },
      { siblings: true, mode: 'ap' as const },
    ]) {
      expect(conflict(existing, asked as StoreOptionsInput)).toBeUndefined();
    }
  });

  it('refuses other options and names both values (A-45)', () => {
    const found = conflict(existing, { n: 1, r: 2 });
    expect(found).toEqual({ option: 'r', has: 1, wanted: 2 });
    const error = conflictError('carts', { option: 'n', has: 1, wanted: 3 });
    expect(error).toMatchObject({ code: 'BAD_OPTION', details: { option: 'n', has: 1, wanted: 3 } });
    expect(error.message).toContain("store 'carts' has n: 1, which cannot be changed; asked for 3");
    expect(conflict(existing, { lww: true })).toEqual({ option: 'siblings', has: true, wanted: false });
  });

  it('is not opened with options that no store can have', () => {
    expect(refusal(() => conflict(existing, { mode: 'ca' })).message).toContain('cannot exist');
    expect(refusal(() => conflict(existing, { colour: 'red' } as never)).message).toContain("'colour'");
  });
});

describe('one request', () => {
  it('may override r and w within 1 to n (A-44)', () => {
    expect(quorumOf('r', undefined, 2, 3)).toBe(2);
    expect(quorumOf('r', 3, 2, 3)).toBe(3);
    for (const asked of [0, 4, 1.5, Number.NaN, '2' as unknown as number]) {
      expect(refusal(() => quorumOf('w', asked, 2, 3))).toMatchObject({ code: 'BAD_OPTION', details: { option: 'w' } });
    }
  });
});

it('store names are what shards and directories can be called', () => {
  for (const name of ['carts', 'a', '0', 'a.b_c-d', 'x'.repeat(32)]) expect(checkStoreName(name)).toBe(name);
  for (const name of ['', 'Carts', '../etc', 'a/b', '-a', '.', 'x'.repeat(33), 'ключ', 7, undefined]) {
    expect(refusal(() => checkStoreName(name))).toMatchObject({ code: 'BAD_OPTION', details: { option: 'name' } });
  }
});
