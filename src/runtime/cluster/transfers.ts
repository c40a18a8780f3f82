// How far the partitions are that are to change hands: each is asked of the node that gives it away.
//
//     next of the effective ring ──by `from`──▶ 'handoff-status' ──▶ a row for each; without an answer, a row that says why there is none

import { TroupeError } from '../../errors.ts';
import { handoffStatusMs } from '../../limits.ts';
import type { Gateway } from '../gateway/gateway.ts';
import { inTime } from '../in-time.ts';
import type { MemberStatus } from '../membership/member-table.ts';
import type { Transfer } from '../ownership/ring.ts';
import type { Clock } from '../world.ts';
import type { TransferPhase, TransferStatus } from './handoff-hooks.ts';
import type { RingKeeper } from './ring-keeper.ts';

export interface TransfersOptions {
  readonly name: string;
  readonly clock: Clock;
  readonly gateway: Gateway;
  readonly keeper: RingKeeper;
  readonly linked: ReadonlyMap<string, number>;
  statusOf(name: string): MemberStatus | undefined;
}

/** Text: why there is no answer. */
type Answer = readonly TransferStatus[] | string;

export class Transfers {
  readonly #options: TransfersOptions;

  constructor(options: TransfersOptions) {
    this.#options = options;
    // null, not an empty list: nothing moves there at all.
    options.gateway.on('handoff-status', () => options.keeper.hooks?.status() ?? null);
  }

  async all(): Promise<TransferStatus[]> {
    const next = this.#options.keeper.ring?.next ?? [];
    const givers = [...new Set(next.map(({ from }) => from))];
    const answers = new Map(
      await Promise.all(givers.map(async from => [from, await this.#ask(from)] satisfies [string, Answer])),
    );
    return next.map(transfer => rowOf(transfer, answers.get(transfer.from) as Answer));
  }

  async #ask(from: string): Promise<Answer> {
    const { name, clock, gateway, keeper, linked } = this.#options;
    const nothing = `${from} moves no data`;
    if (from === name) return keeper.hooks?.status() ?? nothing;
    const number = linked.get(from);
    if (number === undefined) {
      const status = this.#options.statusOf(from);
      return status === 'down' || status === 'left' ? `${from} is down` : `there is no link to ${from}`;
    }
    const late = (): TroupeError =>
      new TroupeError('DEADLINE', `${from} has not answered within ${handoffStatusMs} ms`);
    try {
      const said = await inTime(clock, handoffStatusMs, gateway.asked(number, 'handoff-status', null), late);
      if (said === null) return nothing;
      return Array.isArray(said) ? said : `${from} has answered with something else`;
    } catch (error) {
      return (error as TroupeError).message;
    }
  }
}

const phases: readonly TransferPhase[] = ['pending', 'copying', 'catching-up', 'frozen', 'committed'];

/** It comes from another node. */
function isRow(row: TransferStatus | null): boolean {
  if (typeof row !== 'object' || row === null || !phases.includes(row.phase)) return false;
  const { bytes, records, etaMs, why } = row;
  const isNumber = (value: unknown): boolean => typeof value === 'number';
  return [bytes, records, etaMs ?? 0].every(isNumber) && (why === null || typeof why === 'string');
}

function rowOf({ partition, from, to }: Transfer, answer: Answer): TransferStatus {
  const nothingYet = { partition, from, to, phase: 'pending', bytes: 0, records: 0, etaMs: null } as const;
  if (typeof answer === 'string') return { ...nothingYet, why: answer };
  const row = answer.find(each => isRow(each) && each.partition === partition && each.to === to);
  return row ?? { ...nothingYet, why: `${from} has not heard of it yet` };
}
