// Nodes in processes of their own, as a test holds them: started, asked, killed, stopped, continued, started again in the same
// directory and on the same port.

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NodeOptions } from '../../src/index.ts';
import type { Commands } from './process-child.ts';

/** What a request ends with when its process dies before it has answered: nobody knows what was done. */
export class Died extends Error {
  readonly code = 'DIED';
  readonly outcome = 'unknown';
}
/** What a node has answered that was not ok. */
export class Refused extends Error {
  readonly code: string;
  readonly outcome: string;
  constructor({ code, outcome, message }: { code: string; outcome: string; message: string }) {
    super(message);
    this.code = code;
    this.outcome = outcome;
  }
}

type Answer<C extends keyof Commands> = Awaited<ReturnType<Commands[C]>>;

export class ProcessNode {
  readonly name: string;
  readonly port: number;
  readonly #options: NodeOptions;
  #child: ChildProcess | undefined;
  #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #next = 0;
  /** It has been stopped once: what it answers late may be late for that. */
  hasStood = false;

  constructor(name: string, port: number, options: NodeOptions) {
    this.name = name;
    this.port = port;
    this.#options = { ...options, name, listen: `127.0.0.1:${port}` };
  }

  get lives(): boolean {
    return this.#child !== undefined;
  }

  /** Resolves when it listens. */
  async start(): Promise<void> {
    const file = join(import.meta.dirname, 'process-child.ts');
    const child = fork(file, [JSON.stringify(this.#options)], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      execArgv: [],
    });
    this.#child = child;
    const waiting = new Map<number, PromiseWithResolvers<unknown>>([[0, Promise.withResolvers()]]);
    this.#waiting = waiting;
    let errors = '';
    child.stderr?.setEncoding('utf8').on('data', text => {
      errors = (errors + text).slice(-2_000);
    });
    child.on('message', ([id, how, value]: [number, 'ok' | 'error', any]) => {
      const { resolve, reject } = waiting.get(id) as PromiseWithResolvers<unknown>;
      waiting.delete(id);
      if (how === 'ok') resolve(value);
      else reject(new Refused(value));
    });
    // 'close' comes when everything it has said has been read.
    child.on('close', (code, signal) => {
      if (this.#child === child) this.#child = undefined;
      for (const { reject } of waiting.values())
        reject(new Died(`the process of ${this.name} has ended (${signal ?? code}) ${errors}`));
      waiting.clear();
    });
    await waiting.get(0)?.promise;
  }

  /** Rejects with Refused, or Died. */
  ask<C extends keyof Commands>(command: C, ...args: Parameters<Commands[C]>): Promise<Answer<C>> {
    const child = this.#child;
    if (child === undefined || !child.connected) return Promise.reject(new Died(`${this.name} is not running`));
    const id = ++this.#next;
    const asked = Promise.withResolvers<unknown>();
    this.#waiting.set(id, asked);
    child.send([id, command, ...args], error => {
      if (error !== null && this.#waiting.delete(id)) asked.reject(new Died(`${this.name}: ${error.message}`));
    });
    return asked.promise as Promise<Answer<C>>;
  }

  signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    this.hasStood ||= name === 'SIGSTOP';
    this.#child?.kill(name);
  }

  /** SIGKILL, also of a process that is stopped. Resolves when it is no more. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    const closed = once(child, 'close');
    child.kill('SIGKILL');
    await closed;
  }
}

/** Ports that are free now. Another process may take one before we do; then the node says so. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, '127.0.0.1');
      await once(server, 'listening');
      return server;
    }),
  );
  const ports = servers.map(server => (server.address() as { port: number }).port);
  await Promise.all(servers.map(server => once(server.close(), 'close')));
  return ports;
}

/** How `from` reaches `to` whose port is given. Undefined: as `to` says itself. */
export type Way = (from: string, to: string, port: number) => Promise<string | undefined>;

export class Processes implements AsyncDisposable {
  readonly dir: string = mkdtempSync(join(tmpdir(), 'troupe-processes-'));
  readonly nodes = new Map<string, ProcessNode>();

  /** Nodes that found a ring together; resolves when all of them have it. */
  async start(names: readonly string[], way: Way = async () => undefined): Promise<void> {
    const ports = await freePorts(names.length);
    for (const [at, name] of names.entries()) {
      const peerVia: Record<string, string> = {};
      const seeds: string[] = [];
      for (const [other, port] of ports.entries()) {
        if (other === at) continue;
        const to = names[other] as string;
        const via = await way(name, to, port);
        if (via !== undefined) peerVia[to] = via;
        seeds.push(via ?? `127.0.0.1:${port}`);
      }
      const options = { dataDir: join(this.dir, name), join: seeds, peerVia };
      this.nodes.set(name, new ProcessNode(name, ports[at] as number, options));
    }
    await Promise.all([...this.nodes.values()].map(node => node.start()));
    await Promise.all([...this.nodes.values()].map(node => node.ask('ready')));
  }

  node(name: string): ProcessNode {
    return this.nodes.get(name) as ProcessNode;
  }

  /** So many units of a type whose home is that node. */
  async unitsOf(home: string, type: 'book' | 'diary', count: number): Promise<string[]> {
    const found: string[] = [];
    for (let i = 0; found.length < count; i++)
      if ((await this.node(home).ask('owner', `k${i}`)) === home) found.push(`${type}/k${i}`);
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.nodes.values()].map(node => node.kill()));
    rmSync(this.dir, { recursive: true, force: true });
  }
}
