// Ports for processes that must know of each other before they are there.

import { once } from 'node:events';
import { createServer } from 'node:net';

/** Ports of 127.0.0.1 that are free now. Another process may take one before we do; then the node that wants it says so. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map(server => once(server, 'listening')));
  const ports = servers.map(server => (server.address() as { port: number }).port);
  await Promise.all(servers.map(server => once(server.close(), 'close')));
  return ports;
}
