// Who asks for a lost partition, with whom: the two that are left of three.

import { expect, it } from 'vitest';
import { campaignYieldMs } from '../../../src/limits.ts';
import { Campaigns } from '../../../src/runtime/replicas/campaign.ts';
import type { Groups } from '../../../src/runtime/replicas/groups.ts';
import { noRecord, type ReplicaRecord } from '../../../src/runtime/replicas/replica-records.ts';
import { Takeovers } from '../../../src/runtime/replicas/takeovers.ts';

const partition = 3;

const three: Groups = [['n1', 'n2', 'n3']];

/** Nodes n2 and n3 of a group whose owner n1 is lost; `rounds`: how far each has got. `groups`: as each knows it, where it has just changed. */
function rig(
  rounds: { readonly n2: number; readonly n3: number },
  groups = { n2: three, n3: three },
  isLinked = (_name: string): boolean => true,
) {
  const owned: string[] = [];
  const clock = { now: 0 };
  const nodes = new Map<string, Takeovers>();
  const timers: { atMs: number; run: () => void }[] = [];
  for (const self of ['n2', 'n3'] as const) {
    let record: ReplicaRecord = {
      ...noRecord,
      ...{ turn: 0, round: rounds[self], whole: true, promised: 0, groups: groups[self] },
    };
    const seams = {
      self,
      records: {
        get: () => record,
        epochsOf: () => 0,
        change: async (_: number, make: (now: ReplicaRecord) => ReplicaRecord | undefined) => {
          record = make(record) ?? record;
          return record;
        },
      },
      lease: { isOver: () => true },
      host: { world: { random: { float: () => 0 }, log: { warn() {}, debug() {} } }, events: { emit() {} } },
      gateway: {
        timers: { later: (atMs: number, run: () => void) => timers.push({ atMs, run }) },
        linked: (name: string) => (isLinked(name) ? 1 : undefined),
      },
      ownerOf: () => 'n1',
      turnOf: () => 0,
      now: () => clock.now,
      isDown: () => true,
      isBeingGiven: () => false,
      takeOver: async () => owned.push(self),
      raiseEpochs: async () => undefined,
      ask: async (name: string, _word: string, payload: Record<string, unknown>) => {
        const other = nodes.get(name);
        if (other === undefined) throw new Error(`no link to ${name}`);
        return other.campaigns.vote(self, payload);
      },
    };
    nodes.set(self, new Takeovers(seams as never));
  }
  /** Gossip looks at both: each asks in its order. */
  const look = async (): Promise<void> => {
    for (const each of nodes.values()) each.begin(partition);
    for (const { run } of timers.splice(0).sort((a, b) => a.atMs - b.atMs)) {
      run();
      await new Promise(resolve => setImmediate(resolve));
    }
  };
  return { owned, look, nodes, clock };
}

it('goes to who has more, although the other always asks first', async () => {
  const { owned, look } = rig({ n2: 7, n3: 8 });
  for (let times = 0; times < 3 && owned.length === 0; times++) await look();
  expect(owned[0]).toBe('n3');
});

it('goes to who asks first when both have the same', async () => {
  const { owned, look } = rig({ n2: 8, n3: 8 });
  await look();
  expect(owned[0]).toBe('n2');
});

it('goes to who was taken into the group by a round that the other has not got', async () => {
  const { owned, look } = rig({ n2: 7, n3: 9 }, { n2: [['n1']], n3: three });
  await look();
  expect(owned).toEqual(['n3']);
});

it('does not go to who is not of the group, as far as one knows who has as much', async () => {
  const { owned, look } = rig({ n2: 9, n3: 9 }, { n2: [['n1', 'n2', 'n4']], n3: three });
  for (let times = 0; times < 3; times++) await look();
  expect(owned).toEqual([]);
});

it('goes to who knows the group as it is, though the other one asks first and can never be agreed to', async () => {
  // To n2 the group is two, and the other one of them is lost; n3 knows that it is three by now.
  const { owned, look } = rig({ n2: 7, n3: 9 }, { n2: [['n2', 'n1']], n3: three }, name => name !== 'n1');
  for (let times = 0; times < 3; times++) await look();
  expect(owned[0]).toBe('n3');
  expect(owned).not.toContain('n2');
});

it('lets who has more go first, whom it could not agree to, and asks again when that one has not made it', async () => {
  const { owned, look, nodes, clock } = rig({ n2: 7, n3: 7 });
  const n2 = nodes.get('n2') as Takeovers;
  const position = { turn: 0, round: 8 };
  expect(await n2.campaigns.vote('n4', { partition, turn: 0, to: 'n4', position })).toMatchObject({ agrees: false });
  n2.begin(partition);
  nodes.delete('n3');
  await look();
  expect(n2.describe()).toEqual([]);
  clock.now = campaignYieldMs;
  await look();
  expect(n2.describe()).toMatchObject([{ partition, turn: 1 }]);
  expect(owned).toEqual([]);
});

it('does not go to who has become the owner in vain, while the one before, who was agreed to anew meanwhile, may speak yet', async () => {
  let record: ReplicaRecord = { ...noRecord, ...{ turn: 0, round: 7, whole: true, promised: 0, groups: three } };
  const ring = { owner: 'n1', turn: 0 };
  let speaks = true;
  const change = async (_: number, make: (now: ReplicaRecord) => ReplicaRecord | undefined) => {
    record = make(record) ?? record;
    return record;
  };
  // As n3 sees it.
  const campaigns = new Campaigns({
    self: 'n3',
    records: { get: () => record, epochsOf: () => 0, change },
    lease: { isOver: () => true, maySpeak: () => speaks, isYoung: false },
    ownerOf: () => ring.owner,
    turnOf: () => ring.turn,
    now: () => 0,
  } as never);
  const asks = (name: string, turn: number) =>
    campaigns.vote(name, { partition, turn, to: name, position: { turn, round: 9 } });
  expect(await asks('n2', 1)).toMatchObject({ agrees: true });
  expect(await asks('n1', 2)).toMatchObject({ agrees: true });
  // What n2 had won is written now: it stood still.
  Object.assign(ring, { owner: 'n2', turn: 1 });
  expect(await asks('n2', 3)).toMatchObject({ agrees: false, why: expect.stringContaining('n1, who may speak yet') });
  expect(record).toMatchObject({ promised: 2, promisedTo: 'n1' });
  speaks = false;
  expect(await asks('n2', 3)).toMatchObject({ agrees: true });
});
