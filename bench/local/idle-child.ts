// Bytes an idle actor costs: a process of its own makes n of them with one library, collects garbage before and after,
// and prints the difference. Run as: node --expose-gc idle-child.ts <nact | xstate | troupe | spawned | objects> <n>

import type { Idle, LocalSide } from './side.ts';

type Make = (n: number) => Promise<Idle> | Idle;

const actors = async (side: LocalSide): Promise<Make> => {
  await side.setup?.();
  return n => side.idle(n);
};

const kinds: Record<string, () => Promise<Make>> = {
  nact: async () => actors((await import('./nact.ts')).nactSide()),
  xstate: async () => actors((await import('./xstate.ts')).xstateSide()),
  troupe: async () => actors((await import('./ours.ts')).troupeSide()),
  spawned: async () => {
    const side = (await import('./ours.ts')).troupeSide();
    await side.setup?.();
    return n => side.idleSpawned?.(n) as Promise<Idle>;
  },
  /** The least that could be called an actor: an object with a state, found by its name. */
  objects: async () => n => {
    const keep = new Map<string, Plain>();
    for (let i = 0; i < n; i++) keep.set(`${n}-${i}`, new Plain());
    let done = 0;
    for (const object of keep.values()) if (++object.state.touched === 1) done++;
    return { done, keep };
  },
};

class Plain {
  readonly state = { touched: 0 };
}

const [kind = '', count = ''] = process.argv.slice(2);
const make = await kinds[kind]?.();
if (make === undefined) throw new Error(`nothing is named ${kind}`);

await make(100); // whatever is made once, is made now
const before = await settledBytes();
const began = performance.now();
const { done, keep } = await make(Number(count));
const us = ((performance.now() - began) * 1_000) / Number(count);
const bytes = ((await settledBytes()) - before) / Number(count);
process.stdout.write(JSON.stringify({ done, bytes, us, kept: keep !== undefined }));
process.exit(0);

async function settledBytes(): Promise<number> {
  // Twice, with the event loop in between: what finalizers and setImmediate held is only then free.
  for (let i = 0; i < 2; i++) {
    globalThis.gc?.();
    await new Promise(resolve => setTimeout(resolve, 20));
  }
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
