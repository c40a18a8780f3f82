// What src/storage/engine.ts promises, as tests that every engine must pass. Each test gets an engine of its own.

import { randomFillSync } from 'node:crypto';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TroupeError } from '../../src/errors.ts';
import { recordKeyBytesMax, writesPendingMax } from '../../src/limits.ts';
import type { Engine, Shard, ShardChunk, StoredRecord, WriteGroup, WriteOp } from '../../src/storage/engine.ts';

/** An engine on a place of its own, which can be left and come back to. */
export interface Rig {
  readonly engine: Engine;
  /** Closes the engine and opens another one on the same place; undefined when the place goes with the engine. */
  readonly reopen: (() => Promise<Engine>) | undefined;
  end(): Promise<void>;
}

export const none = new Uint8Array(0);

export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function text(record: StoredRecord | undefined): string | undefined {
  return record && new TextDecoder().decode(record.value);
}

export function put(key: string | Uint8Array, value: string | Uint8Array, version: Uint8Array = none): WriteOp {
  return {
    type: 'put',
    key: typeof key === 'string' ? bytes(key) : key,
    version,
    value: typeof value === 'string' ? bytes(value) : value,
  };
}

export function del(key: string | Uint8Array): WriteOp {
  return { type: 'delete', key: typeof key === 'string' ? bytes(key) : key };
}

export function group(epoch: number, ops: readonly WriteOp[], fence: WriteGroup['fence'] = 'shard'): WriteGroup {
  return { epoch, fence, ops };
}

/** How a promise ended: 'ok', or the code of the TroupeError. */
export async function outcome(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'ok',
    why => (why instanceof TroupeError ? why.code : `not a TroupeError: ${why}`),
  );
}

export function outcomes(promises: readonly Promise<unknown>[]): Promise<string[]> {
  return Promise.all(promises.map(outcome));
}

export function thrown(run: () => unknown): string {
  try {
    run();
    return 'ok';
  } catch (why) {
    return why instanceof TroupeError ? why.code : `not a TroupeError: ${why}`;
  }
}

/** What a shard holds, as `key=value` in the order of a scan. */
export function contents(shard: Shard, range?: Parameters<Shard['scan']>[0]): string[] {
  return [...shard.scan(range)].map(record => `${new TextDecoder().decode(record.key)}=${text(record)}`);
}

export async function chunksOf(engine: Engine, name: string): Promise<ShardChunk[]> {
  const chunks: ShardChunk[] = [];
  for await (const chunk of engine.export(name)) chunks.push(chunk);
  return chunks;
}

