// What becomes of the addresses of `join`, and of whoever waits for ready(): by the core alone, and once on the simulated network.

import { describe, expect, it } from 'vitest';
import { dialWaitMsMax, joinPatienceMs, joinToldEveryMs } from '../../../src/limits.ts';
import { Joining } from '../../../src/runtime/cluster/joining.ts';
import type { Reason } from '../../../src/runtime/links/greeting.ts';
import { ClusterKit } from '../../../src/testing/cluster-kit-host.ts';

interface Told {
  readonly address: string;
  readonly error: string;
  readonly tries: number;
  readonly forMs: number;
}

function rig(...join: string[]) {
  const told: Told[] = [];
  const lines: string[] = [];
  const joining = new Joining({
    name: 'n1',
    join,
    log: { warn: (_fields: object | string, line?: string) => void lines.push(line ?? '') },
    emit: (name, payload) => void (name === 'join-unanswered' && told.push(payload as Told)),
  });
  /** A dial that came to nothing, at this time. */
  const fails = (address: string, now: number, reason?: Reason, isIn = false): void => {
    const message = reason ?? 'cannot reach it: ECONNREFUSED';
    const refusal = reason && { name: 'n2', remote: address, reason, by: 'them' as const, message };
    joining.failed({ address, refusal, message }, isIn, now);
  };
  const ready = (): Promise<string> =>
    Promise.race([
      joining.ready.then(
        () => 'ready',
        error => `${error.code} ${error.details.option ?? ''}`.trim(),
      ),
      new Promise<string>(resolve => setImmediate(() => resolve('waits'))),
    ]);
  return { joining, told, lines, fails, ready };
}

describe('who has a say in the first ring', () => {
  it('is who has let this node in, and itself; what it joins counts, but for its own address under another name', () => {
    const { joining, fails } = rig('own:1', 'b:1', 'c:1', 'd:1');
    for (const address of ['own:1', 'b:1', 'c:1', 'd:1']) fails(address, 0);
    expect(joining.voters).toEqual({ names: ['n1'], size: 5 });
    joining.met('b:1', 'n2');
    expect(joining.voters).toEqual({ names: ['n2', 'n1'], size: 5 });
    fails('own:1', 1, 'self');
    expect(joining.voters).toEqual({ names: ['n2', 'n1'], size: 4 });
    // The same node behind two addresses is one.
    joining.met('b:2', 'n2');
    expect(joining.voters).toEqual({ names: ['n2', 'n1'], size: 4 });
    joining.met('c:1', 'n3');
    expect(joining.voters).toEqual({ names: ['n2', 'n3', 'n1'], size: 4 });
    expect(rig().joining.voters).toEqual({ names: ['n1'], size: 1 });
  });
});

describe('an address where nobody answers', () => {
  it('is told of when that has lasted, and then once a minute, and ready() waits', async () => {
    const { joining, told, lines, fails, ready } = rig('a:1');
    for (let now = 0; now <= joinPatienceMs + 2 * joinToldEveryMs; now += 5_000) fails('a:1', now);
    const error = 'cannot reach it: ECONNREFUSED';
    expect(told).toEqual([
      { address: 'a:1', error, tries: 4, forMs: joinPatienceMs },
      { address: 'a:1', error, tries: 16, forMs: joinPatienceMs + joinToldEveryMs },
      { address: 'a:1', error, tries: 28, forMs: joinPatienceMs + 2 * joinToldEveryMs },
    ]);
    expect(lines[0]).toContain('nobody answers at a:1');
    expect(joining.describe()).toEqual([{ address: 'a:1', state: 'unanswered', tries: 28, error }]);
    expect(await ready()).toBe('waits');
    joining.met('a:1', 'n2');
    expect([joining.describe(), joining.nameAt('a:1')]).toEqual([[], 'n2']);
    joining.becomeReady();
    expect(await ready()).toBe('ready');
  });

  it('is not told of when somebody else has let the node in', () => {
    const { told, fails } = rig('a:1', 'b:1');
    for (let now = 0; now <= 120_000; now += 5_000) fails('a:1', now, undefined, true);
    expect(told).toEqual([]);
  });
});

