// A data directory, opened as a node that is alone, for as long as a command takes. Of a node among others that is refused: what is
// theirs would look empty, or have two owners. What the node says of it ('listen' is missing) helps nobody on a command line.

import { type Node, startNode, TroupeError } from '../index.ts';
import { kindOf } from '../storage/backup/restore-store.ts';

/** What is refused for a directory that belongs to others, too. */
const ofOthers: ReadonlySet<unknown> = new Set(['listen', 'replicas']);

/** `instead`: what to do where that cannot be. */
export async function openAlone(dataDir: string, instead: string): Promise<Node> {
  try {
    return await startNode({ dataDir, threads: 0, engine: kindOf(dataDir) });
  } catch (error) {
    if (!(error instanceof TroupeError && error.code === 'BAD_OPTION' && ofOthers.has(error.details.option)))
      throw error;
    const { cluster } = error.details;
    const whose = cluster === undefined ? 'several nodes' : `several nodes, of cluster '${String(cluster)}'`;
    throw new TroupeError(
      'BAD_OPTION',
      `${dataDir} is the directory of one of ${whose}, and this command opens a directory alone; ${instead}`,
      { cause: error, details: error.details },
    );
  }
}
