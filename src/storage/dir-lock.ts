// A data directory belongs to one process at a time. Two would each believe that they alone hand out epochs.
//
// The lock is a thing the kernel takes back when its holder dies, however it dies: there is nothing to clean up, and
// nothing stale to be fooled by.
//   Linux           a unix socket with an abstract name, made of the directory's device and inode. It has no file.
//   macOS, Windows  a file opened with an exclusive lock (O_EXLOCK), which ends with the descriptor.
// An abstract name lives in the network namespace: two containers that share a volume but no network would not see each other's. So
// on Linux there is also a socket in the directory, `troupe.lock`, which is asked whether anybody listens: a file is left behind by a
// process that was killed, a listener is not.
//
//     bind a socket of our own name ─▶ link it to troupe.lock ──is there──▶ does it answer? ──yes──▶ taken
//                                              ▲                             └──no──▶ set it aside, look again that it is dead ─┐
//                                              └──────────────────────────────────────────────────────────────────────────────┘
// Two hosts that share a file system over a network do not see each other's listeners: their orchestrator must not start both.
//
// Invariant: between acquireDirLock and release, or the death of the process, no other acquireDirLock succeeds for the
// directory, by whatever path it is named.

import { createHash, randomUUID } from 'node:crypto';
import { constants, link, open, readdir, rename, stat, unlink } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { join, resolve } from 'node:path';
import { TroupeError } from '../errors.ts';
import { makeDir } from './make-dir-store.ts';

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
  await makeDir(dir);
  if (process.platform !== 'linux') return lockByFile(dir);
  const here = await lockBySocket(dir);
  try {
    const everywhere = await lockByListener(dir);
    return {
      release: async () => {
        await everywhere.release();
        await here.release();
      },
    };
  } catch (why) {
    await here.release();
    throw why;
  }
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

const lockName = 'troupe.lock';

async function lockByListener(dir: string): Promise<DirLock> {
  // The address of a socket has 108 bytes; a path through an open directory is short, however long its name is.
  const directory = await open(dir, constants.O_RDONLY | constants.O_DIRECTORY);
  const at = (name: string): string => `/proc/self/fd/${directory.fd}/${name}`;
  const own = `${lockName}.${randomUUID()}`;
  const server = createServer(socket => socket.destroy());
  const end = async (): Promise<void> => {
    await new Promise<void>(done => server.close(() => done()));
    await unlink(at(own)).catch(() => {});
    await directory.close();
  };
  try {
    await listen(server, at(own));
    server.unref();
    while (!(await linked(at(own), at(lockName)))) {
      if (await answers(at(lockName))) throw taken(dir, undefined);
      await setAside(at(lockName), at(`${own}.old`), dir);
    }
    // What killed processes have left. Nobody alive has one, but those who try just now and will be told that it is taken.
    for (const name of await readdir(dir))
      if (name.startsWith(`${lockName}.`) && name !== own && !(await answers(at(name))))
        await unlink(at(name)).catch(() => {});
  } catch (why) {
    await end();
    throw why;
  }
  return {
    release: async () => {
      await unlink(at(lockName)).catch(() => {});
      await end();
    },
  };
}

async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (why) {
    if ((why as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw why;
  }
}

function answers(path: string): Promise<boolean> {
  return new Promise(done => {
    const socket = connect(path, () => {
      socket.destroy();
      done(true);
    });
    socket.on('error', () => done(false));
  });
}

/** Takes a dead lock away. Somebody else may have done so since we asked, and what is there now be his: then he has it. */
async function setAside(path: string, aside: string, dir: string): Promise<void> {
  try {
    await rename(path, aside);
  } catch (why) {
    if ((why as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw why;
  }
  const alive = await answers(aside);
  if (alive) await linked(aside, path);
  await unlink(aside);
  if (alive) throw taken(dir, undefined);
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
