// What a receiver knows about one sender whose messages bear the numbers 0, 1, 2, ...: which came, which came late, which
// came twice, which never did.

export interface Account {
  next: number;
  taken: number;
  /** Numbers below `next` that have not come. */
  missing: number[];
  reordered: number;
  doubled: number;
}

/** Beyond this the books are in such disorder that more entries would tell nothing. */
const missingMax = 10_000;

export const emptyAccount = (): Account => ({ next: 0, taken: 0, missing: [], reordered: 0, doubled: 0 });

export function enter(account: Account, number: number): void {
  account.taken++;
  if (number === account.next) {
    account.next++;
    return;
  }
  if (number > account.next) {
    for (let gap = account.next; gap < number && account.missing.length < missingMax; gap++) account.missing.push(gap);
    account.next = number + 1;
    return;
  }
  const at = account.missing.indexOf(number);
  if (at < 0) account.doubled++;
  else {
    account.missing.splice(at, 1);
    account.reordered++;
  }
}

export interface Verdict {
  readonly lost: number;
  readonly doubled: number;
  readonly reordered: number;
}

/** What became of `sent` messages. No account: none came. */
export function audit(account: Account | undefined, sent: number): Verdict {
  if (account === undefined) return { lost: sent, doubled: 0, reordered: 0 };
  const { next, missing, doubled, reordered } = account;
  return { lost: missing.length + Math.max(0, sent - next), doubled, reordered };
}
