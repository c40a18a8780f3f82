// What adapters to plain key-value interfaces share. Such an interface knows one value a key and no contexts, so the store
// behind it must be one that resolves by last writer: in a store with siblings every set() would add a value beside the old.

import { type ScanItem, type Store, TroupeError } from '../index.ts';
import { clearingMax } from '../limits.ts';
import { show } from '../runtime/show.ts';

export interface Entry {
  readonly key: string;
  readonly value: unknown;
  readonly context: string;
}

/** Throws BAD_OPTION for a store that keeps siblings, and for what is no store. */
export function needOneValue(store: Store, door: string): void {
  if (typeof (store as Partial<Store> | null | undefined)?.options !== 'object')
    throw new TroupeError(
      'BAD_OPTION',
      `${door} needs a store, as 'await node.store(name)' gives one, not ${show(store)}`,
    );
  if (!store.options.siblings) return;
  throw new TroupeError(
    'BAD_OPTION',
    `${door} needs a store with one value a key; make '${store.name}' another store with { siblings: false }`,
    { details: { store: store.name } },
  );
}

/** Entries whose key is a string, in order. */
export async function* entriesOf(store: Store, prefix = ''): AsyncGenerator<Entry, void, undefined> {
  const items: AsyncIterable<ScanItem> = prefix === '' ? store.scan() : store.scan({ prefix });
  for await (const { key, values, context } of items) {
    if (typeof key === 'string') yield { key, value: values[0], context };
  }
}

/** Deletes what a scan meets, a few at a time. As everywhere in such a store, of a put and a delete at once the later one wins. */
export async function clearEntries(store: Store, prefix = ''): Promise<void> {
  let batch: Promise<unknown>[] = [];
  for await (const { key, context } of entriesOf(store, prefix)) {
    batch.push(store.delete(key, { context }));
    if (batch.length < clearingMax) continue;
    await Promise.all(batch);
    batch = [];
  }
  await Promise.all(batch);
}

/** Deletes a key if it has a value; says whether it had one. */
export async function deleteEntry(store: Store, key: string): Promise<boolean> {
  const { found, context } = await store.get(key);
  if (found) await store.delete(key, { context });
  return found;
}
