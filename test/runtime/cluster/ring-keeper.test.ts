// The keeper by itself, on a gateway that only writes down what it is told: what the disk does to it, and what others may say.

import { beforeEach, describe, expect, it } from 'vitest';
import { TroupeError } from '../../../src/errors.ts';
import type { TransferStatus } from '../../../src/runtime/cluster/handoff-hooks.ts';
import { RingKeeper } from '../../../src/runtime/cluster/ring-keeper.ts';
import { storedStateOf } from '../../../src/runtime/cluster/ring-text.ts';
import { Transfers } from '../../../src/runtime/cluster/transfers.ts';
import type { Gateway, NodeWord } from '../../../src/runtime/gateway/gateway.ts';
import { claimed, effective, founded, handedOn, type RingState } from '../../../src/runtime/ownership/holdings.ts';
import { changed, emptyRing, type Ring } from '../../../src/runtime/ownership/ring.ts';
import { virtualWorld } from '../../../src/testing/virtual-world.ts';
import { member } from '../ownership/clusters.ts';

const owners = ['n1', 'n2', 'n3', 'n1'];
const ring: Ring = changed(emptyRing({ cluster: 'c', partitions: 4, claimant: 'n1' }), 'n1', {
  owners,
  members: ['n1', 'n2', 'n3'].map(name => member(name)),
});
const state = founded(ring);

let words: Map<string, NodeWord>;
/** What was said, stored and told, in order. */
let trail: string[];
let stored: RingState[];
let saving: () => Promise<void>;
let world: ReturnType<typeof virtualWorld>;
let keeper: RingKeeper;
const logged: string[] = [];

beforeEach(() => {
  words = new Map();
  trail = [];
  stored = [];
  logged.length = 0;
  saving = async () => undefined;
  const log = (_fields: unknown, message?: string): number => logged.push(message ?? '');
  const logger = { trace: log, debug: log, info: log, warn: log, error: log };
  world = virtualWorld({ seed: 1, log: logger });
  world.clock.rest = rest;
  const gateway = {
    on: (name: string, word: NodeWord) => words.set(name, word),
    say: (to: number, word: string) => trail.push(`${word} to ${to}`),
    setNodes: () => trail.push('route'),
    nameOf: (number: number) => `n${number}`,
  } as unknown as Gateway;
  keeper = new RingKeeper({
    ...{ cluster: 'c', name: 'n1', partitions: 4, world, gateway },
    linked: new Map([
      ['n2', 2],
      ['n3', 3],
    ]),
    known: () => [],
    memory: {
      saveState: async wanted => {
        await saving();
        stored.push(wanted);
        trail.push('stored');
      },
    },
    onSaved: () => undefined,
    onChanged: ({ epoch }) => trail.push(`epoch ${epoch}`),
    onForeign: (from, error) => trail.push(`foreign ${from}${error === undefined ? '' : ` ${error.code}`}`),
    emit: name => trail.push(name),
  });
});
const hear = (word: string, payload: unknown): unknown => words.get(word)?.(2, payload);
const rest = (): Promise<void> => world.clock.loopTurn();
const fails = (outcome: 'failed' | 'unknown', times: number) => {
  let left = times;
  return async (): Promise<void> => {
    if (left-- > 0) throw new TroupeError('DISK_FULL', 'no room', { outcome });
  };
};

