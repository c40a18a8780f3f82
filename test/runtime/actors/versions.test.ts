// Stored state and code of different versions. DESIGN.md section 2, "Persistence"; research/relocation-and-actors.md 4
// (rolling upgrades): unknown fields survive, old code does not touch newer state.

import { describe, expect, it } from 'vitest';
import type { ActorOptions } from '../../../src/runtime/define-actor.ts';
import type { Shard } from '../../../src/storage/engine.ts';
import { createTestKit, type TestKit } from '../../../src/testing.ts';
import { outcome } from './outcome.ts';
import { generation, type Profile, writtenGeneration } from './versions.ts';

/** A process of that version of the code, on the disk of the one before. */
function deploy(version: number, before?: TestKit, migrate?: ActorOptions<Profile>['migrate']) {
  const type = generation(version, migrate);
  const kit = createTestKit({ actors: [type], ...(before === undefined ? {} : { disk: before.disk }) });
  return { kit, a: kit.ref(type, 'a') };
}

describe('a stored state of an older version', () => {
  it('is migrated, and what migrate() does not know is kept through read, change and write', async () => {
    const old = deploy(1);
    await old.a.set('name', 'Ada Lovelace');
    await old.a.set('unknown', { kept: [1, 2] });
    await old.kit.close();
    const next = deploy(2, old.kit, (state, from) => {
      expect(from).toBe(1);
      const { name, ...rest } = state;
      const [first, last] = name.split(' ');
      return { first, last, ...rest };
    });
    const migrated = { first: 'Ada', last: 'Lovelace', unknown: { kept: [1, 2] } };
    expect(await next.a.read()).toEqual(migrated);
    await next.a.set('seen', true);
    await next.kit.close();
    const same = deploy(2, next.kit);
    expect(await same.a.read()).toEqual({ ...migrated, seen: true });
    await same.kit.close();
  });

  it('is migrated over several versions by one function, which is told from where', async () => {
    const old = deploy(1);
    await old.a.set('name', 'x');
    const next = deploy(7, old.kit, (state, from) => ({ ...state, from }));
    expect(await next.a.read()).toEqual({ name: 'x', from: 1 });
  });

  it('is stored in the new form by the next turn that may change it, or not at all', async () => {
    const old = deploy(1);
    await old.a.set('name', 'x');
    const next = deploy(2, old.kit, state => ({ ...state, v: 2 }));
    await next.a.set('touched', true);
    await next.kit.crash('profile/a');
    const later = deploy(2, next.kit, () => {
      throw new Error('it was migrated before');
    });
    expect(await later.a.read()).toEqual({ name: 'x', v: 2, touched: true });
  });

  it('is refused where there is no migrate(), and left as it is', async () => {
    const old = deploy(1);
    await old.a.set('name', 'x');
    const next = deploy(2, old.kit);
    expect(await outcome(next.a.read())).toMatchObject({
      code: 'BAD_OPTION',
      message: expect.stringContaining('migrate'),
      details: { stored: 1, known: 2 },
    });
    expect(await deploy(1, next.kit).a.read()).toEqual({ name: 'x' });
  });

  it('is left as it is when migrate() throws', async () => {
    const old = deploy(1);
    await old.a.set('name', 'x');
    const next = deploy(2, old.kit, () => {
      throw new TypeError('cannot');
    });
    expect(await outcome(next.a.read())).toMatchObject({ code: 'REMOTE', message: 'cannot' });
    expect(await deploy(1, next.kit).a.read()).toEqual({ name: 'x' });
  });
});

describe('a stored state of a newer version', () => {
  it('is refused by older code and left untouched, byte for byte', async () => {
    const next = deploy(3);
    await next.a.set('name', 'from the future');
    const bytes = () => [...next.kit.disk.shards()].flatMap(name => [...next.kit.disk.shard(name).scan()]);
    const before = bytes();
    const old = deploy(2, next.kit, state => state);
    expect(await outcome(old.a.set('name', 'from the past'))).toMatchObject({
      code: 'FENCED',
      retryable: false,
      details: { stored: 3, known: 2 },
      message: expect.stringContaining('newer code'),
    });
    await old.kit.close();
    expect(bytes()).toEqual(before);
    expect(await deploy(3, old.kit).a.read()).toEqual({ name: 'from the future' });
  });
});

describe('a journal', () => {
  const deployed = (version: number, before?: TestKit) => {
    const type = writtenGeneration(version);
    const kit = createTestKit({ actors: [type], ...(before === undefined ? {} : { disk: before.disk }) });
    return { kit, a: kit.ref(type, 'a') };
  };
  const shards = (kit: TestKit): Shard[] => [...kit.disk.shards()].map(name => kit.disk.shard(name));
  const bytes = (kit: TestKit) => shards(kit).flatMap(shard => [...shard.scan()]);

  it('with events of newer code is refused by older code and left untouched, though older events come first', async () => {
    const first = deployed(2);
    await first.a.set('name', 'old');
    await first.kit.close();
    const next = deployed(3, first.kit);
    await next.a.set('name', 'from the future');
    await next.kit.close();
    const before = bytes(next.kit);
    const old = deployed(2, next.kit);
    expect(await outcome(old.a.set('name', 'from the past'))).toMatchObject({
      code: 'FENCED',
      retryable: false,
      details: { stored: 3, known: 2 },
    });
    await old.kit.close();
    expect(bytes(old.kit)).toEqual(before);
    expect(await deployed(3, old.kit).a.read()).toEqual({ name: 'from the future' });
  });

  it('of before events had a version is read', async () => {
    const old = deployed(1);
    await old.a.set('name', 'x');
    await old.kit.close();
    for (const shard of shards(old.kit)) {
      for (const { key, value, epoch } of [...shard.scan()]) {
        const op = { type: 'put', key, version: new Uint8Array(0), value } as const;
        await shard.commit({ epoch, fence: 'record', ops: [op] }, 'committed');
      }
    }
    expect(await deployed(1, old.kit).a.read()).toEqual({ name: 'x' });
  });
});
