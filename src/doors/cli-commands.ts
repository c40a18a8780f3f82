// What the commands of `troupe` do: open the directory, ask, print, close.
//
// Invariant: a command that only looks makes nothing: no directory, no store.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { StoresT, storesKey } from '../actors/stores-actor.ts';
import { type Node, type Store, TroupeError } from '../index.ts';
import { type NodeFileContent, readNodeFile } from '../storage/node-file.ts';
import { openAlone } from './cli-alone.ts';
import type { DataCommand } from './cli-arguments.ts';
import { jsonOf, keyText } from './cli-json.ts';

export interface Output {
  /** To stdout; resolves when it was taken. */
  out(chunk: string | Uint8Array): Promise<void>;
  /** A line to stderr: for people, beside the result. */
  note(text: string): void;
}

type Of<Name extends DataCommand['name']> = Extract<DataCommand, { readonly name: Name }>;

/** False when what was asked for is not there. Throws TroupeError. */
export async function runCommand(command: DataCommand, output: Output): Promise<boolean> {
  const { dataDir } = command;
  const mayMake = command.name === 'put' && command.create;
  if (!mayMake && !existsSync(join(dataDir, 'troupe.json'))) {
    const hint = command.name === 'put' ? '; --create makes one' : '';
    throw new TroupeError('BAD_OPTION', `${dataDir} is not a data directory of Troupe${hint}`);
  }
  await using node = await openAlone(dataDir, 'ask the node while it runs: node.store(), node.describe(), serveHttp');
  // Awaited here: a promise that is merely returned would still be open when the node is stopped.
  return await answer(node, command, output);
}

async function answer(node: Node, command: DataCommand, output: Output): Promise<boolean> {
  if (command.name === 'describe') return describe(node, command, output);
  const store = await openStore(node, command.store, command.name === 'put' && command.create);
  switch (command.name) {
    case 'get':
      return get(store, command, output);
    case 'put':
      return put(store, command, output);
    case 'del':
      return del(store, command, output);
    case 'scan':
      return scan(store, command, output);
  }
}

async function openStore(node: Node, name: string, mayMake: boolean): Promise<Store> {
  const names = (await node.ref(StoresT, storesKey).list()).map(([known]) => known);
  if (!mayMake && !names.includes(name)) {
    const there = names.length === 0 ? 'there are none' : `there are ${names.join(', ')}`;
    throw new TroupeError('BAD_OPTION', `no store '${name}' in this directory; ${there}`, {
      details: { stores: names },
    });
  }
  return node.store(name);
}

async function get(store: Store, { key, json }: Of<'get'>, { out, note }: Output): Promise<boolean> {
  const { found, value, values, context, tombstone } = await store.get(key);
  if (json) {
    await out(`${jsonOf({ found, value: value ?? null, values, context, tombstone })}\n`);
    return found;
  }
  if (!found) {
    note(`${keyText(key)} has no value in '${store.name}'`);
    return false;
  }
  if (values.length > 1) note(`${values.length} concurrent values; this is the newest, --json shows all`);
  if (value instanceof Uint8Array) await out(value);
  else await out(`${typeof value === 'string' ? value : jsonOf(value)}\n`);
  return true;
}

async function put(store: Store, command: Of<'put'>, { out }: Output): Promise<boolean> {
  const { key, value, ttlMs, flushed, json } = command;
  // With the context of what is there it replaces that; without, it would stand beside it.
  const { context } = await store.get(key);
  const result = await store.put(key, value, { context, ack: flushed ? 'flushed' : 'committed', ttlMs });
  if (json) await out(`${jsonOf(result)}\n`);
  return true;
}

async function del(store: Store, { key, flushed, json }: Of<'del'>, { out }: Output): Promise<boolean> {
  const { found, context } = await store.get(key);
  if (found) await store.delete(key, { context, ack: flushed ? 'flushed' : 'committed' });
  if (json) await out(`${jsonOf({ deleted: found })}\n`);
  return true;
}

async function scan(store: Store, { prefix, limit, json }: Of<'scan'>, { out }: Output): Promise<boolean> {
  for await (const { key, values, context } of store.scan({ prefix, limit })) {
    if (json) await out(`${jsonOf({ key, values, context })}\n`);
    else await out(`${keyText(key)}\t${values.map(jsonOf).join('\t')}\n`);
  }
  return true;
}

async function describe(node: Node, { dataDir, count, json }: Of<'describe'>, { out }: Output): Promise<boolean> {
  const file = (await readNodeFile(dataDir)) as NodeFileContent;
  const stores = [];
  for (const [name, options] of await node.ref(StoresT, storesKey).list()) {
    const keys = count ? (await (await node.store(name)).digest()).reduce((sum, row) => sum + row.keys, 0) : undefined;
    stores.push({ name, ...(keys === undefined ? {} : { keys }), ...options });
  }
  if (json) {
    await out(`${jsonOf({ ...file, stores })}\n`);
    return true;
  }
  const made = new Date(file.createdAt).toISOString();
  await out(`node ${file.name}, made ${made}, started ${file.bootCount} times, ${file.partitions} partitions\n`);
  if (stores.length === 0) await out('no stores\n');
  for (const { name, keys, ...options } of stores) {
    const shown = Object.entries(options).map(([option, value]) => `${option} ${value}`);
    await out(`store ${name}: ${keys === undefined ? '' : `${keys} keys, `}${shown.join(', ')}\n`);
  }
  return true;
}
