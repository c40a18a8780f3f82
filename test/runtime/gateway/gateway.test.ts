// Messages between nodes: asks and tells by the ring, what is refused, and what is told when a link ends.

import { beforeEach, describe, expect, it } from 'vitest';
import type { FrameWriter } from '../../../src/runtime/frame.ts';
import { type BaseRef, call, FAR, tell } from '../../../src/runtime/refs.ts';
import { AtT, LocalLogT, LogT } from './actors.ts';
import { Rig, type TestNode } from './rig.ts';

const codeOf = (asked: Promise<unknown>): Promise<unknown> => asked.catch(error => error.code);

let rig: Rig;
let [n1, n2, n3] = [] as unknown as [TestNode, TestNode, TestNode];
/** Keys whose partition belongs to n1, n2, n3. */
let keys: [string, string, string];

beforeEach(async () => {
  rig = new Rig(['n1', 'n2', 'n3'], [LogT, AtT, LocalLogT]);
  [n1, n2, n3] = rig.nodes as [TestNode, TestNode, TestNode];
  const owners = Array.from({ length: 16 }, (_, partition) => `n${1 + (partition % 3)}`);
  rig.ring(owners);
  await rig.settle();
  keys = rig.nodes.map(node => {
    for (let i = 0; ; i++) if (node.gateway.nodes.nodeOf(LogT.spec, `k${i}`) === 0) return `k${i}`;
  }) as typeof keys;
});

describe('an actor of the ring', () => {
  it('is reached from every node, and runs on the one that owns its partition', async () => {
    for (const [at, key] of keys.entries()) {
      for (const node of rig.nodes) await node.ref(LogT, key).hear(node.name);
      expect(await n1.ref(LogT, key).all()).toEqual(['n1', 'n2', 'n3']);
      expect(rig.nodes.map(node => node.runs(LogT, key))).toEqual([0, 1, 2].map(owner => owner === at));
    }
  });

  it('hears tells and asks of one sender in the order in which they were sent', async () => {
    const ref = n1.ref(LogT, keys[1]);
    const asks: Promise<unknown>[] = [];
    for (let i = 0; i < 300; i++) {
      if (i % 3 === 0) asks.push(ref.hear(i));
      else tell(ref).hear(i);
    }
    await Promise.all(asks);
    expect(await ref.all()).toEqual(Array.from({ length: 300 }, (_, i) => i));
  });

  it('takes values of all kinds, many arguments, and refs that come back as refs', async () => {
    const ref = n1.ref(LogT, keys[1]);
    const given = {
      date: new Date(5),
      big: 2n ** 70n,
      bytes: new Uint8Array([1, 2]),
      map: [null, -0, 'x'.repeat(5_000)],
    };
    await ref.hear(given);
    expect(await ref.all()).toEqual([given]);
    expect(await ref.sum(1, 2, 3, 4, 5, 6)).toBe(21);
    expect(await ref.through(n1.ref(LogT, keys[2]), 'hi')).toBe(`log/${keys[2]}`);
    expect(await n3.ref(LogT, keys[2]).all()).toEqual(['hi']);
  });

  it('answers what is larger than a window', async () => {
    const large = new Uint8Array(700_000).fill(7);
    const ref = n1.ref(LogT, keys[1]);
    await ref.hear(large);
    expect(await ref.all()).toEqual([large]);
  });

  it('says what its handler threw', async () => {
    const error = await n1
      .ref(LogT, keys[1])
      .boom()
      .catch(thrown => thrown);
    expect(error).toMatchObject({ code: 'REMOTE', message: 'no luck', outcome: 'failed', details: { code: 'E_LUCK' } });
  });

  it('finds the cycle of a chain across three nodes', async () => {
    const error = await n3
      .ref(LogT, keys[0])
      .back(n3.ref(LogT, keys[1]), n3.ref(LogT, keys[0]))
      .catch(thrown => thrown);
    expect(error).toMatchObject({ code: 'DEADLOCK' });
  });

  it('carries the trace of who asked', async () => {
    const trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const seen = await n1.host.traced(trace, () => n1.ref(LogT, keys[1]).trace());
    expect(seen).toBe(trace);
  });

  it('does an operation once, whichever node asks again', async () => {
    const asked = (node: TestNode): Promise<unknown> => call(node.ref(LogT, keys[1]), { opId: 'op-1' }).hear('once');
    expect(await asked(n1)).toBe(1);
    expect(await asked(n3)).toBe(1);
    expect(await n1.ref(LogT, keys[1]).all()).toEqual(['once']);
  });
});