describe('a keeper', () => {
  it('stores what it writes before it tells it, and what it hears after', async () => {
    keeper.begin(state);
    expect(trail).toEqual(['route', 'ring-state to 2', 'ring-state to 3', 'epoch 1', 'ring-changed']);
    trail.length = 0;
    await keeper.handOn(0, 'n3');
    const told = ['route', 'handed to 3', 'handed to 2', 'epoch 2', 'partition-handed', 'ring-changed'];
    expect(trail).toEqual(['stored', ...told]);
    trail.length = 0;
    hear('handed', { birth: state.birth, changes: [{ partition: 1, from: 'n2', to: 'n3', turn: 1 }] });
    expect(trail).toEqual(told.map(each => (each === 'epoch 2' ? 'epoch 3' : each)));
    await rest();
    expect(trail.at(-1)).toBe('stored');
    expect(stored.at(-1)).toEqual(keeper.state);
  });

  it('takes what comes while it stores into account, and ends with all of it on the disk', async () => {
    keeper.begin(state);
    let free = (): void => undefined;
    saving = () => new Promise(resolve => (free = resolve));
    const done = keeper.handOn(0, 'n2');
    await rest();
    for (const turn of [1, 2, 3]) {
      const to = turn === 2 ? 'n2' : 'n3';
      hear('handed', { birth: state.birth, changes: [{ partition: 1, from: 'n2', to, turn }] });
    }
    expect(keeper.ring?.owners).toEqual(['n1', 'n3', 'n3', 'n1']);
    saving = async () => undefined;
    free();
    await done;
    await rest();
    expect(keeper.ring?.owners).toEqual(['n2', 'n3', 'n3', 'n1']);
    expect(stored.length).toBe(2);
    expect(stored[1]).toEqual(keeper.state);
  });

  it('stands by a save that may or may not have happened, until it has', async () => {
    keeper.begin(state);
    saving = fails('unknown', 3);
    let isDone = false;
    const done = keeper.handOn(0, 'n2').then(() => {
      isDone = true;
    });
    await world.clock.advance(2_500);
    expect([isDone, keeper.ring?.owners[0]]).toEqual([false, 'n1']);
    await world.clock.advance(1_000);
    await done;
    expect(keeper.ring?.owners[0]).toBe('n2');
    expect(logged).toEqual(['the ring could not be stored; it is tried again']);
  });

  it('does not hand on what cannot be stored, and may try again at once', async () => {
    keeper.begin(state);
    saving = fails('failed', 1);
    await expect(keeper.handOn(0, 'n2')).rejects.toMatchObject({ code: 'DISK_FULL' });
    expect(keeper.state).toBe(state);
    expect(await keeper.handOn(0, 'n2')).toEqual({ partition: 0, from: 'n1', to: 'n2', turn: 1 });
  });

  it('goes on trying to store what it has heard, and complains once', async () => {
    saving = fails('failed', 4);
    hear('ring-state', state);
    expect(keeper.ring?.owners).toEqual(owners);
    await world.clock.advance(3_500);
    expect(stored.length).toBe(0);
    await world.clock.advance(1_000);
    expect(stored).toEqual([state]);
    expect(logged.length).toBe(1);
  });

  it('gives up the ring it founds for one that came meanwhile, on the disk, too', async () => {
    let free = (): void => undefined;
    saving = () => new Promise(resolve => (free = resolve));
    const own = keeper.found({ ...ring, claimant: 'n2' });
    await rest();
    hear('ring-state', state);
    saving = async () => undefined;
    free();
    await own;
    await rest();
    expect(keeper.state?.birth).toBe(state.birth);
    expect(stored.at(-1)).toEqual(state);
  });

  it('says nothing and stores nothing once it has stopped', async () => {
    keeper.begin(state);
    trail.length = 0;
    keeper.stop();
    hear('ring-state', handedOn(state, 1, 'n3'));
    hear('handed', { birth: state.birth, changes: [{ partition: 1, from: 'n2', to: 'n3', turn: 1 }] });
    await expect(keeper.handOn(0, 'n2')).rejects.toMatchObject({ code: 'STOPPED' });
    expect(trail).toEqual([]);
  });

  it('that stops while it stores tells nobody, and does not say that nothing has changed', async () => {
    keeper.begin(state);
    trail.length = 0;
    let free = (): void => undefined;
    saving = () => new Promise(resolve => (free = resolve));
    const done = keeper.handOn(0, 'n2').catch(error => error);
    await rest();
    keeper.stop();
    free();
    expect(await done).toMatchObject({ code: 'STOPPED', outcome: 'unknown' });
    expect(trail).toEqual(['stored']);
  });

  it('goes through with a change that a hook cannot follow', async () => {
    keeper.begin(state);
    const broken = (): never => {
      throw new Error('lost the thread');
    };
    keeper.hooks = { before: broken, after: broken, ringChanged: broken, status: () => [] };
    await keeper.handOn(0, 'n2');
    expect(keeper.ring?.owners[0]).toBe('n2');
    expect(logged.length).toBe(3);
  });
});