export function engineConformance(name: string, open: () => Promise<Rig>): void {
  describe(`the ${name} engine`, () => {
    let rig: Rig;
    let engine: Engine;
    let shard: Shard;

    beforeEach(async () => {
      rig = await open();
      engine = rig.engine;
      shard = engine.shard('a/1');
    });
    afterEach(() => rig.end());

    /** Commits and waits. */
    const write = (epoch: number, ops: readonly WriteOp[], fence: WriteGroup['fence'] = 'shard') =>
      shard.commit(group(epoch, ops, fence), 'committed');

    describe('reads and writes', () => {
      it('gives back what was committed, with its epoch and version, until it is replaced or deleted', async () => {
        expect(shard.get(bytes('k'))).toBeUndefined();
        await write(3, [put('k', 'one', bytes('clock'))]);
        expect(shard.get(bytes('k'))).toEqual({
          key: bytes('k'),
          epoch: 3,
          version: bytes('clock'),
          value: bytes('one'),
        });
        await write(4, [put('k', 'two')]);
        expect(shard.get(bytes('k'))).toEqual({ key: bytes('k'), epoch: 4, version: none, value: bytes('two') });
        await write(4, [del('k'), del('never')]);
        expect(shard.get(bytes('k'))).toBeUndefined();
      });

      it('lets the last write of a key in a group win', async () => {
        await write(1, [put('k', '1'), del('k'), put('k', '2'), put('j', '1'), del('j')]);
        expect(contents(shard)).toEqual(['k=2']);
      });

      it('sees a pending write at once, and says that it is pending', async () => {
        await write(1, [put('old', '1'), put('gone', '1')]);
        const done = write(1, [put('new', '2'), put('old', '2'), del('gone')]);
        expect(contents(shard)).toEqual(['new=2', 'old=2']);
        expect([text(shard.get(bytes('new'))), text(shard.get(bytes('gone')))]).toEqual(['2', undefined]);
        expect(['new', 'old', 'gone', 'other'].map(key => shard.pending(bytes(key)))).toEqual([
          true,
          true,
          true,
          false,
        ]);
        expect(shard.count()).toBe(2);
        await done;
        expect(['new', 'old', 'gone'].map(key => shard.pending(bytes(key)))).toEqual([false, false, false]);
        expect(contents(shard)).toEqual(['new=2', 'old=2']);
        expect(shard.count()).toBe(2);
      });

      it('keeps a key pending while a newer write of it is', async () => {
        const first = write(1, [put('k', '1')]);
        let firstDone = false;
        void first.then(() => {
          firstDone = true;
          // Handed in before the first was known to be committed: the key goes on being pending.
          expect(text(shard.get(bytes('k')))).toBe('2');
        });
        const second = write(1, [put('k', '2')]);
        await Promise.all([first, second]);
        expect(firstDone).toBe(true);
        expect(shard.pending(bytes('k'))).toBe(false);
      });

      it.each([
        ['Uint8Array', bytes],
        // Whose slice() is no copy.
        ['Buffer', (text: string): Uint8Array => Buffer.from(text)],
      ])('shares no bytes with callers who pass a %s, and hands out plain ones', async (_, make) => {
        const op = { type: 'put' as const, key: make('k'), version: make('v'), value: make('one') };
        const done = write(1, [op]);
        for (const part of [op.key, op.version, op.value]) part.fill(0);
        for (const when of ['pending', 'committed']) {
          const record = shard.get(make('k')) as StoredRecord;
          expect([when, record.key, record.version, text(record)]).toEqual([when, bytes('k'), bytes('v'), 'one']);
          for (const part of [record.key, record.version, record.value]) part.fill(0);
          for (const found of shard.scan({ from: make('a') })) {
            expect([found.key, found.version, text(found)]).toEqual([bytes('k'), bytes('v'), 'one']);
            for (const part of [found.key, found.version, found.value]) part.fill(0);
          }
          expect(text(shard.get(make('k')))).toBe('one');
          await done;
        }
      });

      it('takes a value in two parts for the two together', async () => {
        const op = {
          type: 'put',
          key: bytes('k'),
          version: bytes('v1'),
          value: bytes('one '),
          rest: bytes('two'),
        } as const;
        const done = shard.commit({ epoch: 1, fence: 'shard', ops: [op] }, 'flushed');
        expect(shard.get(bytes('k'))?.value).toEqual(bytes('one two'));
        await done;
        expect(shard.get(bytes('k'))).toEqual({
          key: bytes('k'),
          epoch: 1,
          version: bytes('v1'),
          value: bytes('one two'),
        });
      });

      it('carries empty and large values, and every epoch', async () => {
        const large = randomFillSync(new Uint8Array(1 << 20));
        const longVersion = randomFillSync(new Uint8Array(65_535));
        await write(0, [put('empty', none), put('large', large, longVersion)]);
        await write(Number.MAX_SAFE_INTEGER, [put('late', '1')]);
        expect(shard.get(bytes('empty'))).toEqual({ key: bytes('empty'), epoch: 0, version: none, value: none });
        const found = shard.get(bytes('large')) as StoredRecord;
        expect(Buffer.compare(found.value, large)).toBe(0);
        expect(Buffer.compare(found.version, longVersion)).toBe(0);
        expect([...shard.scan()].map(record => record.value.length)).toEqual([0, 1 << 20, 1]);
        expect(shard.get(bytes('late'))?.epoch).toBe(Number.MAX_SAFE_INTEGER);
      });

      it('refuses what does not fit, or is no epoch, and writes nothing of it', async () => {
        const tooLong = new Uint8Array(recordKeyBytesMax + 1);
        expect(
          await outcomes([
            write(1, [put('k', '1'), put(tooLong, '1')]),
            write(1, [put('k', '1', new Uint8Array(65_536))]),
            write(-1, [put('k', '1')]),
            write(1.5, [put('k', '1')]),
            write(Number.MAX_SAFE_INTEGER + 1, [put('k', '1')]),
          ]),
        ).toEqual(['TOO_LARGE', 'TOO_LARGE', 'BAD_OPTION', 'BAD_OPTION', 'BAD_OPTION']);
        expect(contents(shard)).toEqual([]);
      });
    });

    describe('keys', () => {
      const odd = [
        none,
        bytes('__proto__'),
        bytes('constructor'),
        bytes('\u00e4\u20ac\u{1f600}'),
        bytes('\uffff'),
        Uint8Array.of(0),
        Uint8Array.of(0, 0),
        Uint8Array.of(0x7f),
        Uint8Array.of(0x80),
        Uint8Array.of(0xff),
        Uint8Array.of(0xff, 0xff, 0xff, 0xff),
        new Uint8Array(recordKeyBytesMax).fill(0x61),
        new Uint8Array(recordKeyBytesMax).fill(0xff),
        new Uint8Array(recordKeyBytesMax - 1).fill(0xff),
      ];
      const byBytes = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b);

      it('may be any bytes up to the limit, and are scanned in the order of their bytes', async () => {
        const sorted = odd.toSorted(byBytes);
        for (const when of ['pending', 'committed']) {
          const done = write(1, when === 'pending' ? odd.map((key, index) => put(key, `${index}`)) : []);
          expect([...shard.scan()].map(({ key }) => Buffer.from(key).toString('hex'))).toEqual(
            sorted.map(key => Buffer.from(key).toString('hex')),
          );
          odd.forEach((key, index) => {
            expect([when, index, text(shard.get(key))]).toEqual([when, index, `${index}`]);
          });
          expect(shard.count()).toBe(odd.length);
          await done;
        }
        // Each key as either end of a range.
        for (const key of sorted) {
          const from = sorted.filter(other => byBytes(other, key) >= 0).length;
          expect([...shard.scan({ from: key })]).toHaveLength(from);
          expect([...shard.scan({ to: key })]).toHaveLength(sorted.length - from);
        }
        await write(1, odd.map(del));
        expect([shard.count(), contents(shard)]).toEqual([0, []]);
      });
    });

    describe('scans', () => {
      beforeEach(() =>
        write(
          1,
          ['b', 'd', 'f', 'h'].map(key => put(key, '1')),
        ),
      );

      it('take from inclusive, to exclusive, and a limit that counts live records', async () => {
        const done = write(1, [put('a', '2'), put('d', '2'), put('e', '2'), del('f'), put('z', '2')]);
        const all = ['a=2', 'b=1', 'd=2', 'e=2', 'h=1', 'z=2'];
        for (const _when of ['pending', 'committed']) {
          expect(contents(shard)).toEqual(all);
          expect(contents(shard, { from: bytes('b'), to: bytes('h') })).toEqual(['b=1', 'd=2', 'e=2']);
          expect(contents(shard, { from: bytes('c'), to: bytes('g') })).toEqual(['d=2', 'e=2']);
          expect(contents(shard, { limit: 5 })).toEqual(all.slice(0, 5));
          expect(contents(shard, { from: bytes('e'), limit: 2 })).toEqual(['e=2', 'h=1']);
          expect(contents(shard, { limit: 0 })).toEqual([]);
          expect(contents(shard, { from: bytes('g'), to: bytes('c') })).toEqual([]);
          expect(contents(shard, { from: bytes('e'), to: bytes('e') })).toEqual([]);
          await done;
        }
      });

      it('show the moment they were asked for, whatever is written before they are walked', async () => {
        const pending = write(1, [put('c', '1')]);
        const before = shard.scan();
        const half = shard.scan()[Symbol.iterator]();
        half.next();
        await pending;
        await write(1, [put('a', '2'), put('d', '2'), del('f'), put('i', '2')]);
        expect([...before].map(text)).toEqual(['1', '1', '1', '1', '1']);
        const rest: string[] = [];
        for (let step = half.next(); !step.done; step = half.next())
          rest.push(new TextDecoder().decode(step.value.key));
        expect(rest).toEqual(['c', 'd', 'f', 'h']);
        expect(contents(shard)).toEqual(['a=2', 'b=1', 'c=1', 'd=2', 'h=1', 'i=2']);
      });

      it('may be broken off', async () => {
        for (let round = 0; round < 50; round++) for (const record of shard.scan()) if (text(record)) break;
        await write(1, [put('x', '1')]);
        expect(shard.count()).toBe(5);
      });
    });

    describe('groups', () => {
      it('become visible in the order they were handed in, and resolve in that order', async () => {
        const order: number[] = [];
        const all = Array.from({ length: 300 }, (_, index) =>
          write(1, [put('k', `${index}`), put(`k${index % 7}`, `${index}`)]).then(() => order.push(index)),
        );
        expect(text(shard.get(bytes('k')))).toBe('299');
        await Promise.all(all);
        expect(order).toEqual(Array.from({ length: 300 }, (_, index) => index));
        expect(contents(shard)).toEqual([
          'k=299',
          'k0=294',
          'k1=295',
          'k2=296',
          'k3=297',
          'k4=298',
          'k5=299',
          'k6=293',
        ]);
      });

      it('of one tick share a transaction, and are counted', async () => {
        await write(1, [put('warm', '1')]);
        const before = engine.stats();
        const shards = ['a/1', 'a/2', 'a/3'].map(name => engine.shard(name));
        const done = shards.flatMap(each =>
          [1, 2, 3].map(at => each.commit(group(1, [put(`${at}`, 'x')]), 'committed')),
        );
        expect(engine.stats()).toMatchObject({ pendingWrites: 9 });
        expect(engine.stats().pendingBytes).toBeGreaterThan(9);
        await Promise.all(done);
        const after = engine.stats();
        expect(after).toMatchObject({ pendingWrites: 0, pendingBytes: 0, fenced: 0, diskFull: 0, corrupt: 0 });
        expect([after.transactions, after.groups, after.records]).toEqual([
          before.transactions + 1,
          before.groups + 9,
          before.records + 9,
        ]);
        expect(after.bytesPut).toBeGreaterThan(before.bytesPut);
      });

      it('resolve at either level, and sync() waits for what was handed in before', async () => {
        let done = 0;
        const all = [
          shard.commit(group(1, [put('c', '1')]), 'committed').then(() => done++),
          shard.commit(group(1, [put('f', '1')]), 'flushed').then(() => done++),
        ];
        await engine.sync('flushed');
        await Promise.all(all);
        expect(done).toBe(2);
        const last = shard.commit(group(1, [put('l', '1')]), 'committed');
        await engine.sync('committed');
        expect(shard.pending(bytes('l'))).toBe(false);
        await last;
        await engine.sync('committed');
      });

      it('without operations resolve too', async () => {
        expect(await outcomes([write(1, []), write(1, [], 'record')])).toEqual(['ok', 'ok']);
      });

      it('wait up to a bound, and are taken again once there is room', async () => {
        const many = Array.from({ length: writesPendingMax }, (_, index) => del(`k${index}`));
        const full = write(1, many);
        expect(await outcome(write(1, [put('one-more', '1')]))).toBe('OVERLOADED');
        expect(shard.get(bytes('one-more'))).toBeUndefined();
        expect(await outcome(write(1, [...many, del('one-more')]))).toBe('TOO_LARGE');
        await full;
        await write(1, [put('one-more', '1')]);
        expect(contents(shard)).toEqual(['one-more=1']);
      });
    });

    describe('the fence of a shard', () => {
      it('refuses a lower epoch than any before, whole, and lets an equal or higher one through', async () => {
        await write(5, [put('k', '5')]);
        const late = shard.commit(group(4, [put('other', '4'), put('k', '4')]), 'committed');
        await expect(late).rejects.toMatchObject({
          code: 'FENCED',
          retryable: true,
          details: { shard: 'a/1', epoch: 4, seen: 5 },
        });
        await write(5, [put('j', '5')]);
        await write(9, [put('k', '9')]);
        expect(await outcome(write(8, [put('k', '8')]))).toBe('FENCED');
        expect(contents(shard)).toEqual(['j=5', 'k=9']);
        expect(engine.stats().fenced).toBe(2);
      });

      it('is raised by a group without operations, and outlives every record', async () => {
        await write(3, [put('k', '3')]);
        await write(7, []);
        expect(await outcome(write(6, [put('k', '6')]))).toBe('FENCED');
        await write(7, [del('k')]);
        expect(await outcome(write(6, [put('k', '6')]))).toBe('FENCED');
        expect(contents(shard)).toEqual([]);
      });

      it('is no other shard\u2019s', async () => {
        await write(9, [put('k', '9')]);
        await engine.shard('a/2').commit(group(1, [put('k', '1')]), 'committed');
        expect(text(engine.shard('a/2').get(bytes('k')))).toBe('1');
      });

      it('compares within one tick as across ticks', async () => {
        expect(
          await outcomes([
            write(2, [put('a', '2')]),
            write(3, [put('b', '3')]),
            write(3, [put('c', '3')]),
            write(2, [put('d', '2')]),
          ]),
        ).toEqual(['ok', 'ok', 'ok', 'FENCED']);
        expect(contents(shard)).toEqual(['a=2', 'b=3', 'c=3']);
      });

      it('does not look at records, nor the fence of a record at the shard', async () => {
        await write(9, [put('r', '9')], 'record');
        await write(1, [put('r', '1')], 'shard');
        expect(shard.get(bytes('r'))?.epoch).toBe(1);
        await write(5, [put('s', '5')], 'shard');
        await write(2, [put('r', '2')], 'record');
        expect(contents(shard)).toEqual(['r=2', 's=5']);
      });
    });

    describe('the fence of a record', () => {
      it('is the epoch of that record alone', async () => {
        await write(5, [put('a', '5')], 'record');
        await write(2, [put('b', '2')], 'record');
        await expect(shard.commit(group(4, [put('a', '4')], 'record'), 'committed')).rejects.toMatchObject({
          code: 'FENCED',
          details: { epoch: 4, seen: 5 },
        });
        expect(await outcome(write(4, [del('a')], 'record'))).toBe('FENCED');
        await write(5, [put('a', 'again')], 'record');
        await write(6, [put('b', '6')], 'record');
        expect(contents(shard)).toEqual(['a=again', 'b=6']);
      });

      it('refuses the whole group for one of its records, and leaves no trace of the others', async () => {
        await write(5, [put('m', '5')], 'record');
        for (const ops of [
          [put('a', '4'), put('m', '4'), put('z', '4')],
          [put('m', '4'), del('z')],
          [del('a'), put('b', '4'), del('m')],
        ]) {
          expect(await outcome(write(4, ops, 'record'))).toBe('FENCED');
          expect([contents(shard), shard.count()]).toEqual([['m=5'], 1]);
        }
        await write(0, [put('a', '0')], 'record');
        expect(shard.get(bytes('a'))?.epoch).toBe(0);
      });

      it('goes with the record when it is deleted', async () => {
        await write(5, [put('a', '5')], 'record');
        await write(5, [del('a'), del('absent')], 'record');
        expect(shard.count()).toBe(0);
        await write(1, [put('a', '1')], 'record');
        expect(contents(shard)).toEqual(['a=1']);
      });

      it('compares within one tick as across ticks', async () => {
        expect(
          await outcomes([
            write(3, [put('a', '3'), put('b', '3')], 'record'),
            write(2, [put('c', '2')], 'record'),
            write(4, [put('b', '4'), put('c', '4'), del('d')], 'record'),
            write(3, [put('a', 'again')], 'record'),
            write(3, [put('c', '3')], 'record'),
          ]),
        ).toEqual(['ok', 'ok', 'ok', 'ok', 'FENCED']);
        expect(contents(shard)).toEqual(['a=again', 'b=4', 'c=4']);
      });

      it('holds for a thousand records in one group', async () => {
        const keys = Array.from({ length: 1_200 }, (_, index) => `e${`${index}`.padStart(5, '0')}`);
        await write(
          2,
          keys.slice(0, 1_100).map(key => put(key, '2')),
          'record',
        );
        await write(3, [put('e00777', '3')], 'record');
        expect(await outcome(write(2, [put('s', '2'), ...keys.map(del)], 'record'))).toBe('FENCED');
        expect(shard.count()).toBe(1_100);
        await write(3, [put('s', '3'), ...keys.map(del)], 'record');
        expect(contents(shard)).toEqual(['s=3']);
      });
    });

    describe('a refusal', () => {
      it('takes along the later groups of its shard that were handed in before it was known, and no others', async () => {
        const other = engine.shard('b');
        await write(5, [put('k', '5')]);
        const all = [
          write(5, [put('before', '5')]),
          write(4, [put('k', '4')]),
          write(6, [put('k', '6')]),
          other.commit(group(1, [put('k', '1')]), 'committed'),
          write(6, [put('record', '6')], 'record'),
          write(7, []),
        ];
        expect(text(shard.get(bytes('k')))).toBe('6');
        expect(await outcomes(all)).toEqual(['ok', 'FENCED', 'FENCED', 'ok', 'FENCED', 'FENCED']);
        expect(contents(shard)).toEqual(['before=5', 'k=5']);
        expect(contents(other)).toEqual(['k=1']);
        expect(['k', 'record', 'before'].map(key => shard.pending(bytes(key)))).toEqual([false, false, false]);
        // The fence was not raised by any of them, and who knows of the refusal may go on.
        await write(5, [put('after', '5')]);
        expect(engine.stats()).toMatchObject({ fenced: 4, pendingWrites: 0, pendingBytes: 0 });
      });

      it('of a record takes along the groups of other records too: they share the shard', async () => {
        await write(5, [put('a', '5')], 'record');
        const all = [
          write(4, [put('a', '4')], 'record'),
          write(5, [put('b', '5')], 'record'),
          write(9, [put('c', '9')]),
        ];
        expect(await outcomes(all)).toEqual(['FENCED', 'FENCED', 'FENCED']);
        expect(contents(shard)).toEqual(['a=5']);
      });

      it('shows again what lay below the refused writes', async () => {
        await write(5, [put('k', 'committed')]);
        const all = [write(5, [put('k', 'kept')]), write(4, [put('k', 'refused')]), write(5, [del('k')])];
        expect(shard.get(bytes('k'))).toBeUndefined();
        expect(await outcomes(all)).toEqual(['ok', 'FENCED', 'FENCED']);
        expect(text(shard.get(bytes('k')))).toBe('kept');
      });
    });

    describe('shards', () => {
      it('are apart, whatever their names have in common', async () => {
        const names = ['a', 'a/', 'a/1/2', 'aa', 'a.b', 'a-b', 'a_b', 'z'.repeat(64)];
        for (const each of names)
          await engine.shard(each).commit(group(1, [put('k', each), put('l', each)]), 'committed');
        for (const each of names) expect(contents(engine.shard(each))).toEqual([`k=${each}`, `l=${each}`]);
        expect(engine.shards()).toEqual(names.toSorted());
        expect(engine.shard('aa')).toBe(engine.shard('aa'));
        expect(engine.shard('aa').name).toBe('aa');
      });

      it('are listed from their first group on, and not before', async () => {
        expect(engine.shards()).toEqual([]);
        expect([shard.count(), contents(shard), shard.get(bytes('k'))]).toEqual([0, [], undefined]);
        expect(engine.shards()).toEqual([]);
        const done = write(1, [put('k', '1')]);
        expect(engine.shards()).toEqual(['a/1']);
        await done;
        expect(engine.shards()).toEqual(['a/1']);
      });

      it('have names of a kind', () => {
        for (const bad of ['', 'A', 'a b', 'a\u0000', '\u00e4', 'z'.repeat(65), '__proto__!']) {
          expect([bad, thrown(() => engine.shard(bad))]).toEqual([bad, 'BAD_OPTION']);
        }
      });

      it('are dropped whole, fence included, with what was handed in before', async () => {
        await write(9, [put('k', '9'), put('l', '9')]);
        await engine.shard('b').commit(group(1, [put('k', '1')]), 'committed');
        const before = write(9, [put('m', '9')]);
        const dropped = engine.drop('a/1');
        const after = write(2, [put('n', '2')]);
        expect(await outcomes([before, dropped, after])).toEqual(['ok', 'ok', 'ok']);
        expect([contents(shard), shard.count()]).toEqual([['n=2'], 1]);
        await engine.drop('a/1');
        await engine.drop('never');
        expect(engine.shards()).toEqual(['b']);
        expect(contents(engine.shard('b'))).toEqual(['k=1']);
        expect(await outcome(Promise.resolve().then(() => engine.drop('NOT A NAME')))).toBe('BAD_OPTION');
      });

      it('can be dropped and filled again many times', async () => {
        for (let round = 1; round <= 20; round++) {
          await write(round, [put(`k${round}`, '1')]);
          expect(contents(shard)).toEqual([`k${round}=1`]);
          await engine.drop('a/1');
          expect([contents(shard), shard.count()]).toEqual([[], 0]);
        }
      });
    });

    describe('export and import', () => {
      const big = randomFillSync(new Uint8Array(200_000));

      /** Several chunks, one of a single large record, and a fence. */
      async function fill(): Promise<ShardChunk[]> {
        await write(4, [put('0', none, bytes('v')), put('zz', big)]);
        for (let at = 0; at < 3; at++) {
          await write(
            5,
            Array.from({ length: 100 }, (_, index) => put(`k${at}${index}`, 'x'.repeat(500))),
            'record',
          );
        }
        return chunksOf(engine, 'a/1');
      }

      it('make a copy under another name, fence and epochs included', async () => {
        const chunks = await fill();
        expect(chunks.length).toBeGreaterThan(3);
        expect(chunks.map(({ last }) => last)).toEqual(chunks.map((_, index) => index === chunks.length - 1));
        const sizes = chunks.map(chunk => chunk.bytes.length).filter(size => size > 70_000);
        expect(sizes).toHaveLength(1);
        await engine.import('copy', chunks);
        const copy = engine.shard('copy');
        expect([...copy.scan()]).toEqual([...shard.scan()]);
        expect(copy.count()).toBe(302);
        expect(await outcome(copy.commit(group(3, [put('k', '3')]), 'committed'))).toBe('FENCED');
        await copy.commit(group(4, [put('k', '4')]), 'committed');
        expect(engine.shards()).toEqual(['a/1', 'copy']);
      });

      it('wait for pending groups, and show one moment however slowly they are read', async () => {
        const done = write(
          2,
          Array.from({ length: 300 }, (_, index) => put(`k${1_000 + index}`, 'x'.repeat(500))),
        );
        const chunks: ShardChunk[] = [];
        for await (const chunk of engine.export('a/1')) {
          chunks.push(chunk);
          await write(3, [put('k0', 'late'), del('k1200')]);
        }
        await done;
        await engine.import('copy', chunks);
        expect(engine.shard('copy').count()).toBe(300);
        expect(text(engine.shard('copy').get(bytes('k1200')))).toBe('x'.repeat(500));
        await engine.shard('copy').commit(group(2, []), 'committed');
      });

      it('replace what was there, and its fence, with what was handed in before', async () => {
        const target = engine.shard('t');
        await target.commit(group(50, [put('old', '1')]), 'committed');
        await write(1, [put('new', '1')]);
        const chunks = await chunksOf(engine, 'a/1');
        const before = target.commit(group(50, [put('before', '1')]), 'committed');
        await engine.import('t', chunks);
        await before;
        expect([contents(target), target.count()]).toEqual([['new=1'], 1]);
        await target.commit(group(1, [put('more', '1')]), 'committed');
        expect(contents(target)).toEqual(['more=1', 'new=1']);
      });

      it('carry an empty shard too', async () => {
        await write(7, []);
        const chunks = await chunksOf(engine, 'a/1');
        expect(chunks).toHaveLength(1);
        await engine.import('copy', chunks);
        expect(await outcome(engine.shard('copy').commit(group(6, []), 'committed'))).toBe('FENCED');
        await engine.import('a/1', await chunksOf(engine, 'never'));
        await write(0, [put('k', '0')]);
      });

      it('refuse chunks that are damaged, missing, doubled, swapped or foreign, and leave the target as it was', async () => {
        const chunks = await fill();
        const target = engine.shard('t');
        await target.commit(group(9, [put('k', 'mine')]), 'committed');
        const damage = (index: number, at: number): ShardChunk[] =>
          chunks.map((chunk, other) => {
            if (other !== index) return chunk;
            const copy = chunk.bytes.slice();
            copy[at] = (copy[at] as number) ^ 1;
            return { ...chunk, bytes: copy };
          });
        const [first, second, third] = chunks as [ShardChunk, ShardChunk, ShardChunk];
        const end = chunks.at(-1) as ShardChunk;
        const foreign = await (async () => {
          await engine.shard('f').commit(group(1, [put('k', '1')]), 'committed');
          return chunksOf(engine, 'f');
        })();
        const wrong: Record<string, ShardChunk[]> = {
          damagedFirst: damage(0, 30),
          damagedLast: damage(chunks.length - 1, (chunks.at(-1) as ShardChunk).bytes.length - 1),
          damagedChecksum: damage(1, 0),
          cut: [{ bytes: first.bytes.subarray(0, 20), last: false }],
          missingLast: chunks.slice(0, -1),
          missingFirst: chunks.slice(1),
          missingMiddle: chunks.toSpliced(1, 1),
          doubled: chunks.toSpliced(1, 0, second),
          swapped: chunks.with(1, third).with(2, second),
          foreignEnd: [...chunks.slice(0, -1), ...foreign],
          more: [...chunks, end],
          lie: chunks.with(-1, { ...end, last: false }),
          nothing: [],
        };
        for (const [what, given] of Object.entries(wrong)) {
          expect([what, await outcome(engine.import('t', given))]).toEqual([what, 'CORRUPT']);
        }
        expect(contents(target)).toEqual(['k=mine']);
        expect(await outcome(target.commit(group(8, []), 'committed'))).toBe('FENCED');
        expect(engine.shards()).toEqual(['a/1', 'f', 't']);
      });

      it('pass on what their source throws', async () => {
        const [first] = (await fill()) as [ShardChunk];
        const broken = (async function* () {
          yield first;
          throw new TroupeError('STOPPED', 'the link broke');
        })();
        expect(await outcome(engine.import('t', broken))).toBe('STOPPED');
        expect(engine.shards()).toEqual(['a/1']);
      });
    });

    describe('whoever watches', () => {
      /** What it is told, as `shard key`. */
      const watch = (told: string[] = []) => {
        const stop = engine.watch((name, key) => told.push(`${name} ${new TextDecoder().decode(key)}`));
        return { told, stop };
      };

      it('is told of puts and deletions, of each key of a group, before the write resolves', async () => {
        await write(1, [put('before', '1')]);
        const { told } = watch();
        let done = false;
        const one = write(1, [put('a', '1')]).then(() => {
          done = true;
        });
        expect([told, done]).toEqual([['a/1 a'], false]);
        await one;
        await write(1, [del('a')]);
        await write(1, [put('b', '2'), del('c'), put('d', '2'), put('b', '3')]);
        await write(1, []);
        expect(told).toEqual(['a/1 a', 'a/1 a', 'a/1 b', 'a/1 c', 'a/1 d', 'a/1 b']);
      });

      it('is told of a write that readers see already, and that is not committed', async () => {
        const seen: unknown[] = [];
        engine.watch((name, key) => {
          seen.push(text(engine.shard(name).get(key)), engine.shard(name).pending(key));
        });
        await write(1, [put('k', '1')]);
        expect(seen).toEqual(['1', true]);
      });

      it('is told of what is refused later, also with another group, and not of what never waits', async () => {
        await write(5, [put('k', '5')]);
        const { told } = watch();
        const tooLong = put(new Uint8Array(recordKeyBytesMax + 1), '1');
        const all = [
          write(4, [put('fenced', '4')]),
          write(5, [put('rests-on-it', '5')]),
          write(5, [put('bad', '5'), tooLong]),
          write(
            5,
            Array.from({ length: writesPendingMax + 1 }, (_, index) => del(`k${index}`)),
          ),
        ];
        expect(await outcomes(all)).toEqual(['FENCED', 'FENCED', 'TOO_LARGE', 'TOO_LARGE']);
        expect(told).toEqual(['a/1 fenced', 'a/1 rests-on-it']);
      });

      it('is told of the writes of all shards, each with its name, and not of whole shards', async () => {
        const names = ['a/1', 'a/2', 'kv/s/1', 'r/x'];
        const { told } = watch();
        for (const each of names) await engine.shard(each).commit(group(1, [put('k', '1')]), 'committed');
        await engine.import('copy', await chunksOf(engine, 'kv/s/1'));
        await engine.drop('a/2');
        expect(told).toEqual(names.map(each => `${each} k`));
      });

      it('is one of several, each told until it stops, also in the middle of a group', async () => {
        const first = watch();
        const second = watch();
        await write(1, [put('a', '1')]);
        first.stop();
        await write(1, [put('b', '1')]);
        const third: string[] = [];
        const stopThird = engine.watch((_, key) => {
          third.push(new TextDecoder().decode(key));
          stopThird();
        });
        await write(1, [put('c', '1'), put('d', '1')]);
        second.stop();
        second.stop();
        await write(1, [put('e', '1')]);
        expect([first.told, second.told, third]).toEqual([['a/1 a'], ['a/1 a', 'a/1 b', 'a/1 c', 'a/1 d'], ['c']]);
      });

      it('may use one function twice, and stops once for each', async () => {
        const told: string[] = [];
        const changed = (_: string, key: Uint8Array) => told.push(new TextDecoder().decode(key));
        const stops = [engine.watch(changed), engine.watch(changed)];
        await write(1, [put('a', '1')]);
        stops[0]?.();
        stops[0]?.();
        await write(1, [put('b', '1')]);
        expect(told).toEqual(['a', 'a', 'b']);
      });

      it('harms neither the write nor the others by throwing, or by what it does to the key', async () => {
        engine.watch((_, key) => {
          key.fill(0);
          throw new Error('a watcher that fails');
        });
        const { told } = watch();
        await write(1, [put('a', '1'), put('b', '1')]);
        expect([told, contents(shard)]).toEqual([
          ['a/1 a', 'a/1 b'],
          ['a=1', 'b=1'],
        ]);
      });

      it('has keys that stay as they are', async () => {
        const keys: Uint8Array[] = [];
        engine.watch((_, key) => keys.push(key));
        const key = bytes('k');
        const done = write(1, [put(key, '1')]);
        key.fill(0);
        await done;
        await write(2, [put('k', '2'), del('k')]);
        expect(keys).toEqual([bytes('k'), bytes('k'), bytes('k')]);
      });

      it('in the middle of random writes, makes a copy whole with the keys it was told', async () => {
        const key = fc.nat(11).map(at => `k${at}`);
        const some = fc.record({
          mine: fc.boolean(),
          epoch: fc.constantFrom(1, 2, 2),
          fence: fc.constantFrom('shard' as const, 'record' as const),
          ops: fc.array(fc.tuple(key, fc.option(fc.nat(99))), { maxLength: 4 }),
          waits: fc.boolean(),
        });
        const writes = fc.array(some, { maxLength: 8 });
        let round = 0;
        await fc.assert(
          fc.asyncProperty(
            fc.record({ earlier: writes, beforeSync: writes, beforeScan: writes, inScan: writes, later: writes }),
            async plan => {
              // Both halves of a split store have their turn.
              const name = `${round++ % 2 === 0 ? 'kv/' : 'a/'}${round}`;
              const [mine, other] = [engine.shard(name), engine.shard(`${name}/other`)];
              const ends: Promise<string>[] = [];
              const hand = ({ mine: isMine, epoch, fence, ops }: (typeof plan.earlier)[number]) => {
                const written = ops.map(([at, value]) => (value === null ? del(at) : put(at, `${value}`)));
                ends.push(outcome((isMine ? mine : other).commit(group(epoch, written, fence), 'committed')));
              };
              const handIn = async (groups: typeof plan.earlier) => {
                for (const each of groups) {
                  hand(each);
                  if (each.waits) await ends.at(-1);
                }
              };
              const keyed = (record: StoredRecord) => [Buffer.from(record.key).toString('hex'), record] as const;

              await handIn(plan.earlier);
              const told = new Map<string, Uint8Array>();
              const stop = engine.watch((shardName, changed) => {
                if (shardName === name) told.set(Buffer.from(changed).toString('hex'), changed);
              });
              await handIn(plan.beforeSync);
              const synced = engine.sync('committed');
              for (const each of plan.beforeScan) hand(each);
              await synced;
              const copy = new Map<string, StoredRecord>();
              const inScan = [...plan.inScan];
              for (const record of mine.scan()) {
                copy.set(...keyed(record));
                await handIn(inScan.splice(0, 1));
              }
              await handIn([...inScan, ...plan.later]);
              await engine.sync('committed');
              stop();
              for (const [hex, changed] of told) {
                const record = mine.get(changed);
                if (record === undefined) copy.delete(hex);
                else copy.set(hex, record);
              }
              expect([...copy].toSorted(([a], [b]) => (a < b ? -1 : 1))).toEqual([...mine.scan()].map(keyed));
              expect((await Promise.all(ends)).filter(end => end !== 'ok' && end !== 'FENCED')).toEqual([]);
            },
          ),
          { seed: 7, numRuns: 40 },
        );
      });
    });

    describe('closing', () => {
      it('lets pending groups finish, and refuses everything after', async () => {
        await write(1, [put('k', '1')]);
        const scan = shard.scan()[Symbol.iterator]();
        scan.next();
        const pending = write(1, [put('l', '1')]);
        const closing = engine.close();
        const late = write(1, [put('m', '1')]);
        expect(await outcomes([pending, closing, late])).toEqual(['ok', 'ok', 'STOPPED']);
        expect(await outcomes([write(1, []), engine.sync('committed'), engine.drop('a/1')])).toEqual(
          Array.from({ length: 3 }, () => 'STOPPED'),
        );
        expect(await outcomes([chunksOf(engine, 'a/1'), engine.import('a/1', []), engine.close()])).toEqual([
          'STOPPED',
          'STOPPED',
          'ok',
        ]);
        const reads = [() => shard.get(bytes('k')), () => shard.scan(), () => shard.count(), () => engine.shards()];
        expect(reads.map(thrown)).toEqual(Array.from({ length: 4 }, () => 'STOPPED'));
      });

      it('twice at once is closing once', async () => {
        expect(await outcomes([engine.close(), engine.close()])).toEqual(['ok', 'ok']);
      });

      it('keeps everything for the next engine on the same place', async () => {
        if (!rig.reopen) return;
        await write(6, [put('k', '6', bytes('v'))]);
        await write(3, [put('r', '3')], 'record');
        void write(6, [put('pending', '6')]);
        const again = await rig.reopen();
        const same = again.shard('a/1');
        expect(contents(same)).toEqual(['k=6', 'pending=6', 'r=3']);
        expect(same.get(bytes('k'))).toEqual({ key: bytes('k'), epoch: 6, version: bytes('v'), value: bytes('6') });
        expect(again.shards()).toEqual(['a/1']);
        expect(await outcome(same.commit(group(5, []), 'committed'))).toBe('FENCED');
        expect(await outcome(same.commit(group(2, [put('r', '2')], 'record'), 'committed'))).toBe('FENCED');
      });
    });
  });
}
