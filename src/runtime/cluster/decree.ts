// One value that more than half of some nodes agree to, for good: the single-decree synod (Lamport, "Paxos Made Simple", 2001). Pure.
//
//     proposer   ballot 3·n1 ──ask──▶ votes of more than half ──▶ the value accepted under the highest ballot, else its own ──accept──▶ chosen
//     voter      nothing ──promise──▶ promised 3·n1 ──accept──▶ accepted it under 3·n1 ──promise──▶ promised 4·n2, and still says what it accepted
//
// Intuition: whoever asks hears from more than half, so from one at least of any other half: if a value may have been chosen, the
// question meets it, and whoever asks goes on with that value in place of its own.
//
// Invariants: what is promised never falls; a value is accepted only under a ballot that is not below what is promised; a ballot
// belongs to one proposer, who uses it for one value. A vote counts only once it is durable.

export interface Ballot {
  readonly round: number;
  readonly by: string;
}

export interface Vote<V> {
  readonly promised: Ballot;
  readonly accepted?: { readonly ballot: Ballot; readonly value: V } | undefined;
}

/** Below zero: `a` is the lower one. */
export function compareBallots(a: Ballot, b: Ballot): number {
  return a.round - b.round || (a.by < b.by ? -1 : a.by > b.by ? 1 : 0);
}

/** To accept nothing below that ballot. The very vote that was given: it has promised as much, or more. */
export function promise<V>(vote: Vote<V> | undefined, ballot: Ballot): Vote<V> {
  if (vote !== undefined && compareBallots(ballot, vote.promised) <= 0) return vote;
  return { promised: ballot, accepted: vote?.accepted };
}

/** The very vote that was given: it has promised more. */
export function accept<V>(vote: Vote<V> | undefined, ballot: Ballot, value: V): Vote<V> {
  if (vote !== undefined && compareBallots(ballot, vote.promised) < 0) return vote;
  return { promised: ballot, accepted: { ballot, value } };
}

export function hasPromised(vote: Vote<unknown>, ballot: Ballot): boolean {
  return compareBallots(vote.promised, ballot) === 0;
}

export function hasAccepted({ accepted }: Vote<unknown>, ballot: Ballot): boolean {
  return accepted !== undefined && compareBallots(accepted.ballot, ballot) === 0;
}

/** What whoever was promised by these has to go on with; undefined: its own. */
export function acceptedBy<V>(votes: readonly Vote<V>[]): V | undefined {
  const accepted = votes.flatMap(vote => vote.accepted ?? []);
  return accepted.sort((a, b) => compareBallots(b.ballot, a.ballot))[0]?.value;
}
