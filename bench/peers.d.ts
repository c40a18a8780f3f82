// The parts we use of peers that ship no types (better-sqlite3) or none that TypeScript finds (comlink's Node adapter).

declare module 'comlink/dist/esm/node-adapter.mjs' {
  import type { MessagePort, Worker } from 'node:worker_threads';
  import type { Endpoint } from 'comlink';
  export default function nodeEndpoint(port: Worker | MessagePort): Endpoint;
}

declare module 'better-sqlite3' {
  interface Statement {
    run(...parameters: readonly unknown[]): { readonly changes: number };
    get(...parameters: readonly unknown[]): unknown;
    iterate(...parameters: readonly unknown[]): Iterable<unknown>;
  }
  export default class Database {
    constructor(path: string);
    pragma(source: string): unknown;
    exec(sql: string): this;
    prepare(sql: string): Statement;
    close(): this;
  }
}
