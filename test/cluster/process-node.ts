// Nodes in processes of their own, as a test holds them: started, asked, killed, stopped, continued, started again in the same
// directory and on the same port.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '../../src/doors/tour/free-ports.ts';
import { Member } from '../../src/doors/tour/member.ts';
import type { NodeOptions } from '../../src/index.ts';
import type { NodeCommands } from './process-child.ts';

export class ProcessNode extends Member<NodeCommands> {
  /** It has been stopped once: what it answers late may be late for that. */
  hasStood = false;

  override signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    this.hasStood = true;
    super.signal(name);
  }
}

/** How `from` reaches `to` whose port is given. Undefined: as `to` says itself. */
export type Way = (from: string, to: string, port: number) => Promise<string | undefined>;

export class Processes implements AsyncDisposable {
  readonly dir: string = mkdtempSync(join(tmpdir(), 'troupe-processes-'));
  readonly nodes = new Map<string, ProcessNode>();

  /** Nodes that found a ring together; resolves when all of them have it. `late`: those that are not started with the others. */
  async start(
    names: readonly string[],
    way: Way = async () => undefined,
    more: Partial<NodeOptions> = {},
    late: readonly string[] = [],
  ): Promise<void> {
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
      const dataDir = join(this.dir, name);
      const options = { name, listen: `127.0.0.1:${ports[at]}`, dataDir, join: seeds, peerVia, ...more };
      this.nodes.set(name, new ProcessNode(name, join(import.meta.dirname, 'process-child.ts'), options));
    }
    const nodes = [...this.nodes.values()].filter(({ name }) => !late.includes(name));
    await Promise.all(nodes.map(node => node.start()));
    await Promise.all(nodes.map(node => node.ask('ready')));
    await Promise.all(nodes.map(node => node.ask('open')));
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