describe('deadlines across nodes:', () => {
  it('a turn that never ends is UNKNOWN_OUTCOME', async () => {
    const asked = codeOf(call(n1.ref(LogT, keys[1]), { deadlineMs: 100 }).never());
    await rig.settle();
    await rig.world.clock.advance(400);
    expect(await asked).toBe('UNKNOWN_OUTCOME');
  });

  it('a turn that never began is DEADLINE, and is not run later', async () => {
    const ref = n1.ref(LogT, keys[1]);
    const busy = codeOf(call(ref, { deadlineMs: 500 }).block());
    await rig.settle();
    const asked = codeOf(call(n3.ref(LogT, keys[1]), { deadlineMs: 100 }).hear('late'));
    await rig.settle();
    await rig.world.clock.advance(200);
    expect(await asked).toBe('DEADLINE');
    await rig.world.clock.advance(1_000);
    expect(await busy).toBe('UNKNOWN_OUTCOME');
  });

  it('an aborted ask whose turn had not begun is DEADLINE', async () => {
    void codeOf(n1.ref(LogT, keys[1]).block());
    const abort = new AbortController();
    const asked = codeOf(call(n1.ref(LogT, keys[1]), { signal: abort.signal }).hear(1));
    await rig.settle();
    abort.abort();
    await rig.settle();
    expect(await asked).toBe('DEADLINE');
  });

  it('an aborted ask that had begun is UNKNOWN_OUTCOME', async () => {
    const abort = new AbortController();
    const asked = codeOf(call(n1.ref(LogT, keys[1]), { signal: abort.signal }).never());
    await rig.settle();
    abort.abort();
    await rig.settle();
    expect(await asked).toBe('UNKNOWN_OUTCOME');
  });
});

describe("an actor of placement 'node'", () => {
  it('lives on the node that its key names', async () => {
    await n1.ref(AtT, 'n2').hear('plain');
    await n3.ref(AtT, 'x@n2').hear('with a name');
    expect(await n1.ref(AtT, 'n2').all()).toEqual(['plain']);
    expect(await n2.ref(AtT, 'x@n2').all()).toEqual(['with a name']);
    expect(n2.runs(AtT, 'x@n2')).toBe(true);
  });

  it('of a node nobody knows is refused as not reached', async () => {
    expect(await codeOf(n1.ref(AtT, 'n9').hear('?'))).toBe('OVERLOADED');
  });
});

describe('what means something else on another node does not travel:', () => {
  it('a ref to a local actor as an argument', async () => {
    const error = await n1
      .ref(LogT, keys[1])
      .through(n1.ref(LocalLogT, 'l') as never, 1)
      .catch(thrown => thrown);
    expect(error).toMatchObject({ code: 'BAD_MESSAGE', message: expect.stringMatching(/local-log\/l.*own node/) });
  });

  it('a ref to a child as an answer', async () => {
    const error = await n1
      .ref(LogT, keys[1])
      .spawnOne()
      .catch(thrown => thrown);
    expect(error).toMatchObject({ code: 'BAD_MESSAGE', message: expect.stringMatching(/spawned by another/) });
  });
});

describe('nodes that run different versions', () => {
  const swap = (node: TestNode): void => {
    // What n2 says of its types: another order, and one method we do not have.
    const { number } = n1.sessions.get(node.name) as { number: number };
    const methods = Object.fromEntries(
      n1.host.types.map(({ name, methods }) => [name, methods.map(each => each.name)]),
    );
    const { log = [] } = methods;
    n1.gateway.onControl(number, 'types', { ...methods, log: ['gone', ...[...log].reverse()] });
  };

  it('understand each other by the names of methods', async () => {
    swap(n2);
    const names = (n1.host.byName.get('log')?.methods ?? []).map(({ name }) => name);
    const writer = (n2.member.router.wire as unknown as { writer(n: number): FrameWriter }).writer(
      (n2.sessions.get('n1') as { number: number }).number,
    );
    const theirs = (name: string): number => names.length - names.indexOf(name);
    writer.encodeTell('log', keys[0], -1, theirs('hear'), 1, 'by name', undefined, undefined, null, null);
    writer.encodeTell('log', keys[0], -1, 0, 0, undefined, undefined, undefined, null, null);
    await rig.settle();
    expect(await n1.ref(LogT, keys[0]).all()).toEqual(['by name']);
    expect(n1.letters()).toEqual([expect.stringMatching(/no method 'gone' on node n1/)]);
  });
});

