// A walk gives its snapshot back exactly once, however it ends.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import type { Lmdb, LmdbEntry } from '../../src/storage/lmdb-env-store.ts';
import { LmdbWalk, Pin, type WalkChecks } from '../../src/storage/lmdb-walk-store.ts';
import { bytes } from './conformance.ts';

const range = { start: bytes('a'), end: bytes('z') };
const checks: WalkChecks = { check: (_, found) => found, unreadable: (_, why) => why as Error };

/** LMDB as far as a walk sees it, with a log of what was given back. */
function rig(count: number) {
  const log: string[] = [];
  const db = {
    useReadTransaction: () => ({ done: () => void log.push('snapshot') }),
    getRange: function* (): Generator<LmdbEntry> {
      try {
        for (let at = 0; at < count; at++) {
          yield { key: bytes(`\0\0\0\0k${at}`), value: bytes('v'), version: at === 1 ? -1 : 0 };
        }
      } finally {
        log.push('cursor');
      }
    },
  } as unknown as Lmdb;
  return { log, pin: new Pin(db, range, () => void log.push('released')) };
}

const everything = ['cursor', 'snapshot', 'released'];

describe('a walk', () => {
  it('to the end gives everything back, the cursor first', () => {
    const { log, pin } = rig(3);
    expect([...new LmdbWalk(pin, checks)]).toHaveLength(3);
    pin.end();
    expect(log).toEqual(everything);
  });

  it('that is broken off, too', () => {
    const { log, pin } = rig(3);
    for (const _ of new LmdbWalk(pin, checks)) break;
    expect(log).toEqual(everything);
  });

  it('that was never begun has no cursor to give back', () => {
    const { log, pin } = rig(3);
    new LmdbWalk(pin, checks).return();
    expect(log).toEqual(['snapshot', 'released']);
  });

  it('that is ended from outside says why to whoever asks for more', () => {
    const { log, pin } = rig(3);
    const walk = new LmdbWalk(pin, checks);
    walk.next();
    pin.end(new Error('closed'));
    expect(() => walk.next()).toThrow('closed');
    expect(log).toEqual(everything);
  });

  it('over an LMDB that has failed touches it no more', () => {
    const { log, pin } = rig(3);
    const walk = new LmdbWalk(pin, checks);
    walk.next();
    pin.forsake(new Error('failed'));
    expect(() => walk.next()).toThrow('failed');
    walk.return();
    pin.end();
    expect(log).toEqual([]);
  });

  it('leaves out what the check leaves out', () => {
    const { pin } = rig(3);
    const walk = new LmdbWalk(pin, { ...checks, check: (_, found, stamp) => (stamp < 0 ? undefined : found) });
    expect([...walk].map(({ key }) => new TextDecoder().decode(key))).toEqual(['k0', 'k2']);
  });

  it('that its user forgets is given back when the garbage collector finds it', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const { log, pin } = rig(3);
    (() => new LmdbWalk(pin, checks).next())();
    for (let turn = 0; turn < 50 && log.length === 0; turn++) {
      collect();
      await new Promise(resolve => setImmediate(resolve));
    }
    expect(log).toEqual(everything);
  });
});