describe('what others say', () => {
  it('counts from their founding only', () => {
    hear('handed', { birth: state.birth, changes: [{ partition: 1, from: 'n2', to: 'n3', turn: 1 }] });
    expect(keeper.state).toBeUndefined();
    keeper.begin(state);
    trail.length = 0;
    const other = founded({ ...ring, claimant: 'n2' });
    hear('ring-state', other);
    hear('handed', { birth: other.birth, changes: [{ partition: 1, from: 'n2', to: 'n3', turn: 1 }] });
    expect(trail).toEqual(['foreign n2']);
    expect(keeper.state).toBe(state);
  });

  it('of another number of partitions, or another cluster, is not for this node', () => {
    const more = founded({ ...ring, owners: [...owners, ...owners] });
    hear('ring-state', more);
    hear('ring-state', founded({ ...ring, cluster: 'd' }));
    expect(trail).toEqual(['foreign n2 BAD_OPTION', 'foreign n2 BAD_OPTION']);
    expect(keeper.state).toBeUndefined();
  });

  const [first] = state.holdings;
  const claim = (parts: Partial<Ring>): unknown => ({ ...state, claim: { ...ring, ...parts } });
  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['null', null],
    ['a ring alone', ring],
    ['no birth', { ...state, birth: undefined }],
    ['a birth that is no hash', { ...state, birth: 'x' }],
    ['no claim', { ...state, claim: null }],
    ['no holdings', { ...state, holdings: null }],
    ['too few holdings', { ...state, holdings: state.holdings.slice(1) }],
    ['a hole', { ...state, holdings: state.holdings.with(0, null as never) }],
    ...[-1, 0.5, '1', undefined, Number.NaN, 2 ** 60].map(
      turn =>
        [`turn ${turn}`, { ...state, holdings: state.holdings.with(0, { ...first, turn } as never) }] as [
          string,
          unknown,
        ],
    ),
    ['an owner that is no name', { ...state, holdings: state.holdings.with(0, { owner: 'No Name', turn: 0 }) }],
    ['epoch 0', claim({ epoch: 0 })],
    ['a member without a weight', claim({ members: [{ ...member('n1'), weight: undefined as never }] })],
    ['a wish for a partition there is none of', claim({ next: [{ partition: 4, from: 'n1', to: 'n2' }] })],
    ['a wish for nobody', claim({ next: [{ partition: 0, from: 'n1', to: 'n9' }] })],
    ['a wish without a giver', claim({ next: [{ partition: 0, from: '', to: 'n2' }] })],
  ])('is refused as a state: %s', (_, value) => {
    expect(() => hear('ring-state', value)).toThrow(expect.objectContaining({ code: 'BAD_MESSAGE' }));
    expect(keeper.state).toBeUndefined();
  });

  const change = { partition: 0, from: 'n1', to: 'n2', turn: 1 };
  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['no list', { birth: state.birth, changes: change }],
    ['more than there are partitions', { birth: state.birth, changes: [1, 2, 3, 4, 5].map(() => change) }],
    ['a partition there is none of', { birth: state.birth, changes: [{ ...change, partition: 4 }] }],
    ['a turn that is none', { birth: state.birth, changes: [{ ...change, turn: 0 }] }],
    ['nobody', { birth: state.birth, changes: [{ ...change, to: null }] }],
  ])('is refused as a change of hands: %s', (_, value) => {
    keeper.begin(state);
    expect(() => hear('handed', value)).toThrow(expect.objectContaining({ code: 'BAD_MESSAGE' }));
    expect(keeper.state).toBe(state);
  });
});

describe('what is stored', () => {
  it('is read again; a ring of the time when rings did not change counts as its own founding', () => {
    const later = claimed(handedOn(state, 0, 'n2'), ring);
    expect(storedStateOf(JSON.parse(JSON.stringify(later)), 'c', 4)).toEqual(later);
    expect(storedStateOf(JSON.parse(JSON.stringify(ring)), 'c', 4)).toEqual(state);
    expect(() => storedStateOf({}, 'c', 4)).toThrow(expect.objectContaining({ code: 'BAD_MESSAGE' }));
  });

  it('may name owners that are no members', () => {
    const stranded = handedOn(state, 0, 'n9');
    expect(effective(storedStateOf(stranded, 'c', 4)).owners[0]).toBe('n9');
  });
});

describe('transfers', () => {
  const wished = claimed(state, {
    ...ring,
    next: [
      { partition: 1, from: 'n2', to: 'n3' },
      { partition: 0, from: 'n1', to: 'n2' },
    ],
  });
  const why = async (answer: unknown): Promise<(string | null)[]> => {
    keeper.begin(wished);
    const gateway = { on: () => undefined, asked: async () => answer } as unknown as Gateway;
    const linked = new Map([['n2', 2]]);
    const transfers = new Transfers({ name: 'n1', clock: world.clock, gateway, keeper, linked, statusOf: () => 'up' });
    return (await transfers.all()).map(row => row.why);
  };
  const row: TransferStatus = {
    ...{ partition: 1, from: 'n2', to: 'n3', phase: 'copying' },
    ...{ bytes: 1, records: 1, etaMs: null, why: 'as it says' },
  };

  it.each<[string, unknown, string]>([
    ['as the giver says', [row], 'as it says'],
    ['where nothing moves data', null, 'n2 moves no data'],
    ['of which it says nothing', [], 'n2 has not heard of it yet'],
    ['of which it says something else', 'later', 'n2 has answered with something else'],
    ['of which it says nonsense', [null, { ...row, phase: 'lost' }], 'n2 has not heard of it yet'],
  ])('are shown %s', async (_, answer, expected) => {
    expect(await why(answer)).toEqual([expected, 'n1 moves no data']);
  });
});