describe('a refusal', () => {
  it.each<[Reason, string]>([
    ['secret', 'BAD_OPTION secret'],
    ['cluster', 'BAD_OPTION cluster'],
    ['replicas', 'BAD_OPTION replicas'],
    ['certificate', 'BAD_OPTION tls'],
    ['refused', 'BAD_OPTION join'],
    ['full', 'waits'],
    ['stopping', 'waits'],
    ['superseded', 'waits'],
  ])('for %s ends ready(): %s', async (reason, expected) => {
    const { fails, ready } = rig('a:1');
    fails('a:1', 0, reason);
    expect(await ready()).toBe(expected);
  });

  it('as a namesake does when it lasts: the life before may only seem to live', async () => {
    const { fails, ready } = rig('a:1');
    fails('a:1', 0, 'namesake');
    fails('a:1', joinPatienceMs - 1, 'namesake');
    expect(await ready()).toBe('waits');
    fails('a:1', joinPatienceMs, 'namesake');
    expect(await ready()).toBe('BAD_OPTION name');
  });

  it('of one of several ends nothing while another may let the node in', async () => {
    const { fails, ready } = rig('a:1', 'b:1');
    fails('a:1', 0, 'secret');
    expect(await ready()).toBe('waits');
    fails('b:1', 1_000);
    fails('b:1', 1_000 + joinPatienceMs - 1);
    expect(await ready()).toBe('waits');
    fails('b:1', 1_000 + joinPatienceMs);
    expect(await ready()).toBe('BAD_OPTION secret');
  });

  it('of all of them does, and the error says so', async () => {
    const { joining, fails } = rig('a:1', 'b:1');
    fails('a:1', 0, 'secret');
    fails('b:1', 0, 'cluster');
    expect(await joining.ready.catch(error => [error.message, error.details])).toEqual([
      "node n1 is let in by nobody: secret; and nobody else of 'join' lets it in",
      { option: 'secret', reason: 'secret', by: 'them', address: 'a:1', refusedBy: 2 },
    ]);
  });

  it('ends nothing where the node is linked, or ready', async () => {
    const linked = rig('a:1');
    linked.fails('a:1', 0, 'secret', true);
    expect(await linked.ready()).toBe('waits');
    const one = rig('a:1');
    one.joining.becomeReady();
    one.fails('a:1', 0, 'secret');
    expect(await one.ready()).toBe('ready');
  });

  it('is forgotten when the node is let in after all', async () => {
    const { joining, fails, ready } = rig('a:1');
    fails('a:1', 0, 'secret');
    expect(await ready()).toBe('BAD_OPTION secret');
    joining.met('a:1', 'n2');
    joining.becomeReady();
    expect(await ready()).toBe('ready');
  });
});

describe('a node of the simulated network whose addresses are dead', () => {
  it('tells of each, shows them in describe(), and is let in when somebody comes', async () => {
    const kit = new ClusterKit(3, { actors: [], seed: 1 });
    try {
      const starting = kit.start(['n1'], ['n1', 'n2', 'n3']).catch(error => error);
      await kit.clock.advance(30_000);
      const n1 = kit.node('n1');
      const told = n1.events.filter(({ name }) => name === 'join-unanswered').map(({ payload }) => payload as Told);
      expect(told.map(({ address }) => address).sort()).toEqual(['n2:7001', 'n3:7001']);
      expect(told[0]?.error).toMatch(/cannot reach it/);
      expect(n1.cluster.describe().joining).toMatchObject([
        { address: 'n2:7001', state: 'unanswered' },
        { address: 'n3:7001', state: 'unanswered' },
      ]);
      await kit.start(['n2'], ['n1', 'n2', 'n3']);
      await kit.run(n1.cluster.ready());
      await kit.clock.advance(dialWaitMsMax + 1_000);
      expect(n1.cluster.describe().joining).toMatchObject([{ address: 'n3:7001' }]);
      await starting;
    } finally {
      await kit.close();
    }
  });
});
