// A disk that loses power. Bytes are safe after fdatasync of their file, names after a sync of their directory; until then
// each sector of a write, and each name from some moment on, may be there or not.

import type { LogFiles } from '../../../src/storage/log/log-files-store.ts';

interface Write {
  readonly at: number;
  readonly bytes: Uint8Array;
}

interface Inode {
  now: Uint8Array;
  safe: Uint8Array;
  pending: Write[];
}

type NameChange = (names: Map<string, Inode>) => void;

const sectorBytes = 512;

export class SimDisk implements LogFiles {
  /** Calls that change or sync anything until the power goes; then every one throws. */
  callsLeft: number = Number.POSITIVE_INFINITY;
  calls = 0;
  /** Bytes all files may have together. */
  capacity: number = Number.POSITIVE_INFINITY;
  /** The next syncs of a file fail. */
  failSyncs = false;
  syncs = 0;
  #names = new Map<string, Inode>();
  #safeNames = new Map<string, Inode>();
  #pendingNames: NameChange[] = [];
  #fds = new Map<number, Inode>();
  #nextFd = 3;
  #held: (() => void)[] | undefined;

  /** Syncs of files stall until release(). */
  hold(): void {
    this.#held ??= [];
  }

  release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const go of held) go();
  }

  get openFiles(): number {
    return this.#fds.size;
  }

  /** What is on the disk when the power comes back. `chance` gives numbers from 0 to 1. */
  powerLoss(chance: () => number): void {
    const kept = Math.floor(chance() * (this.#pendingNames.length + 1));
    for (const change of this.#pendingNames.slice(0, kept)) change(this.#safeNames);
    this.#names = new Map(this.#safeNames);
    this.#pendingNames = [];
    for (const inode of new Set(this.#names.values())) {
      const share = [0, 0.5, 0.9, 1][Math.floor(chance() * 4)] as number;
      for (const { at, bytes } of inode.pending) {
        for (let from = at; from < at + bytes.length; ) {
          const to = Math.min(at + bytes.length, (Math.floor(from / sectorBytes) + 1) * sectorBytes);
          if (chance() < share) inode.safe = put(inode.safe, from, bytes.subarray(from - at, to - at));
          from = to;
        }
      }
      inode.pending = [];
      inode.now = inode.safe.slice();
    }
    this.#restart();
  }

  /** The process is killed: nothing is lost. */
  kill(): void {
    this.#restart();
  }

  #restart(): void {
    this.#fds.clear();
    this.#held = undefined;
    this.callsLeft = Number.POSITIVE_INFINITY;
  }

  /** The file as it is read, to be damaged. */
  contents(path: string): Uint8Array {
    return this.#inode(path).now;
  }

  /** Somebody takes a file away, and puts it back when the returned function is called. */
  takeAway(path: string): () => void {
    const [now, safe] = [this.#inode(path), this.#safeNames.get(path)];
    this.#names.delete(path);
    this.#safeNames.delete(path);
    return () => {
      this.#names.set(path, now);
      if (safe !== undefined) this.#safeNames.set(path, safe);
    };
  }

  /** A file that was there all along. */
  plant(path: string, bytes: Uint8Array): void {
    const inode = { now: bytes.slice(), safe: bytes.slice(), pending: [] };
    this.#names.set(path, inode);
    this.#safeNames.set(path, inode);
  }

  makeDir(): void {}

  list(dir: string): string[] {
    return [...this.#names.keys()].filter(path => path.startsWith(`${dir}/`)).map(path => path.slice(dir.length + 1));
  }

  size(path: string): number {
    return this.#inode(path).now.length;
  }

  read(path: string, bytesMax?: number): Uint8Array {
    return this.#inode(path).now.slice(0, bytesMax);
  }

  open(path: string, create: boolean): number {
    let inode = this.#names.get(path);
    if (!inode) {
      if (!create) throw errno('ENOENT');
      this.#call();
      inode = { now: new Uint8Array(0), safe: new Uint8Array(0), pending: [] };
      const made = inode;
      this.#change(names => names.set(path, made));
    }
    this.#fds.set(this.#nextFd, inode);
    return this.#nextFd++;
  }

  close(fd: number): void {
    if (!this.#fds.delete(fd)) throw errno('EBADF');
  }

  pwrite(fd: number, bytes: Uint8Array, at: number): void {
    this.#call();
    const inode = this.#fd(fd);
    const used = [...new Set(this.#names.values())].reduce((sum, { now }) => sum + now.length, 0);
    const room = inode.now.length + Math.max(0, this.capacity - used);
    const fits = bytes.slice(0, Math.max(0, room - at));
    inode.now = put(inode.now, at, fits);
    inode.pending.push({ at, bytes: fits });
    if (fits.length < bytes.length) throw errno('ENOSPC');
  }

  async pwriteLater(fd: number, bytes: Uint8Array, at: number): Promise<void> {
    this.pwrite(fd, bytes, at);
  }

  async fdatasync(fd: number): Promise<void> {
    this.#call();
    this.syncs++;
    const inode = this.#fd(fd);
    const count = inode.pending.length;
    if (this.#held) await new Promise<void>(resolve => this.#held?.push(resolve));
    else await Promise.resolve();
    this.#call();
    if (this.failSyncs) throw errno('EIO');
    // A sync by somebody else in the meantime may have taken some along.
    settle(inode, Math.min(count, inode.pending.length));
  }

  fdatasyncNow(fd: number): void {
    this.#call();
    if (this.failSyncs) throw errno('EIO');
    const inode = this.#fd(fd);
    settle(inode, inode.pending.length);
  }

  async syncDir(): Promise<void> {
    this.#call();
    const count = this.#pendingNames.length;
    await Promise.resolve();
    this.#call();
    for (const change of this.#pendingNames.splice(0, count)) change(this.#safeNames);
  }

  syncDirNow(): void {
    this.#call();
    for (const change of this.#pendingNames.splice(0)) change(this.#safeNames);
  }

  rename(from: string, to: string): void {
    this.#call();
    const inode = this.#inode(from);
    this.#change(names => {
      names.delete(from);
      names.set(to, inode);
    });
  }

  unlink(path: string): void {
    this.#call();
    this.#inode(path);
    this.#change(names => names.delete(path));
  }

  #change(change: NameChange): void {
    change(this.#names);
    this.#pendingNames.push(change);
  }

  #call(): void {
    if (this.callsLeft <= 0) throw errno('power lost');
    this.callsLeft--;
    this.calls++;
  }

  #inode(path: string): Inode {
    const inode = this.#names.get(path);
    if (!inode) throw errno('ENOENT');
    return inode;
  }

  #fd(fd: number): Inode {
    const inode = this.#fds.get(fd);
    if (!inode) throw errno('EBADF');
    return inode;
  }
}

function settle(inode: Inode, count: number): void {
  for (const { at, bytes } of inode.pending.splice(0, count)) inode.safe = put(inode.safe, at, bytes);
}

function put(into: Uint8Array, at: number, bytes: Uint8Array): Uint8Array {
  if (bytes.length === 0) return into;
  let target = into;
  if (target.length < at + bytes.length) {
    target = new Uint8Array(at + bytes.length);
    target.set(into);
  }
  target.set(bytes, at);
  return target;
}

function errno(code: string): Error {
  return Object.assign(new Error(code), { code });
}
