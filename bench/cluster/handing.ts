// A partition with a store of many megabytes, handed to and fro between two processes while it is written and read: how long nobody was
// served, and what became of every write that was acknowledged.
//
//     near: 16 writers, 4 readers ─▶ the partition, here or there          commit(plan({ weights })) ─▶ it goes there, and back

import type { Node, Store } from '../../src/index.ts';
import type { Contender, Done, Workload } from '../harness.ts';
import { percentile } from '../stats.ts';
import { FarProcess } from './far-process.ts';
import { type Left, PausesT, startHandingNode } from './handing-node.ts';

const valueBytes = 1_024;
const writers = 16;
const readers = 4;
/** A hand-over of 100 MB takes seconds; one that takes so long is stuck. */
const patienceMs = 120_000;

export function handing(megabytes: number, times: number): Workload {
  return {
    name: `a vnode of ${megabytes} MB handed between two processes under load`,
    about:
      'How long the partition stood still at its old owner, and the longest time in which none of 20 writers and readers was answered.',
    gauge: 'ms paused, p99',
    rounds: 1,
    alone: 'nothing else for Node moves a partition of a store',
    opsMin: Math.min(times, 2),
    opsMax: times,
    contenders: [contender(megabytes)],
    goals: [{ ours: 'troupe', atMost: 50 }],
  };
}

function contender(megabytes: number): Contender {
  const far = new FarProcess();
  let near: Node;
  return {
    name: 'troupe',
    async setup() {
      const address = await far.start('a vnode', undefined);
      near = await startHandingNode({ name: 'near', join: [address] });
    },
    run: n => handOver(near, megabytes, n),
    async teardown() {
      await near.stop();
      await far.end();
    },
  };
}

async function handOver(near: Node, megabytes: number, n: number): Promise<Done> {
  const store = await near.store('bench', { siblings: false });
  const keys = Math.ceil((megabytes * 1_000_000) / valueBytes);
  const load = new Load(store, keys);
  await load.fill();
  await insist('near is in the ring', async () => near.cluster.plan({ weights: { near: 1 } }) !== undefined);
  await takeLeft(near);
  const running = load.run();
  // Awaited below; what goes wrong before that ends the run then.
  running.catch(() => undefined);
  const lefts: Left[] = [];
  const gaps: number[] = [];
  const took: number[] = [];
  for (let turn = 0; turn < n; turn++) {
    const to = near.cluster.ring().owners[0] === 'near' ? 'far' : 'near';
    const from = to === 'near' ? 'far' : 'near';
    load.longestGapMs = 0;
    const began = performance.now();
    // Refused as long as somebody has not heard of the change before.
    await insist('the plan is taken', async () => {
      await near.cluster.commit(near.cluster.plan({ weights: { [to]: 1, [from]: 0 } }));
      return true;
    });
    await insist(`${to} owns it`, async () => near.cluster.ring().owners[0] === to);
    await insist('everybody has heard of it', async () => near.cluster.ring().next.length === 0);
    took.push(performance.now() - began);
    await new Promise(resolve => setTimeout(resolve, 300));
    gaps.push(load.longestGapMs);
    lefts.push(...(await takeLeft(near)));
  }
  load.stop();
  await running;
  await load.check();
  const sorted = (values: readonly number[]): Float64Array => Float64Array.from(values).sort();
  const pauses = sorted(lefts.map(({ pausedMs }) => pausedMs));
  const seconds = sorted(took);
  const bytes = lefts.reduce((sum, each) => sum + each.bytes, 0);
  return {
    done: pauses.length,
    value: percentile(pauses, 0.99),
    more: {
      'p50 ms': percentile(pauses, 0.5),
      'max ms': percentile(pauses, 1),
      'unserved p50 ms': percentile(sorted(gaps), 0.5),
      'unserved max ms': percentile(sorted(gaps), 1),
      's a hand-over, p50': percentile(seconds, 0.5) / 1_000,
      'MB/s': bytes / 1_000 / took.reduce((a, b) => a + b, 0),
      'writes acknowledged': load.acknowledged,
      'reads answered': load.answered,
      'refused, tried again': load.refused,
    },
  };
}

async function takeLeft(near: Node): Promise<Left[]> {
  return [...(await near.ref(PausesT, 'near').take()), ...(await near.ref(PausesT, 'far').take())];
}

