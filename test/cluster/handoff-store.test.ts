// Partitions of real nodes that change hands, on real sockets and real engines: the records of stores.

import { describe, expect, it } from 'vitest';
import type { Node, NodeOptions, Store } from '../../src/index.ts';
import { failureOf, until } from '../threads/until.ts';
import { LocalTallyT, PinnedTallyT } from './handoff-actors.ts';
import { keysIn, Nodes, partitions, recordsOf } from './handoff-nodes.ts';

const text = 'x'.repeat(1_000);
const keysPerNode = 700;
/** What an ask may end with while its partition moves; it is tried again. */
const expected = ['OVERLOADED', 'UNKNOWN_OUTCOME', 'DEADLINE'];

/** Writes keys of its own, over and over, and reads them; remembers what was acknowledged. */
class Writer {
  readonly acked = new Map<string, string | null>();
  /** Written, and its end not known: it may be this. */
  readonly maybe = new Map<string, Set<string | null>>();
  readonly troubles: string[] = [];
  readonly #store: Store;
  readonly #name: string;
  #on = true;
  #work: Promise<void> | undefined;
  writes = 0;

  constructor(store: Store, name: string) {
    this.#store = store;
    this.#name = name;
  }

  begin(): void {
    this.#work = this.#run();
  }
  async end(): Promise<void> {
    this.#on = false;
    await this.#work;
  }
  async #run(): Promise<void> {
    for (let i = 0; this.#on; i++) {
      const some = Array.from({ length: 8 }, (_, at) => `${this.#name}-${(i * 8 + at) % keysPerNode}`);
      await Promise.all(some.map((key, at) => this.#once(key, i * 8 + at)));
    }
  }
  async #once(key: string, n: number): Promise<void> {
    const value = n % 11 === 5 ? null : `${key} ${n} ${text}`;
    this.writes++;
    try {
      const before = await this.#store.get(key);
      const known = [this.acked.get(key) ?? null, ...(this.maybe.get(key) ?? [])];
      if (!known.includes((before.value as string | undefined) ?? null))
        this.troubles.push(
          `${key} reads ${String(before.value).slice(0, 30)}, not ${known.map(each => each?.slice(0, 30))}`,
        );
      const { context } = before;
      if (value === null) await this.#store.delete(key, { context });
      else await this.#store.put(key, value, { context });
      this.acked.set(key, value);
      this.maybe.delete(key);
    } catch (error) {
      const { code, message, outcome } = error as { code: string; message: string; outcome: string };
      if (!expected.includes(code)) this.troubles.push(`${key}: ${code} ${message}`);
      if (outcome === 'unknown') this.maybe.set(key, (this.maybe.get(key) ?? new Set<string | null>()).add(value));
    }
  }
}

async function readAll(store: Store): Promise<Map<string, unknown[]>> {
  const all = new Map<string, unknown[]>();
  for await (const { key, values } of store.scan()) all.set(key as string, values);
  return all;
}

const engines: [string, number, NodeOptions & { durable?: boolean }][] = [
  ['troupe', 0, { durable: true }],
  ['troupe', 2, { durable: true }],
  ['lmdb', 0, { durable: true, engine: 'lmdb' }],
  ['memory', 2, {}],
];

