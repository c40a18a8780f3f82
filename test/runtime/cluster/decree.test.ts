// One value for good (src/runtime/cluster/decree.ts): all orders in which three voters can hear of
// two ballots, each message at any time or never; and of three ballots many orders.

import { describe, expect, it } from 'vitest';
import {
  accept,
  acceptedBy,
  type Ballot,
  compareBallots,
  hasAccepted,
  hasPromised,
  promise,
  type Vote,
} from '../../../src/runtime/cluster/decree.ts';
import { seededRandom } from '../../../src/testing/virtual-world.ts';

const voters = [0, 1, 2];
const most = 2;
const ballots: readonly Ballot[] = [
  { round: 1, by: 'n1' },
  { round: 1, by: 'n2' },
  { round: 2, by: 'n1' },
];

interface Try {
  /** Who has been asked, and who of them has promised, with the votes they gave. */
  readonly asked: readonly number[];
  readonly promises: readonly Vote<string>[];
  /** What it goes on with, once more than half have promised. */
  readonly value: string | undefined;
  readonly told: readonly number[];
}

interface State {
  readonly votes: readonly (Vote<string> | undefined)[];
  readonly tries: readonly Try[];
  /** By ballot: who has ever accepted under it. A voter may accept a later one after it. */
  readonly accepted: readonly (readonly number[])[];
}

const begin = (count: number): State => ({
  votes: voters.map(() => undefined),
  tries: Array.from({ length: count }, () => ({ asked: [], promises: [], value: undefined, told: [] })),
  accepted: Array.from({ length: count }, () => []),
});

function ask(state: State, at: number, voter: number): State {
  const [ballot, own] = [ballots[at] as Ballot, state.tries[at] as Try];
  const vote = promise(state.votes[voter], ballot);
  const promises = own.value === undefined && hasPromised(vote, ballot) ? [...own.promises, vote] : own.promises;
  const value = own.value ?? (promises.length >= most ? (acceptedBy(promises) ?? `of ${at}`) : undefined);
  const next = { ...own, asked: [...own.asked, voter].sort(), promises, value };
  return { ...state, votes: state.votes.with(voter, vote), tries: state.tries.with(at, next) };
}

function tell(state: State, at: number, voter: number): State {
  const [ballot, own] = [ballots[at] as Ballot, state.tries[at] as Try];
  const vote = accept(state.votes[voter], ballot, own.value as string);
  const accepted = hasAccepted(vote, ballot) ? [...(state.accepted[at] as number[]), voter].sort() : state.accepted[at];
  return {
    votes: state.votes.with(voter, vote),
    tries: state.tries.with(at, { ...own, told: [...own.told, voter].sort() }),
    accepted: state.accepted.with(at, accepted as number[]),
  };
}

function next(state: State): State[] {
  return state.tries.flatMap(({ asked, value, told }, at) => {
    const asks = voters.filter(voter => !asked.includes(voter)).map(voter => ask(state, at, voter));
    if (value === undefined) return asks;
    return [...asks, ...voters.filter(voter => !told.includes(voter)).map(voter => tell(state, at, voter))];
  });
}

const chosen = ({ tries, accepted }: State): string[] =>
  tries.flatMap(({ value }, at) => ((accepted[at] as number[]).length >= most ? [value as string] : []));

/** Throws when two values are. */
function chosenOne(state: State): string | undefined {
  const values = new Set(chosen(state));
  if (values.size > 1) expect.fail(`${[...values].join(' and ')} were chosen: ${JSON.stringify(state)}`);
  return [...values][0];
}

describe('a decree', () => {
  it('is one value in all orders of two ballots, whatever is lost, and either may be the one', () => {
    const seen = new Set<string>();
    const outcomes = new Set<string | undefined>();
    const open = [begin(2)];
    for (let state = open.pop(); state !== undefined; state = open.pop()) {
      outcomes.add(chosenOne(state));
      for (const after of next(state)) {
        const key = JSON.stringify(after);
        if (seen.has(key)) continue;
        seen.add(key);
        open.push(after);
      }
    }
    expect(outcomes).toEqual(new Set([undefined, 'of 0', 'of 1']));
    expect(seen.size).toBeGreaterThan(1_000);
  });

  it('is one value in many orders of three ballots', () => {
    const random = seededRandom(7);
    const outcomes = new Set<string | undefined>();
    for (let walk = 0; walk < 5_000; walk++) {
      for (let state: State | undefined = begin(3); state !== undefined; ) {
        outcomes.add(chosenOne(state));
        const all: State[] = next(state);
        state = random.float() < 0.02 ? undefined : all[Math.floor(random.float() * all.length)];
      }
    }
    expect(outcomes).toEqual(new Set([undefined, 'of 0', 'of 1', 'of 2']));
  });

  it('has ballots in one order: by round, then by name', () => {
    const sorted = [...ballots].reverse().sort(compareBallots);
    expect(sorted).toEqual(ballots);
  });

  it('is voted for under no lower ballot than was promised', () => {
    const [low, middle, high] = ballots as [Ballot, Ballot, Ballot];
    const vote = promise(undefined, middle);
    expect(promise(vote, low)).toBe(vote);
    expect(accept(vote, low, 'a')).toBe(vote);
    const took = accept(vote, high, 'b');
    expect(took).toEqual({ promised: high, accepted: { ballot: high, value: 'b' } });
    expect(promise(took, { round: 9, by: 'n3' }).accepted?.value).toBe('b');
  });
});
