// Trace context and diagnostics channels: what an operator's tooling hooks into.

import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Node, startNode } from '../../src/index.ts';
import type { AskReport } from '../../src/runtime/world.ts';
import { TracedT } from './traced.ts';

const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

describe.each([0, 1])('with %i host threads', threads => {
  let node: Node;
  beforeEach(async () => {
    node = await startNode({ threads, actors: [TracedT] });
  });
  afterEach(() => node.stop());

  test('an ask carries the trace it was made under, through awaits and on to the asks of its turn', async () => {
    const first = node.ref(TracedT, 'first');
    expect(await first.chain([])).toEqual([undefined]);
    expect(await node.traced(traceparent, () => first.chain(['second', 'third']))).toEqual([
      traceparent,
      traceparent,
      traceparent,
    ]);
    expect(await first.chain([])).toEqual([undefined]);
  });

  test("the channel 'troupe:ask' reports each ask while somebody listens: to whom, how long, how it ended", async () => {
    const reports: AskReport[] = [];
    const listen = (report: unknown): void => void reports.push(report as AskReport);
    subscribe('troupe:ask', listen);
    try {
      const traced = node.ref(TracedT, 'a');
      await node.traced(traceparent, () => traced.chain([]));
      await expect(traced.fail()).rejects.toMatchObject({ code: 'REMOTE' });
    } finally {
      unsubscribe('troupe:ask', listen);
    }
    expect(reports).toMatchObject([
      { to: 'traced/a', method: 'chain', outcome: 'ok', traceparent },
      { to: 'traced/a', method: 'fail', outcome: 'REMOTE', traceparent: undefined },
    ]);
    for (const { ms } of reports) expect(ms).toBeGreaterThanOrEqual(0);
  });

  test("events of the node are channels as well: 'troupe:actor-failed'", async () => {
    const failed: unknown[] = [];
    const listen = (event: unknown): void => void failed.push(event);
    subscribe('troupe:actor-failed', listen);
    await node
      .ref(TracedT, 'b')
      .fail()
      .catch(() => undefined);
    await expect.poll(() => failed).toMatchObject([{ id: 'traced/b' }]);
    unsubscribe('troupe:actor-failed', listen);
  });
});
