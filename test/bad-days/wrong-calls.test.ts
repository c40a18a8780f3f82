// What a user gets wrong when calling: refused by name, with what was given, never by a TypeError from inside.

import { afterAll, beforeAll, expect, it } from 'vitest';
import { metricsOf } from '../../src/doors/index.ts';
import { call, defineActor, type Node, startNode, tell } from '../../src/index.ts';
import { createTestKit } from '../../src/testing.ts';
import { ending } from './folders.ts';
import { LedgerT } from './kept-actors.ts';

let node: Node;
beforeAll(async () => {
  node = await startNode({ threads: 0, actors: [LedgerT] });
});
afterAll(() => node.stop());

const given = (options: unknown) => call(node.ref(LedgerT, 'a'), options as never).note(1);
const defined = (cls: unknown) => defineActor(import.meta.url, cls as never, { type: 'none' });

it.each<[string, () => unknown, RegExp]>([
  ['a ref of null', () => node.ref(null as never, 'a'), /ref\(\) needs what defineActor .* returned, not null/],
  ['a ref of a text', () => node.ref('ledger' as never, 'a'), /not 'ledger'/],
  ['a drain of NaN', () => node.stop({ drainMs: Number.NaN }), /drainMs must be a number of ms, .* not NaN/],
  ['a drain below 0', () => node.stop({ drainMs: -1 }), /drainMs .* not -1/],
  ['a drain as text', () => node.stop({ drainMs: '5' as never }), /drainMs .* not '5'/],
  ['a misspelt drain', () => node.stop({ drain: 5 } as never), /stop\(\) has no option 'drain'; it has drainMs/],
  ['null for the options of stop', () => node.stop(null as never), /stop\(\) takes an object of options/],
  ['a misspelt option of the test kit', () => createTestKit({ actors: [], sede: 1 } as never), /no option 'sede'/],
  ['a probe of what is no type', () => createTestKit({ actors: [] }).probe({} as never, 'a'), /probe\(\) needs what/],
  ['a misspelt deadline', () => given({ deadline: 5 }), /no option 'deadline'; it has deadlineMs, signal, opId/],
  ['a deadline as text', () => given({ deadlineMs: '5' }), /deadlineMs .* not '5'/],
  ['a number for options', () => given(5), /options of call\(\) are an object, not 5/],
  ['a signal that is none', () => given({ signal: 'abort' }), /signal must be an AbortSignal, not 'abort'/],
  ['a function for a class', () => defined(() => 1), /class that extends Actor .*, not a function/],
  ['a class that is no actor', () => defined(class {}), /class that extends Actor/],
  ['null for a class', () => defined(null), /class that extends Actor .*, not null/],
  ['a backup to null', () => node.backup(null as never), /backup\(\) needs the path of an empty directory, not null/],
  ['a backup to nowhere', () => node.backup(''), /needs the path of an empty directory, not ''/],
  ['a backup to a name with NUL', () => node.backup('/tmp/a\0b'), /needs the path of an empty directory/],
  [
    'null for the options of a backup',
    () => node.backup('/tmp/b', null as never),
    /takes an object of options.*not null/,
  ],
  ['a backup with a misspelt option', () => node.backup('/tmp/b', { onprogress() {} } as never), /it has onProgress/],
  [
    'progress for nobody',
    () => node.backup('/tmp/b', { onProgress: 5 as never }),
    /onProgress must be a function, not 5/,
  ],
  ['null for the options of a job', () => node.job('file:///m.js', 'f', 1, null as never), /job\(\) takes an object/],
  [
    'a description of nothing',
    () => metricsOf(null as never),
    /metricsOf\(\) needs what node\.describe\(\) resolves to/,
  ],
  ['threads as text', () => startNode({ threads: '2' as never }), /threads .* not '2'/],
])('%s', async (_what, wrong, message) => {
  const error = await ending<unknown>((async () => wrong())());
  expect(error).toMatchObject({ code: 'BAD_OPTION', retryable: false });
  expect((error as Error).message).toMatch(message);
});

it.each<[string, (ref: never) => unknown]>([
  ['tell', ref => tell(ref)],
  ['call', ref => call(ref, {})],
])('%s() of what is no ref', (what, wrong) => {
  for (const none of [{}, null, undefined, 'ledger/a', Promise.resolve()])
    expect(() => wrong(none as never)).toThrow(
      expect.objectContaining({ code: 'BAD_MESSAGE', message: expect.stringContaining(`${what}() needs a ref`) }),
    );
  const ref = node.ref(LedgerT, 'a');
  expect(wrong(ref as never)).toBeDefined();
});
