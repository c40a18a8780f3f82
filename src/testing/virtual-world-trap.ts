// While a simulation runs, nobody may ask the real world for time or chance: a run that did would not repeat. This puts a guard
// before each of the doors; who is on the stack decides.
//
//     Date.now, timers, Math.random, crypto ... ──▶ asked by a line of ours, or by a package for one? ──▶ told, and thrown
//                                                       └──no──▶ as always: a test runner has its own timers
//
// The kernel itself needs one real thing, setImmediate, and took it before the guards stood (virtual-world.ts).

import crypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import { fileURLToPath } from 'node:url';

type Door = readonly [holder: object, name: string, shown: string];

const doors: readonly Door[] = [
  [Date, 'now', 'Date.now'],
  [performance, 'now', 'performance.now'],
  [Math, 'random', 'Math.random'],
  [globalThis, 'setTimeout', 'setTimeout'],
  [globalThis, 'setInterval', 'setInterval'],
  [globalThis, 'setImmediate', 'setImmediate'],
  [process, 'hrtime', 'process.hrtime'],
  [globalThis.crypto, 'getRandomValues', 'crypto.getRandomValues'],
  [globalThis.crypto, 'randomUUID', 'crypto.randomUUID'],
  ...['randomBytes', 'randomFill', 'randomFillSync', 'randomInt', 'randomUUID'].map(
    name => [crypto, name, `crypto.${name}`] as const,
  ),
];

const own = fileURLToPath(import.meta.url);
const root = fileURLToPath(new URL('../', import.meta.url));
const framesMax = 60;

/** Guards the doors until the answer is called. `onUse` is told what was asked for, and by which line. */
export function guardRealWorld(onUse: (what: string) => void): () => void {
  const before = doors.map(([holder, name]) => Object.getOwnPropertyDescriptor(holder, name));
  for (const [holder, name, shown] of doors) {
    const real = (holder as Record<string, unknown>)[name] as (...args: unknown[]) => unknown;
    const guarded = function (this: unknown, ...args: unknown[]): unknown {
      const who = whoAsks();
      if (who === undefined) return Reflect.apply(real, this, args);
      const what = `${shown} was asked behind the simulator's back by ${who}`;
      onUse(what);
      throw new Error(what);
    };
    Object.defineProperty(holder, name, {
      value: Object.assign(guarded, real),
      configurable: true,
      writable: true,
      enumerable: true,
    });
  }
  syncBuiltinESMExports();
  return () => {
    for (const [index, [holder, name]] of doors.entries()) {
      const descriptor = before[index];
      // A method that was inherited is inherited again.
      if (descriptor === undefined) Reflect.deleteProperty(holder, name);
      else Object.defineProperty(holder, name, descriptor);
    }
    syncBuiltinESMExports();
  };
}

/** The nearest line that is not of a package or of Node, if it is one of our sources. */
function whoAsks(): string | undefined {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = framesMax;
  const { stack = '' } = new Error();
  Error.stackTraceLimit = limit;
  for (const line of stack.split('\n')) {
    if (line.includes(own) || !line.includes('/') || /node_modules|node:/.test(line)) continue;
    const at = line.indexOf(root);
    return at < 0 ? undefined : line.slice(at + root.length).replace(/\)$/, '');
  }
  return undefined;
}
