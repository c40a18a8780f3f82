// The troupe engine passes the suite of all engines: as it comes, with segments so small that everything is flushed and merged while
// the suite runs, and as one half of the engine a node has.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Engine } from '../../src/storage/engine.ts';
import { openEngine } from '../../src/storage/open-engine.ts';
import { TroupeStore } from '../../src/storage/troupe-store.ts';
import { engineConformance } from './conformance.ts';

const conform = (name: string, make: (dir: string) => Engine) =>
  engineConformance(name, async () => {
    const dir = mkdtempSync(join(tmpdir(), 'troupe-log-'));
    const open = async () => {
      const engine = make(dir);
      await engine.ready?.();
      return engine;
    };
    let engine = await open();
    return {
      engine,
      reopen: async () => {
        await engine.close();
        engine = await open();
        return engine;
      },
      end: async () => {
        await engine.close();
        rmSync(dir, { recursive: true });
      },
    };
  });

conform('troupe', dir => new TroupeStore({ dir }));
conform('troupe, with small segments', dir => new TroupeStore({ dir, segmentBytes: 4 << 20 }));
conform('troupe, of a node', dir => openEngine({ kind: 'troupe', dir }));
