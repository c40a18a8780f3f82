// A process with a node in it, made to be killed: it serves load on everything that is kept, and says each acknowledgement
// the moment it has it. Lines of JSON both ways; what it says is written at once, so a kill cannot take it back.
//
//     in    { do: 'look' }                     what is there now, of every target
//           { do: 'load', from: { name: n } }  work on every target, beginning with operation n
//           { do: 'stop' }                     an orderly end
//     out   { ready } { seen } { acked: [name, n, epoch] } { broke } { stopped }

import { writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { startNode } from '../../src/index.ts';
import { AlarmT, JournalT, LedgerT } from './kept-actors.ts';
import { isMerge, isPut, type Seen, type Target, targets } from './kill-oracle.ts';

const [dir = '', threads = '2'] = process.argv.slice(2);

/** Said when it returns. The pipe does not block, so when it is full we wait for the parent to read. */
function say(what: object): void {
  const line = Buffer.from(`${JSON.stringify(what)}\n`);
  const lock = new Int32Array(new SharedArrayBuffer(4));
  for (let at = 0; at < line.length; ) {
    try {
      at += writeSync(1, line, at);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      Atomics.wait(lock, 0, 0, 1);
    }
  }
}

process.on('uncaughtException', error => {
  say({ broke: `uncaught: ${error.stack}` });
  process.exit(7);
});

const node = await startNode({ dataDir: dir, threads: Number(threads), actors: [LedgerT, JournalT, AlarmT] });
const store = await node.store('kept');
say({ ready: process.pid });

async function look(target: Target): Promise<Seen> {
  const { kind, name } = target;
  switch (kind) {
    case 'ledger':
    case 'journal': {
      const [last, count, epoch] = await (kind === 'ledger'
        ? node.ref(LedgerT, name)
        : node.ref(JournalT, name)
      ).read();
      return { kind, last, count, epoch };
    }
    case 'alarm': {
      const [came, epoch] = await node.ref(AlarmT, name).came();
      return { kind, came, epoch };
    }
    case 'chain':
    case 'blind': {
      const { values, tombstone } = await store.get(name);
      const { preference } = await store.inspect(name);
      const dots = preference.flatMap(({ siblings }) =>
        siblings.map(({ dot, value }) => [dot, JSON.stringify(value ?? null)]),
      );
      return { kind, values: values as number[], tombstone, dots: dots as [string, string][] };
    }
  }
}

/** One operation; resolves with the epoch it was done under, 0 where there is none to be known. */
async function operation({ kind, name }: Target, n: number, context: { token: string | undefined }): Promise<number> {
  switch (kind) {
    case 'ledger':
      return (await node.ref(LedgerT, name).note(n))[1];
    case 'journal':
      return (await node.ref(JournalT, name).note(n))[1];
    case 'alarm':
      // Every other one comes due while the process is alive or dead, as it happens; the rest are for another day.
      return node.ref(AlarmT, name).set(`${n}`, n % 2 === 0 ? 150 : 86_400_000);
    case 'chain': {
      const ack = n % 4 === 0 ? 'flushed' : 'committed';
      const options = { ack, ...(context.token === undefined ? {} : { context: context.token }) } as const;
      const done = isPut(n) ? await store.put(name, n, options) : await store.delete(name, options);
      context.token = done.context;
      return 0;
    }
    case 'blind': {
      if (isMerge(n)) await store.put(name, n, { context: (await store.get(name)).context });
      else await store.put(name, n);
      return 0;
    }
  }
}

async function work(target: Target, from: number): Promise<void> {
  let next = from;
  const context = { token: target.kind === 'chain' ? (await store.get(target.name)).context : undefined };
  const worker = async (): Promise<void> => {
    for (;;) {
      const n = next++;
      const epoch = await operation(target, n, context);
      say({ acked: [target.name, n, epoch] });
      if (target.kind === 'alarm') await new Promise(resolve => setTimeout(resolve, 20));
    }
  };
  await Promise.all(Array.from({ length: target.width }, worker));
}

const commands: Record<string, (command: { from?: Record<string, number> }) => Promise<void>> = {
  look: async () => {
    const seen = await Promise.all(targets.map(async target => [target.name, await look(target)] as const));
    say({ seen: Object.fromEntries(seen) });
  },
  load: async ({ from = {} }) => {
    await Promise.all(targets.map(target => work(target, from[target.name] ?? 1)));
  },
  stop: async () => {
    await node.stop();
    say({ stopped: true });
    process.exit(0);
  },
};

for await (const line of createInterface(process.stdin)) {
  const command = JSON.parse(line) as { do: string; from?: Record<string, number> };
  commands[command.do]?.(command).catch(error => say({ broke: `${command.do}: ${error.code} ${error.stack}` }));
}
