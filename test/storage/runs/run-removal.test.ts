import { existsSync, linkSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { pinsMax, removalPieceBytes } from '../../../src/limits.ts';
import { filterFile, lockFile } from '../../../src/storage/runs/run-format.ts';
import { RunRemoval } from '../../../src/storage/runs/run-removal-store.ts';
import { SharedWords, sharedWordsBytes } from '../../../src/storage/shared-words.ts';
import { newDir, until } from '../../bad-days/folders.ts';

/** Three pieces, the last of them short. */
const bytes = 2 * removalPieceBytes + 5_000;

function rig() {
  const dir = newDir();
  const words = new SharedWords(new SharedArrayBuffer(sharedWordsBytes()));
  const seen = { looks: 0, told: [] as (Error | undefined)[] };
  const removal = new RunRemoval({
    dir,
    nobodyReads(generation) {
      seen.looks++;
      return words.allHaveLooked(generation);
    },
    removed: why => void seen.told.push(why),
  });
  onTestFinished(() => removal.stop());
  const write = (file: string) => {
    writeFileSync(join(dir, file), new Uint8Array(bytes).fill(7));
    for (const beside of [filterFile(file), lockFile(file)]) writeFileSync(join(dir, beside), 'x');
    return { file, bytes };
  };
  return { dir, words, seen, removal, write, size: (file: string) => statSync(join(dir, file)).size };
}

/** It has been looked at, and left alone, a few times. */
async function severalLooks(seen: { looks: number }): Promise<void> {
  const { looks } = seen;
  await until(() => seen.looks > looks + 3);
}

describe('files of runs that nobody needs any more', () => {
  it('go with all that belongs to them, one after the other', async () => {
    const { removal, write, dir, seen } = rig();
    removal.add([write('run-1.mdb')], 1);
    removal.add([write('run-2.mdb'), write('run-3.mdb')], 2);
    expect(removal.bytes).toBe(3 * bytes);
    await until(() => removal.bytes === 0);
    expect(readdirSync(dir)).toEqual([]);
    expect(seen.told).toEqual([undefined, undefined, undefined]);
  });

  it('stay as they are while a thread may have them open', async () => {
    const { removal, write, words, seen, size } = rig();
    words.tellLook(3, 4);
    words.tellLook(5, 6);
    removal.add([write('run-1.mdb')], 5);
    await severalLooks(seen);
    expect(size('run-1.mdb')).toBe(bytes);
    words.tellLook(3, 5);
    await until(() => removal.bytes === 0);
  });

  it('stay as they are while they are held', async () => {
    const { removal, write, seen, size } = rig();
    const [give, giveToo] = [removal.hold(), removal.hold()];
    removal.add([write('run-1.mdb')], 1);
    give();
    give();
    await severalLooks(seen);
    expect(size('run-1.mdb')).toBe(bytes);
    giveToo();
    await until(() => removal.bytes === 0);
  });

  it('are not cut when a backup has a name for them', async () => {
    const { removal, write, dir, size } = rig();
    const run = write('run-1.mdb');
    linkSync(join(dir, run.file), join(dir, 'in-a-backup'));
    removal.add([run], 1);
    await until(() => removal.bytes === 0);
    expect(readdirSync(dir)).toEqual(['in-a-backup']);
    expect(size('in-a-backup')).toBe(bytes);
  });

  it('go at once at the end, whoever reads; what is held waits for the next start', async () => {
    const { removal, write, words, dir } = rig();
    words.tellLook(0, 0);
    removal.add([write('run-1.mdb'), write('run-2.mdb')], 1);
    await removal.stop();
    expect(readdirSync(dir)).toEqual([]);

    const held = rig();
    held.removal.hold();
    held.removal.add([held.write('run-3.mdb')], 1);
    await held.removal.stop();
    expect(held.size('run-3.mdb')).toBe(bytes);
  });

  it('that cannot be removed are told, and those behind them go', async () => {
    const { removal, write, dir, seen } = rig();
    // A folder of that name: it is refused.
    mkdirSync(join(dir, 'run-1.mdb'));
    removal.add([{ file: 'run-1.mdb', bytes }, write('run-2.mdb')], 1);
    await until(() => removal.bytes === 0);
    expect(seen.told).toEqual([expect.any(Error), undefined]);
    expect(existsSync(join(dir, 'run-2.mdb'))).toBe(false);
  });
});

describe('how far the threads have come', () => {
  it('counts who has a run open, and nobody else', () => {
    const { words } = rig();
    expect(words.allHaveLooked(7)).toBe(true);
    words.tellLook(0, 6);
    words.tellLook(pinsMax - 1, 7);
    expect([words.allHaveLooked(6), words.allHaveLooked(7)]).toEqual([true, false]);
    words.tellLook(0, 7);
    expect([words.allHaveLooked(7), words.allHaveLooked(8)]).toEqual([true, false]);
    words.endLook(0);
    words.endLook(pinsMax - 1);
    expect(words.allHaveLooked(8)).toBe(true);
  });
});