describe('when the link to a node ends', () => {
  it('asks that may have run are UNKNOWN_OUTCOME, later ones are refused at once and may be tried again', async () => {
    const open = codeOf(n1.ref(LogT, keys[1]).never());
    await rig.settle();
    rig.cut(n1, n2);
    expect(await open).toBe('UNKNOWN_OUTCOME');
    const error = await n1
      .ref(LogT, keys[1])
      .hear(1)
      .catch(thrown => thrown);
    expect(error).toMatchObject({ code: 'OVERLOADED', retryable: true, message: expect.stringMatching(/node n2/) });
    rig.join(n1, n2);
    await rig.settle();
    expect(await n1.ref(LogT, keys[1]).hear('again')).toBe(1);
  });

  it('an ask that had not left is known not to have run', async () => {
    const session = n1.sessions.get('n2') as { link: { detach(): void } };
    session.link.detach();
    const asked = n1
      .ref(LogT, keys[1])
      .hear(1)
      .catch(thrown => thrown);
    await rig.settle();
    rig.cut(n1, n2);
    expect(await asked).toMatchObject({ code: 'OVERLOADED', outcome: 'failed' });
  });

  it('tells that may have arrived are told of, once for all', async () => {
    const { link } = n1.sessions.get('n2') as { link: { detach(): void } };
    for (let i = 0; i < 3; i++) tell(n1.ref(LogT, keys[1])).hear(i);
    await new Promise(resolve => setImmediate(resolve));
    link.detach();
    for (let i = 3; i < 5; i++) tell(n1.ref(LogT, keys[1])).hear(i);
    rig.cut(n1, n2);
    expect(n1.letters()).toEqual([
      expect.stringMatching(/^2 messages had not left/),
      expect.stringMatching(/^3 messages were on their way .* may have arrived/),
    ]);
  });

  it('an answer of the last session does not pass for one of this', async () => {
    const slow = n2.ref(LogT, keys[1]);
    const first = codeOf(n1.ref(LogT, keys[1]).never());
    await rig.settle();
    rig.cut(n1, n2);
    await first;
    rig.join(n1, n2);
    const second = n1.ref(LogT, keys[1]).hear('second');
    await rig.settle();
    expect(await second).toBe(1);
    expect(await slow.all()).toEqual(['second']);
  });

  it('watchers hear of it', async () => {
    await n1.ref(LogT, keys[0]).watchIt(n1.ref(LogT, keys[1]));
    await n2.ref(LogT, keys[1]).hear(1);
    await rig.settle();
    rig.cut(n1, n2);
    await rig.settle();
    expect(await n1.ref(LogT, keys[0]).all()).toEqual([`log/${keys[1]} thread-lost`]);
  });
});

it('a watch tells of an end on another node', async () => {
  await n1.ref(LogT, keys[0]).watchIt(n1.ref(LogT, keys[1]));
  await n2.ref(LogT, keys[1]).hear(1);
  await rig.settle();
  tell(n3.ref(LogT, keys[1])).end();
  await rig.settle();
  expect(await n1.ref(LogT, keys[0]).all()).toEqual([`log/${keys[1]} stopped`]);
});

describe('a node that has joined no ring', () => {
  it('refuses what the ring would place, and serves the rest', async () => {
    const alone = new Rig(['n1'], [LogT, AtT]);
    const [node] = alone.nodes as [TestNode];
    const error = await node
      .ref(LogT, 'a')
      .hear(1)
      .catch(thrown => thrown);
    expect(error).toMatchObject({ code: 'OVERLOADED', message: expect.stringMatching(/heard of no ring/) });
    expect(await node.ref(AtT, 'n1').hear(1)).toBe(1);
  });
});

describe('a message that its home has sent on to a guest', () => {
  // By the new home it would come behind what its sender has sent there since.
  it('and that comes when another is the home by now is not run, nor sent there', async () => {
    const { number } = n3.sessions.get('n1') as { number: number };
    const ref = n3.ref(LogT, keys[1]);
    const late = { thread: number, version: n3.member.router.version, slot: -1, epoch: 5 };
    (ref as unknown as BaseRef)[FAR] = late;
    tell(ref).hear('late');
    const asked = ref.hear('late, too');
    expect(await codeOf(asked)).toBe('FENCED');
    expect(n1.letters()).toEqual([expect.stringMatching(/has gone to another node since/)]);
    expect(await n1.ref(LogT, keys[1]).all()).toEqual([]);
  });
});

describe('bytes that no gateway sends', () => {
  it('close the link, and the node goes on', async () => {
    const { number } = n1.sessions.get('n2') as { number: number };
    const bytes = Uint8Array.from({ length: 40 }, (_, i) => i * 7);
    n1.gateway.receive(number, bytes, new DataView(bytes.buffer), 0, bytes.length);
    expect(n1.broken).toEqual([expect.stringMatching(/^n2: /)]);
    expect(await n1.ref(LogT, keys[0]).hear(1)).toBe(1);
  });

  it.each(['move', 'table', 'peer-died', 'forwarded', 'halt', 'drain', 'nodes', 'publish'])(
    'cannot say %s',
    async word => {
      const { number } = n1.sessions.get('n2') as { number: number };
      expect(() => n1.member.router.onControl(number, word, {})).toThrow(/no word between nodes/);
    },
  );

  it('cannot answer what was asked of somebody else', async () => {
    const asked = codeOf(n1.ref(LogT, keys[2]).never());
    await rig.settle();
    const { number } = n1.sessions.get('n2') as { number: number };
    const [open] = [...n1.member.router.pending.all()];
    n1.gateway.onReply(number, open?.id as number, 'forged');
    await rig.settle();
    rig.cut(n1, n3);
    expect(await asked).toBe('UNKNOWN_OUTCOME');
  });
});
