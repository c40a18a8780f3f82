// Ports for processes that must know of each other before they are there.

import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';

/**
 * Below what Linux (32768 on) and macOS (49152 on) give to sockets that connect: else a connection of any process may take a
 * port between now and the moment its node listens there, or while that node is away.
 */
const lowest = 20_000;
const highest = 32_000;
const maxTries = 1000;

/** Ports of 127.0.0.1 that are free now. Another process may listen on one before we do; then the node that wants it says so. */
export async function freePorts(count: number): Promise<number[]> {
  const found = new Map<number, Server>();
  try {
    for (let tries = 0; found.size < count; tries++) {
      if (tries === maxTries) throw new Error(`found ${found.size} of ${count} free ports in ${maxTries} tries`);
      const port = randomInt(lowest, highest);
      if (found.has(port)) continue;
      const server = createServer().listen(port, '127.0.0.1');
      // A port that is taken, or kept from us, is one try.
      if (await once(server, 'listening').catch(() => undefined)) found.set(port, server);
    }
  } finally {
    await Promise.all([...found.values()].map(server => once(server.close(), 'close')));
  }
  return [...found.keys()];
}