async function insist(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const until = performance.now() + patienceMs;
  for (;;) {
    if (await isSo().catch(() => false)) return;
    if (performance.now() > until) throw new Error(`waited ${patienceMs / 1_000} s in vain until ${what}`);
    await new Promise(resolve => setTimeout(resolve, 5));
  }
}

/** Each writer has keys of its own, and counts up in them: so what is read tells which write it was. */
class Load {
  longestGapMs = 0;
  acknowledged = 0;
  answered = 0;
  refused = 0;
  readonly #store: Store;
  readonly #written: Uint32Array;
  /** Newest write that nobody knows the outcome of. */
  readonly #tried: Uint32Array;
  #stopped = false;
  #lastAt = 0;

  constructor(store: Store, keys: number) {
    this.#store = store;
    this.#written = new Uint32Array(keys);
    this.#tried = new Uint32Array(keys);
  }

  stop(): void {
    this.#stopped = true;
  }

  async fill(): Promise<void> {
    const count = this.#written.length;
    const fill = async (first: number): Promise<void> => {
      for (let key = first; key < count; key += 64) await this.#put(key);
    };
    await Promise.all(Array.from({ length: 64 }, (_, first) => fill(first)));
    this.acknowledged = 0;
  }

  async run(): Promise<void> {
    this.#lastAt = performance.now();
    const work = Array.from({ length: writers }, (_, writer) => this.#write(writer));
    work.push(...Array.from({ length: readers }, (_, reader) => this.#read(reader)));
    await Promise.all(work);
  }

  async #write(writer: number): Promise<void> {
    const own = Math.floor(this.#written.length / writers);
    for (let i = 0; !this.#stopped; i++) await this.#put(writer + ((i * 7_919) % own) * writers);
  }

  async #put(key: number): Promise<void> {
    const number = (this.#tried[key] as number) + 1;
    this.#tried[key] = number;
    const value = new Uint8Array(valueBytes);
    new DataView(value.buffer).setUint32(0, number);
    const opId = `${key}.${number}`;
    if ((await this.#retried(() => this.#store.put(`key-${key}`, value, { opId }))) === undefined) return;
    this.#written[key] = number;
    this.acknowledged++;
    this.#served();
  }

  /** Until it is done, or all is over. What is refused has not been done. */
  async #retried<T>(what: () => Promise<T>): Promise<T | undefined> {
    for (;;) {
      try {
        return await what();
      } catch (error) {
        if ((error as { code?: string }).code !== 'OVERLOADED') throw error;
        if (this.#stopped) return undefined;
        this.refused++;
        await new Promise(resolve => setTimeout(resolve, 5));
      }
    }
  }

  async #read(reader: number): Promise<void> {
    for (let i = reader; !this.#stopped; i++) {
      const key = (i * 104_729) % this.#written.length;
      const atLeast = this.#written[key] as number;
      const got = await this.#retried(() => this.#store.get(`key-${key}`));
      if (got === undefined) return;
      if (numberIn(got.value) < atLeast)
        throw new Error(`key ${key}: write ${numberIn(got.value)} read after ${atLeast}`);
      this.answered++;
      this.#served();
      // What is read here is there at once, and would leave nobody else a turn.
      await new Promise<void>(resolve => setImmediate(resolve));
    }
  }

  #served(): void {
    const now = performance.now();
    this.longestGapMs = Math.max(this.longestGapMs, now - this.#lastAt);
    this.#lastAt = now;
  }

  /** Every acknowledged write is there, or a later one. */
  async check(): Promise<void> {
    const count = this.#written.length;
    let gone = 0;
    const look = async (first: number): Promise<void> => {
      for (let key = first; key < count; key += 64) {
        const { values } = await this.#store.get(`key-${key}`);
        const found = numberIn(values[0]);
        if (values.length !== 1 || found < (this.#written[key] as number) || found > (this.#tried[key] as number))
          gone++;
      }
    };
    await Promise.all(Array.from({ length: 64 }, (_, first) => look(first)));
    if (gone > 0) throw new Error(`${gone} of ${count} keys do not hold their last acknowledged write`);
  }
}

function numberIn(value: unknown): number {
  if (!(value instanceof Uint8Array)) return -1;
  return new DataView(value.buffer, value.byteOffset).getUint32(0);
}
