// What fences rest on: the conditions of lmdb-js, as they are, and the chain we make of them.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { absent, issueChain, type Link } from '../../src/storage/fence-chain.ts';
import { type Lmdb, openLmdb } from '../../src/storage/lmdb-env-store.ts';
import { bytes } from './conformance.ts';

const value = bytes('v');
const lower = { ifLessThan: true };

let dir: string;
let db: Lmdb;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'troupe-fence-'));
  db = openLmdb(dir);
});
afterEach(async () => {
  await db.close();
  rmSync(dir, { recursive: true });
});

/** Everything in the environment, as `key@version`. */
function all(): string[] {
  return [...db.getRange({ versions: true })].map(({ key, version }) => `${Buffer.from(key).toString()}@${version}`);
}

describe('lmdb-js', () => {
  it('lets a condition pass for an equal or lower version, and for an absent key never', async () => {
    await db.put(bytes('f'), value, 5);
    const ask = (key: string, version: number, how?: typeof lower) => db.ifVersion(bytes(key), version, () => {}, how);
    expect(
      await Promise.all([
        ask('f', 4, lower),
        ask('f', 5, lower),
        ask('f', 6, lower),
        ask('f', 6),
        ask('none', 9, lower),
      ]),
    ).toEqual([false, true, true, false, false]);
  });

  it('nests conditions: what is inside happens if all of them are met, and what follows is not touched by it', async () => {
    await db.put(bytes('f'), value, 5);
    let middle: Promise<boolean> | undefined;
    let inner: Promise<boolean> | undefined;
    const outer = db.ifVersion(bytes('f'), 5, () => {
      void db.put(bytes('in'), value, 1);
      middle = db.ifVersion(bytes('f'), 4, () => {
        void db.put(bytes('not'), value, 1);
        inner = db.ifVersion(bytes('f'), 5, () => void db.put(bytes('nor'), value, 1));
      });
      void db.put(bytes('after'), value, 1);
    });
    void db.put(bytes('outside'), value, 1);
    expect(await Promise.all([outer, middle, inner])).toEqual([true, false, false]);
    expect(all()).toEqual(['after@1', 'f@5', 'in@1', 'outside@1']);
  });

  it('carries out a noOverwrite put inside a condition that is not met: the reason why ours are all outside', async () => {
    await db.put(bytes('f'), value, 5);
    await db.ifVersion(bytes('f'), 4, () => void db.put(bytes('x'), value, { version: 1, noOverwrite: true }));
    // Should this ever fail, lmdb-js has been repaired, and fence-chain.ts may become simpler.
    expect(all()).toEqual(['f@5', 'x@1']);
  });
});

describe('a chain', () => {
  const place = { home: bytes('home'), homeVersion: 1, token: bytes('token') };
  const link = (epoch: number, fences: string[], writes: string[], absentFences = true): Link => ({
    epoch,
    fences: fences.map(bytes),
    absentFences,
    writes: writes.map(key => ({ key: bytes(key), value: key.startsWith('-') ? undefined : value })),
  });
  const run = async (links: Link[], where = place): Promise<[boolean, boolean[]]> => {
    const { located, written } = issueChain(db, where, links);
    return [await located, await Promise.all(written)];
  };

  beforeEach(() => db.put(place.home, value, 1));

  it('writes every link while each fence lets it pass, and leaves nothing else', async () => {
    expect(await run([link(3, ['a'], ['a']), link(4, ['a', 'b'], ['a', 'b', 'c']), link(4, [], ['d'])])).toEqual([
      true,
      [true, true, true],
    ]);
    expect(all().filter(key => !key.startsWith('token'))).toEqual(['a@4', 'b@4', 'c@4', 'd@4', 'home@1']);
  });

  it.each([
    ['first', 0],
    ['second', 1],
    ['third', 2],
  ])('ends at the %s link that is refused', async (_, stop) => {
    await db.put(bytes('high'), value, 9);
    const links = [0, 1, 2, 3].map(index =>
      link(5, index === stop ? ['x', 'high', 'y'] : [`f${index}`], [`w${index}`]),
    );
    expect(await run(links)).toEqual([true, [0, 1, 2, 3].map(index => index < stop)]);
    expect(all().filter(key => key.startsWith('w'))).toEqual(
      [0, 1, 2, 3].filter(at => at < stop).map(at => `w${at}@5`),
    );
    // The absent fences of refused links are absent again.
    expect(all().filter(key => key.endsWith(`@${absent}`) && !key.startsWith('token'))).toEqual([]);
    expect(all().filter(key => /^[xyf]/.test(key))).toEqual([]);
  });

  it('does not take the token of an earlier transaction, or of another chain, for its own', async () => {
    await db.put(bytes('high'), value, 9);
    await run([link(5, ['a'], ['1']), link(5, ['a'], ['2']), link(5, ['a'], ['3'])]);
    const other = issueChain(db, place, [link(5, ['b'], ['4']), link(5, ['b'], ['5']), link(5, ['b'], ['6'])]);
    expect(await run([link(5, ['high'], ['x']), link(5, ['a'], ['y']), link(5, ['a'], ['z'])])).toEqual([
      true,
      [false, false, false],
    ]);
    expect(await Promise.all(other.written)).toEqual([true, true, true]);
    expect(all().filter(key => /^[xyz]/.test(key))).toEqual([]);
  });

  it('writes nothing when the shard is elsewhere', async () => {
    const before = all();
    const [located] = await run([link(5, ['a'], ['a']), link(5, ['b', 'c'], ['b'])], { ...place, homeVersion: 2 });
    expect([located, all()]).toEqual([false, before]);
  });

  it('lets a link delete what a later one asks for', async () => {
    await db.put(bytes('r'), value, 3);
    const remove: Link = { ...link(3, ['r'], []), writes: [{ key: bytes('r'), value: undefined }] };
    expect(await run([{ ...remove, fences: [bytes('other')] }, link(1, ['r'], ['r', 's']), remove])).toEqual([
      true,
      [true, true, true],
    ]);
    expect(all().filter(key => !key.startsWith('token'))).toEqual(['home@1', 's@1']);
  });

  it('is refused by a fence that should be there and is not', async () => {
    expect(await run([link(5, ['missing'], ['a'], false)])).toEqual([true, [false]]);
  });
});
