// A Troupe store as a storage adapter for Keyv: new Keyv({ store: keyvStore(store) }), and so for whatever is built on Keyv.
//
// It has the shape of Keyv 5, where a time to live is relative. Keyv 6 wraps adapters of that shape. Three of its traits are
// there for Keyv's sake: `opts`, whose dialect Keyv 5 looks at before it offers an iterator; that `namespace` is not there
// until Keyv 5 sets it, for Keyv 6 would take a declared one as a promise to prefix keys, which Keyv then leaves to us; and
// that nothing is done in bulk but getMany, for the two versions expect different answers.
//
// Errors reject; what becomes of them is Keyv's business (its option throwOnErrors).

import type { Store } from '../index.ts';
import { clearEntries, deleteEntry, entriesOf, needOneValue } from './one-value.ts';

export interface KeyvStore {
  /** Set by Keyv 5; what clear() is limited to. */
  namespace?: string | undefined;
  readonly opts: { readonly url: string; readonly dialect: string };
  get(key: string): Promise<unknown>;
  getMany(keys: readonly string[]): Promise<unknown[]>;
  /** `ttl` in ms from now; none or 0: for ever. */
  set(key: string, value: unknown, ttl?: number): Promise<boolean>;
  has(key: string): Promise<boolean>;
  delete(key: string): Promise<boolean>;
  clear(): Promise<void>;
  iterator(namespace?: string): AsyncGenerator<[key: string, value: unknown], void, undefined>;
  /** Nothing is ever emitted: errors reject. */
  on(event: string, listener: (...args: any[]) => void): KeyvStore;
}

/** The separator Keyv puts between a namespace and a key. */
const separator = ':';

/** Throws BAD_OPTION for a store that keeps siblings. */
export function keyvStore(store: Store): KeyvStore {
  needOneValue(store, 'keyvStore');
  const prefixOf = (namespace: string | undefined): string =>
    namespace === undefined || namespace === '' ? '' : namespace + separator;
  const adapter: KeyvStore = {
    opts: { url: '', dialect: 'redis' },
    async get(key) {
      return (await store.get(key)).value;
    },
    async getMany(keys) {
      return Promise.all(keys.map(async key => (await store.get(key)).value));
    },
    async set(key, value, ttl) {
      if (ttl !== undefined && ttl < 0) await deleteEntry(store, key);
      else await store.put(key, value, lives(ttl) ? { ttlMs: Math.ceil(ttl) } : {});
      return true;
    },
    async has(key) {
      return (await store.get(key)).found;
    },
    async delete(key) {
      return deleteEntry(store, key);
    },
    async clear() {
      await clearEntries(store, prefixOf(adapter.namespace));
    },
    async *iterator(namespace) {
      for await (const { key, value } of entriesOf(store, prefixOf(namespace))) yield [key, value];
    },
    on: () => adapter,
  };
  return adapter;
}

function lives(ttl: number | undefined): ttl is number {
  return ttl !== undefined && ttl > 0 && Number.isFinite(ttl);
}
