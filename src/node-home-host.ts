// The data directory of a node while it runs: made, locked, and the file that says who the node is. An edge.

import { TroupeError } from './errors.ts';
import { acquireDirLock, type DirLock } from './storage/dir-lock.ts';
import { makeDir } from './storage/make-dir-store.ts';
import { type NodeFile, openNodeFile } from './storage/node-file.ts';

/** What a file system says no with, for which it is the directory that has to change. */
const unusable: ReadonlySet<string | undefined> = new Set(
  'EACCES EPERM EROFS ENOTDIR EEXIST EISDIR ENOENT ELOOP ENAMETOOLONG'.split(' '),
);

/** An error of the file system, as what can be done about it. */
export function aboutDir(dir: string | undefined, error: unknown): unknown {
  const { code, message } = error as NodeJS.ErrnoException;
  if (error instanceof TroupeError || dir === undefined) return error;
  const details = { option: 'dataDir', errno: code };
  if (code === 'ENOSPC') return new TroupeError('DISK_FULL', `dataDir ${dir}: ${message}`, { cause: error, details });
  if (!unusable.has(code)) return error;
  return new TroupeError(
    'BAD_OPTION',
    `dataDir ${dir} cannot be used (${message}); let this process write there, or name another directory`,
    { cause: error, details },
  );
}

export interface Home {
  readonly lock: DirLock;
  readonly file: NodeFile;
  /** The directory may be another process's, or another life's, when it resolves. */
  close(): Promise<void>;
}

export async function openHome(
  dir: string,
  options: { readonly name: string | undefined; readonly partitions: number | undefined },
): Promise<Home> {
  await makeDir(dir);
  const lock = await acquireDirLock(dir);
  try {
    const file = await openNodeFile(dir, { name: options.name, partitions: options.partitions });
    const close = async (): Promise<void> => {
      await file.close();
      await lock.release();
    };
    return { lock, file, close };
  } catch (error) {
    await lock.release();
    throw error;
  }
}