describe.each(engines)('a store on %s, %i threads', (_engine, threads, options) => {
  it('goes to another node partition by partition, and no write is lost', { timeout: 60_000 }, async () => {
    await using nodes = new Nodes();
    await nodes.start(['n1', 'n2', 'n3'], { ...options, threads });
    const stores = await Promise.all([...nodes.nodes.values()].map(node => node.store('carts')));
    const [first] = stores as [Store];
    const keys = Array.from({ length: 1_000 }, (_, i) => `old-${i}`);
    await Promise.all(keys.map(key => first.put(key, `${key} ${text}`)));
    const deleted = keys.filter((_, i) => i % 5 === 0);
    await Promise.all(deleted.map(key => first.delete(key)));
    const mortal = keys.filter((_, i) => i % 5 === 1);
    await Promise.all(
      mortal.map(async key => first.put(key, 'soon', { ttlMs: 600_000, context: (await first.get(key)).context })),
    );
    const twins = keys.filter((_, i) => i % 50 === 2);
    await Promise.all(twins.map(key => first.put(key, `twin ${key}`)));
    // Done once, and replaced since: only the memo of its vnode knows.
    const once = (key: string): Promise<unknown> => first.put(key, 'once', { opId: `op-${key}` });
    const repeated = keys.filter((_, i) => i % 50 === 4);
    for (const key of repeated) await once(key);
    for (const key of repeated) await first.put(key, 'later', { context: (await first.get(key)).context });
    const was = await readAll(first);

    const stay: [Node, string][] = [];
    for (let partition = 0; partition < partitions; partition++) {
      const [key] = keysIn(partition, 1) as [string];
      const n1 = nodes.node('n1');
      await n1.ref(LocalTallyT, key).add(partition);
      await n1.ref(PinnedTallyT, key).add(partition);
      await n1.ref(LocalTallyT, key).remindMe('late', 600_000);
      stay.push([n1, key]);
    }

    const writers = stores.map((store, i) => new Writer(store, `w${i + 1}`));
    for (const writer of writers) writer.begin();
    for (let partition = 0; partition < partitions; partition++) await nodes.hand(partition, 'n2');
    await Promise.all(writers.map(writer => writer.end()));

    expect(writers.flatMap(({ troubles }) => troubles)).toEqual([]);
    for (const writer of writers) expect(writer.acked.size).toBeGreaterThan(100);
    for (const store of stores) {
      const all = await readAll(store);
      for (const [key, values] of was) expect([key, all.get(key)]).toEqual([key, values]);
      for (const key of deleted) expect(all.has(key)).toBe(false);
      for (const { acked, maybe } of writers)
        for (const [key, value] of acked) {
          const found = (all.get(key)?.[0] as string | undefined) ?? null;
          if (!maybe.get(key)?.has(found)) expect([key, found]).toEqual([key, value]);
        }
      expect((await first.inspect(mortal[0] as string)).preference[0]?.siblings[0]?.expiresAt).toBeGreaterThan(0);
      expect(all.get(twins[0] as string)).toHaveLength(2);
    }
    for (const key of repeated) await once(key);
    for (const key of repeated) expect((await first.get(key)).values).toEqual(['later']);

    for (const [partition, [n1, key]] of stay.entries()) {
      const left = recordsOf(n1, partition);
      expect(Object.keys(left).filter(name => name.startsWith('kv/') || name.startsWith('h/'))).toEqual([]);
      // On threads of their own, the local one's records are not seen from here.
      if (threads === 0 || options.durable) expect(left[`r/${partition}`]).toBe(1);
      expect(await n1.ref(LocalTallyT, key).add(1)).toBe(partition + 1);
      expect(await n1.ref(PinnedTallyT, key).add(1)).toBe(partition + 1);
    }
    await until('nobody keeps anything back', () => [...nodes.nodes.keys()].every(name => nodes.isIdle(name)));
    if (!options.durable || threads > 0) return;

    for (const name of ['n1', 'n2']) await nodes.stop(name);
    for (const name of ['n1', 'n2']) await nodes.again(name);
    const n1 = nodes.node('n1');
    await until('it can be reached', async () => (await failureOf(n1.store('carts'))) === undefined);
    const again = await n1.store('carts');
    await until('all of it can', async () => (await failureOf(readAll(again))) === undefined);
    const all = await readAll(again);
    for (const [key, values] of was) expect([key, all.get(key)]).toEqual([key, values]);
    for (const [partition, [, key]] of stay.entries()) {
      expect(nodes.owner(partition)).toBe('n2');
      expect(await n1.ref(LocalTallyT, key).add(1)).toBe(partition + 2);
      expect(await n1.ref(PinnedTallyT, key).add(1)).toBe(partition + 2);
    }
  });
});
