// Bytes an idle actor costs: a process of its own makes n of them with one library, collects garbage before and after,
// and prints the difference. Run as: node --expose-gc idle-child.ts <nact | xstate | troupe> <n>

import type { LocalSide } from './side.ts';

const sides: Record<string, () => Promise<LocalSide>> = {
  nact: async () => (await import('./nact.ts')).nactSide(),
  xstate: async () => (await import('./xstate.ts')).xstateSide(),
  troupe: async () => (await import('./ours.ts')).troupeSide(),
};

const [library = '', count = ''] = process.argv.slice(2);
const side = await sides[library]?.();
if (side === undefined) throw new Error(`no side named ${library}`);

await side.setup?.();
await side.idle(100); // whatever is made once, is made now
const before = await settledBytes();
const { done, keep } = await side.idle(Number(count));
const bytes = ((await settledBytes()) - before) / Number(count);
process.stdout.write(JSON.stringify({ done, bytes, kept: keep !== undefined }));
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
