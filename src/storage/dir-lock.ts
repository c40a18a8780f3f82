// A data directory belongs to one process at a time. Two would each believe that they alone hand out epochs.
//
// The lock is a thing the kernel takes back when its holder dies, however it dies: there is nothing to clean up, and
// nothing stale to be fooled by.
//   Linux           a unix socket with an abstract name, made of the directory's device and inode. It has no file.
//   macOS, Windows  a file opened with an exclusive lock (O_EXLOCK), which ends with the descriptor.
// On Linux the name lives in the network namespace: two containers that share a volume but no network do not see each
// other's lock. Their orchestrator must not start both.
//
// Invariant: between acquireDirLock and release, or the death of the process, no other acquireDirLock succeeds for the
// directory, by whatever path it is named.

import { createHash } from 'node:crypto';
import { constants, mkdir, open, stat } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join, resolve } from 'node:path';
import { TroupeError } from '../errors.ts';

export interface DirLock {
  release(): Promise<void>;
}

/** libuv's names for an exclusive lock at open(): its own on Windows, the system's on macOS and the BSDs. */
const exclusive: Partial<Record<NodeJS.Platform, number>> = {
  win32: 0x10000000,
  darwin: 0x20,
  freebsd: 0x20,
  openbsd: 0x20,
};

/** Makes the directory if need be. Throws BAD_OPTION while another process, or another node of this one, has it. */
export async function acquireDirLock(dir: string): Promise<DirLock> {
  await mkdir(dir, { recursive: true });
  return process.platform === 'linux' ? lockBySocket(dir) : lockByFile(dir);
}

async function lockBySocket(dir: string): Promise<DirLock> {
  const { dev, ino } = await stat(dir, { bigint: true });
  const identity = createHash('sha256').update(`${dev}:${ino}`).digest('hex').slice(0, 32);
  // Padded to the full length of an address, so that it does not matter whether the runtime pads short ones or not.
  const name = `\0troupe-${identity}`.padEnd(108, '\0');
  const server = createServer(socket => socket.destroy());
  try {
    await listen(server, name);
  } catch (cause) {
    throw (cause as NodeJS.ErrnoException).code === 'EADDRINUSE' ? taken(dir, cause) : cause;
  }
  server.unref();
  return { release: () => new Promise((done, fail) => server.close(error => (error ? fail(error) : done()))) };
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((done, fail) => {
    server.once('error', fail);
    // exclusive: a worker of node:cluster would otherwise share the socket of its siblings.
    server.listen({ path, exclusive: true }, () => {
      server.off('error', fail);
      done();
    });
  });
}

async function lockByFile(dir: string): Promise<DirLock> {
  const lock = exclusive[process.platform];
  if (lock === undefined) {
    throw new TroupeError('BAD_OPTION', `A data directory cannot be locked on ${process.platform}: leave dataDir out.`);
  }
  // O_RDWR | O_CREAT | O_NONBLOCK, as the system spells them; without the last, open() would wait for the holder.
  const flags = constants.O_RDWR | constants.O_CREAT | (constants.O_NONBLOCK ?? 0) | lock;
  try {
    const file = await open(join(dir, 'troupe.lock'), flags);
    return { release: () => file.close() };
  } catch (cause) {
    const busy = ['EAGAIN', 'EWOULDBLOCK', 'EBUSY'].includes((cause as NodeJS.ErrnoException).code ?? '');
    throw busy ? taken(dir, cause) : cause;
  }
}

function taken(dir: string, cause: unknown): TroupeError {
  return new TroupeError(
    'BAD_OPTION',
    `The data directory ${resolve(dir)} is in use by another node. Stop that one, or give this one a directory of its own.`,
    { details: { dir: resolve(dir) }, cause },
  );
}
