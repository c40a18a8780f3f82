// Who must serve what those led who stay away, by what the others say of themselves.

import { describe, expect, it } from 'vitest';
import type { Groups } from '../../src/runtime/replicas/groups.ts';
import { noRecord } from '../../src/runtime/replicas/replica-records.ts';
import { excuseOf, type NodeView, whyNotServed } from '../../src/testing/sim/node-served.ts';

const three: Groups = [['n1', 'n2', 'n3']];
const nothing = { leading: [], following: [], asking: [] };
const view = (name: string, owner: string, rest: Partial<NodeView> = {}): NodeView => ({
  ...{ name, owners: [owner], ...nothing },
  ...rest,
});
const follows = (round: number, { whole = true, groups = three } = {}): Partial<NodeView> => ({
  following: [{ partition: 0, ...noRecord, turn: 4, round, whole, groups }],
});
const leads = (established: boolean, groups = three): Partial<NodeView> => ({
  leading: [{ partition: 0, turn: 5, groups, established }],
});

describe('it is served', () => {
  it('when one of them owns it in the eyes of all, and a quorum has it', () => {
    expect(whyNotServed(0, [view('n2', 'n2', leads(true)), view('n3', 'n2')])).toBeUndefined();
  });

  it.each<[string, NodeView[]]>([
    ['its owner is away', [view('n2', 'n1'), view('n3', 'n1')]],
    ['not all see it there', [view('n2', 'n2', leads(true)), view('n3', 'n1')]],
    ['its owner does not lead it', [view('n2', 'n2'), view('n3', 'n2')]],
    ['a quorum has not got it', [view('n2', 'n2', leads(false)), view('n3', 'n2')]],
    ['somebody has no ring', [view('n2', 'n2', leads(true)), { ...view('n3', ''), owners: undefined }]],
  ])('not when %s', (_, views) => {
    expect(whyNotServed(0, views)).toContain('partition 0: n2 sees it with n');
  });

  it('else it says who leads, who follows and who campaigns', () => {
    const asking = [{ partition: 0, turn: 9, why: 'n2: it has more here' }];
    expect(whyNotServed(0, [view('n2', 'n1', leads(false)), view('n3', 'n1', { ...follows(17), asking })])).toBe(
      'partition 0: n2 sees it with n1, leads it under turn 5, not established, kept by n1 n2 n3; n3 sees it with n1, has turn 4, round 17, kept by n1 n2 n3, has promised turn -1 to nobody, campaigns, last for turn 9 in vain (n2: it has more here)',
    );
  });
});

describe('without n1', () => {
  const excuse = (n2: Partial<NodeView>, n3: Partial<NodeView>) =>
    excuseOf(0, [view('n2', 'n1', n2), view('n3', 'n1', n3)]);
  const majority = 'a majority of its group is away';
  const copies = 'whoever has the most of it has no whole copy';

  it.each<[string, Partial<NodeView>, Partial<NodeView>, string | undefined]>([
    ['two of three', follows(17), follows(18), undefined],
    ['two of three, one of them with less and not whole', follows(17, { whole: false }), follows(18), undefined],
    ['two of three, the one with more not whole', follows(17), follows(18, { whole: false }), copies],
    ['two of three, both with as much', follows(18), follows(18, { whole: false }), undefined],
    ['only n1 keeps it', {}, {}, majority],
    ['one of three', follows(17, { groups: [['n1', 'n4', 'n2']] }), {}, majority],
    ['while the group changes: none of the old one', follows(17, { groups: [['n1'], ...three] }), {}, majority],
    ['one who knows the later group', follows(17, { groups: [['n1']] }), follows(18), undefined],
    ['one who knows an earlier group', follows(18, { groups: [['n1']] }), follows(17), copies],
    ['it is led by n2', leads(false), {}, undefined],
    ['it is led by n2, who needs one of those away', leads(false, [['n1', 'n4', 'n2']]), {}, majority],
  ])('%s', (_, n2, n3, why) => {
    expect(excuse(n2, n3)).toBe(why);
  });

  it.each<[string, number, Groups, string | undefined]>([
    [
      'who knows a later group, most of which is away',
      19,
      [['n1', 'n4', 'n2']],
      'a majority of the group that it has by now is away',
    ],
    ['who knows a later group, most of which is here', 19, three, undefined],
    ['who was changing it', 19, [three[0] as string[], ['n1', 'n4', 'n2']], undefined],
    ['who knows no more than the others', 18, [['n1', 'n4', 'n2']], undefined],
  ])('by the disk of one %s', (_, round, groups, why) => {
    const views = [view('n2', 'n1', follows(17)), view('n3', 'n1', follows(18))];
    expect(excuseOf(0, views, [view('n1', '', follows(round, { groups }))])).toBe(why);
  });
});
