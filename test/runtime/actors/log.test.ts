// this.self.log takes what pino takes, on the caller's thread and on others: fields and a text, an error, a text alone.

import { expect, test } from 'vitest';
import { type Log, startNode } from '../../../src/index.ts';
import { until } from '../../threads/until.ts';
import { FarScribeT, ScribeT } from './log.ts';

type Line = [level: string, fields: any, message: string | undefined];

function recorder(lines: Line[]): Log {
  const at =
    (level: string) =>
    (fields: object | string, message?: string): void => {
      lines.push([level, fields, message]);
    };
  return { trace: at('trace'), debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

test.each([
  ["the caller's thread", 0, ScribeT],
  ['another thread', 1, FarScribeT],
])('an actor on %s logs a text, fields and a text, an error', async (_where, threads, type) => {
  const lines: Line[] = [];
  const node = await startNode({ threads, actors: [type], logger: recorder(lines) });
  try {
    const scribe = node.ref(type, 'a');
    await scribe.text();
    await scribe.fields();
    await scribe.failure();
    await scribe.failureAndText();
    await until('the lines', () => lines.length === 4);
  } finally {
    await node.stop();
  }
  const own = { actor: `${type.type}/a`, epoch: expect.any(Number), ...(threads === 0 ? {} : { thread: 1 }) };
  expect(lines.slice(0, 2)).toEqual([
    ['info', own, 'a text'],
    ['warn', { ...own, n: 1 }, 'with fields'],
  ]);
  expect(lines.slice(2).map(([level, , message]) => [level, message])).toEqual([
    ['error', 'it broke'],
    ['error', 'while testing'],
  ]);
  for (const [, fields] of lines.slice(2)) {
    expect(fields).toMatchObject(own);
    expect(fields.err).toBeInstanceOf(TypeError);
    expect(fields.err.message).toBe('it broke');
  }
});
