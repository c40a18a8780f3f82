// A Troupe store as a driver for unstorage: createStorage({ driver: unstorageDriver(store) }), and so for Nitro and Nuxt.
//
// unstorage hands over text (it serialises itself), asks for bytes by the "raw" methods, and calls the methods of a driver
// without the driver: none of them may use `this`. A key is parts joined by ':', a base ends in ':'.

import type { Store } from '../index.ts';
import { checkOptionNames } from '../runtime/option-names.ts';
import { clearEntries, deleteEntry, entriesOf, needOneValue } from './one-value.ts';

/** Options of a call; unstorage passes on what its own caller gave. */
export interface UnstorageCall {
  /** Seconds. */
  readonly ttl?: number;
}

export interface UnstorageDriver {
  readonly name: string;
  readonly flags: { readonly ttl: boolean };
  readonly options: { readonly ttl?: number };
  getInstance(): Store;
  hasItem(key: string): Promise<boolean>;
  getItem(key: string): Promise<string | null>;
  getItemRaw(key: string): Promise<unknown>;
  setItem(key: string, value: string, call?: UnstorageCall): Promise<void>;
  setItemRaw(key: string, value: unknown, call?: UnstorageCall): Promise<void>;
  removeItem(key: string): Promise<void>;
  getKeys(base?: string): Promise<string[]>;
  clear(base?: string): Promise<void>;
}

/** Throws BAD_OPTION for a store that keeps siblings. `ttl`: seconds an item lives unless its call says otherwise. */
export function unstorageDriver(store: Store, options: { readonly ttl?: number } = {}): UnstorageDriver {
  needOneValue(store, 'unstorageDriver');
  checkOptionNames('unstorageDriver()', options, ['ttl']);
  const put = async (key: string, value: unknown, call: UnstorageCall | undefined): Promise<void> => {
    const seconds = call?.ttl ?? options.ttl;
    await store.put(key, value, seconds === undefined || !(seconds > 0) ? {} : { ttlMs: Math.ceil(seconds * 1_000) });
  };
  return {
    name: 'troupe',
    flags: { ttl: true },
    options,
    getInstance: () => store,
    hasItem: async key => (await store.get(key)).found,
    getItem: async key => asText((await store.get(key)).value),
    getItemRaw: async key => (await store.get(key)).value ?? null,
    setItem: put,
    setItemRaw: put,
    removeItem: async key => void (await deleteEntry(store, key)),
    getKeys: async base => {
      const keys: string[] = [];
      for await (const { key } of entriesOf(store, base)) keys.push(key);
      return keys;
    },
    clear: base => clearEntries(store, base),
  };
}

/** What was stored raw and is asked for as text: bytes as UTF-8, anything else as JSON, which unstorage reads back. */
function asText(value: unknown): string | null {
  if (value === undefined || value === null) return null;
  if (typeof value === 'string') return value;
  return value instanceof Uint8Array ? new TextDecoder().decode(value) : JSON.stringify(value);
}
