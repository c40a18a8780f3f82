// Random messages of every mode, and a gate opened in random order: turns start in the order of sending, overlap only as
// their modes allow, and everybody is answered. Against the plainest model there is: the list of what is open.

import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { type Ref, tell } from '../../../src/runtime/refs.ts';
import { Gate, GateT } from './gate.ts';
import { plainHost } from './plain-host.ts';
import { type Recorder, RecorderT, SimpleT } from './recorder.ts';

const methods = ['mark', 'step', 'look', 'peek', 'glance'] as const;
type Method = (typeof methods)[number];
const modeOf: Record<Method, 'exclusive' | 'read' | 'interleave'> = {
  mark: 'exclusive',
  step: 'exclusive',
  look: 'read',
  peek: 'interleave',
  glance: 'interleave',
};

/** Send a message (as an ask or a tell), let the event loop turn, or open the gate for one of those that wait. */
const action = fc.oneof(
  { weight: 6, arbitrary: fc.record({ send: fc.constantFrom(...methods), ask: fc.boolean() }) },
  { weight: 2, arbitrary: fc.constant('turn' as const) },
  { weight: 4, arbitrary: fc.record({ open: fc.nat(20) }) },
);

afterEach(() => Gate.away());

/** Plays a log of `name(`, `)name` and `name` against the rules; says what is wrong. */
function judge(log: readonly string[], sent: readonly Method[], simple: boolean): string | undefined {
  const open = new Map<string, string>();
  const begun: number[] = [];
  for (const entry of log) {
    const name = entry.replace(/[()]/g, '');
    if (entry.startsWith(')')) {
      open.delete(name);
      continue;
    }
    const mode = simple ? 'exclusive' : modeOf[sent[Number(name)] as Method];
    const others = [...open.values()].filter(each => each !== 'interleave');
    if (mode === 'exclusive' && others.length > 0) return `${name} is exclusive and began beside ${[...open.keys()]}`;
    if (mode === 'read' && others.includes('exclusive')) return `${name} reads and began beside ${[...open.keys()]}`;
    begun.push(Number(name));
    if (entry.endsWith('(')) open.set(name, mode);
  }
  if (open.size > 0) return `${[...open.keys()]} never ended`;
  const inOrder = begun.every((each, n) => each === n);
  return inOrder && begun.length === sent.length ? undefined : `began ${begun}, sent ${sent.length}`;
}

describe.each([
  [RecorderT, false],
  [SimpleT, true],
])('turns of %o', (type, simple) => {
  it('begin in order, overlap as they may, and all end', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 60, size: 'max' }), async actions => {
        Gate.shut();
        const { ref, state, settle, host } = plainHost([RecorderT, SimpleT, GateT]);
        const a: Ref<Recorder> = ref(type, 'a');
        await settle();
        const sent: Method[] = [];
        const asks: Promise<unknown>[] = [];
        const waiting = (): string[] => [...Gate.names()];
        for (const each of actions) {
          if (each === 'turn') await settle();
          else if ('open' in each) {
            const names = waiting();
            if (names.length > 0) Gate.open(names[each.open % names.length] as string);
          } else {
            const name = String(sent.push(each.send) - 1);
            if (each.ask) asks.push(a[each.send](name));
            else tell(a)[each.send](name);
          }
        }
        for (let round = 0; round < 2 * sent.length + 4; round++) {
          for (const name of waiting()) Gate.open(name);
          await new Promise<void>(resolve => setImmediate(resolve));
        }
        await Promise.all(asks);
        expect(judge(state(type, 'a')?.log ?? [], sent, simple)).toBeUndefined();
        expect(host.describe()).toMatchObject({ asksOutstanding: 0, queued: 0 });
      }),
      { seed: 20_261_120, numRuns: 60 },
    );
  });
});
