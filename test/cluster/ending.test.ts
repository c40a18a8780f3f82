// What is left of nodes that have stopped.

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

/** Last words are remembered for a minute. */
const patienceMs = 15_000;

it('no timer keeps a process whose nodes have stopped just after a partition changed hands', async () => {
  const child = join(import.meta.dirname, 'ending-child.ts');
  const { stdout } = await promisify(execFile)(process.execPath, [child], { timeout: patienceMs });
  expect(stdout).toBe('stopped\n');
});
