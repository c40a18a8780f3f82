// Random turns, crashes, moves, sleeps and disk troubles, against the plainest oracle there is: what was acknowledged is in
// the list, in order; what definitely failed is not; what ended unknown may be either.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ActorType } from '../../../src/runtime/define-actor.ts';
import { createTestKit, type TestKit } from '../../../src/testing.ts';
import { ExplicitT, JournalT, type Ledger, LedgerT, ledgers, RestartingJournalT, RestartingT } from './ledger.ts';
import { type Outcome, outcome } from './outcome.ts';

const action = fc.oneof(
  { weight: 8, arbitrary: fc.constant('add' as const) },
  { weight: 2, arbitrary: fc.constant('fail' as const) },
  {
    weight: 6,
    arbitrary: fc.constantFrom('settle', 'crash', 'hold', 'release', 'full', 'room', 'move', 'sleep', 'process'),
  },
);
type Action = typeof action extends fc.Arbitrary<infer A> ? A : never;

interface Tried {
  readonly n: number;
  readonly done: Promise<Outcome<unknown>>;
}

class Run {
  kit: TestKit;
  readonly tried: Tried[] = [];
  private readonly type: ActorType<Ledger>;

  constructor(type: ActorType<Ledger>) {
    this.type = type;
    this.kit = createTestKit({ actors: ledgers });
  }

  private get a() {
    return this.kit.ref(this.type, 'a');
  }

  async step(each: Action): Promise<void> {
    const { kit } = this;
    const n = this.tried.length + 1;
    switch (each) {
      case 'add':
        this.tried.push({ n, done: outcome(this.a.add(n)) });
        return;
      case 'fail':
        void outcome(this.a.boom());
        return;
      case 'settle':
        return kit.settle();
      case 'crash':
        return kit.crash(`${this.type.type}/a`);
      case 'hold':
        return kit.disk.hold();
      case 'release':
        return kit.disk.release();
      case 'full':
      case 'room':
        kit.disk.diskFull = each === 'full';
        return;
      case 'move':
        await outcome(kit.relocate(`${this.type.type}/a`));
        return;
      case 'sleep':
        await kit.clock.advance(61_000);
        return;
      case 'process':
        kit.disk.crash();
        await kit.crash(`${this.type.type}/a`);
        this.kit = createTestKit({ actors: ledgers, disk: kit.disk });
    }
  }

  /** What is there in the end, and what became of every try. */
  async end(): Promise<{ total: number; outcomes: (readonly [number, Outcome<unknown>])[] }> {
    this.kit.disk.diskFull = false;
    this.kit.disk.release();
    await this.kit.clock.advance(10_000);
    const outcomes = await Promise.all(this.tried.map(async ({ n, done }) => [n, await done] as const));
    await this.kit.crash(`${this.type.type}/a`);
    return { total: (await this.a.get()) as number, outcomes };
  }
}

/** Sums that may have come about: every acknowledged number is in, every failed one out, the unknown ones either way. */
function isPossible(total: number, outcomes: readonly (readonly [number, Outcome<unknown>])[]): boolean {
  let sums = new Set([0]);
  for (const [n, { code, ...rest }] of outcomes) {
    const isUnknown = code !== undefined && (rest as { outcome?: string }).outcome === 'unknown';
    if (code !== undefined && !isUnknown) continue;
    const added = [...sums].map(sum => sum + n);
    sums = isUnknown ? new Set([...sums, ...added]) : new Set(added);
  }
  return sums.has(total);
}

/** What once went wrong: a new life built on what the old one had not stored; a turn ended before its actor heard of a refusal. */
const found: [Action[]][] = [
  [['full', 'add', 'fail', 'settle', 'add']],
  [['full', 'hold', 'add', 'settle', 'release', 'add']],
];

const journals = [JournalT, RestartingJournalT] as unknown as ActorType<Ledger>[];

// 'committed' does not promise to survive a loss of power: durability.test.ts.
describe.each([LedgerT, RestartingT, ...journals])('what $type has acknowledged', type => {
  it('is there in the end, and nothing that was refused', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 40, size: 'max' }), async actions => {
        const run = new Run(type);
        for (const each of actions) await run.step(each);
        const { total, outcomes } = await run.end();
        const told = outcomes.map(([n, { code }]) => `${n} ${code ?? 'ok'}`).join(', ');
        expect(isPossible(total, outcomes), `${total} of ${told}`).toBe(true);
        await run.kit.close();
      }),
      { seed: 20_261_120, numRuns: 50, examples: found },
    );
  });
});

describe('what is only in memory', () => {
  it('is lost with it, and never comes back in part', async () => {
    const kit = createTestKit({ actors: ledgers });
    const a = kit.ref(ExplicitT, 'a');
    await a.push(1);
    await a.saveNow();
    await a.push(2);
    await kit.crash('explicit/a');
    expect(await a.push(3)).toEqual([1, 3]);
    await kit.close();
  });
});
