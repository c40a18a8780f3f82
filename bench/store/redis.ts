// Redis over loopback through ioredis, with a server of our own: started on a free port in a folder of its own, killed at
// the end. Without redis-server on the PATH (Debian: apt-get install redis-server) the row says so.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { Redis } from 'ioredis';
import { freePorts } from '../../src/doors/tour/free-ports.ts';
import { Unavailable } from '../harness.ts';
import type { StoreSide } from './side.ts';

export function redisSide(appendfsync: 'always' | 'everysec'): StoreSide {
  let server: ChildProcess | undefined;
  let client: Redis | undefined;
  const kill = (): void => void server?.kill('SIGKILL');

  return {
    async open(folder) {
      const [port] = (await freePorts(1)) as [number];
      server = spawn('redis-server', options({ port, folder, appendfsync }), { stdio: 'ignore' });
      process.once('exit', kill);
      await Promise.race([once(server, 'spawn'), once(server, 'error').then(([error]) => Promise.reject(error))]).catch(
        (thrown: NodeJS.ErrnoException) => {
          server = undefined;
          if (thrown.code === 'ENOENT') throw new Unavailable('redis-server is not on the PATH');
          throw thrown;
        },
      );
      client = new Redis({ port, host: '127.0.0.1', retryStrategy: tries => (tries < 100 ? 50 : null) });
      client.on('error', () => {}); // refused until the server listens; commands wait for that
      await client.ping();
    },
    put: (key, value) => client?.set(key, value),
    pid: () => server?.pid,
    async settle() {
      // A child of the server writes the log anew when it has doubled.
      while (/^aof_rewrite_in_progress:1/m.test((await client?.info('persistence')) ?? ''))
        await new Promise(resolve => setTimeout(resolve, 20));
    },
    get: async key => (await client?.getBuffer(key)) ?? undefined,
    async close() {
      client?.disconnect();
      process.off('exit', kill);
      if (server === undefined || server.exitCode !== null) return;
      const ended = once(server, 'exit');
      kill();
      await ended;
    },
  };
}

function options({ port, folder, appendfsync }: { port: number; folder: string; appendfsync: string }): string[] {
  const settings = { port, bind: '127.0.0.1', dir: folder, save: '', appendonly: 'yes', appendfsync, daemonize: 'no' };
  return Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]);
}
