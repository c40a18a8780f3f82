// Numbers as they came, and what that says about the road they came by: was one lost, doubled, overtaken?
//
// Intuition: a sender numbers its messages 0, 1, 2 ... The receiver writes down runs of consecutive numbers. If all is well
// there is one run, however many messages came; each trouble begins another. So the record is exact and yet tiny.
//
//      0 1 2 3 4 5        [[0, 5]]                  nothing to report
//      0 1 2 4 5          [[0, 2], [4, 5]]          3 is lost
//      0 1 2 2 3          [[0, 2], [2, 3]]          2 came twice
//      0 1 3 2 4          [[0, 1], [3, 3], [2, 2], [4, 4]]     2 was overtaken
//
// Invariant: the runs, read in order, are exactly the numbers that came.

export type Run = [first: number, last: number];
export type Runs = Run[];

/** Runs one book holds. Past it the road is broken beyond what is worth writing down. */
const runsMax = 10_000;

/** Writes one number down. */
export function arrived(runs: Runs, n: number): void {
  const last = runs.at(-1);
  if (last !== undefined && n === last[1] + 1) {
    last[1] = n;
    return;
  }
  if (runs.length >= runsMax) throw new RangeError(`more than ${runsMax} breaks in what should be one run`);
  runs.push([n, n]);
}

export interface Verdict {
  readonly received: number;
  /** Numbers below `sent` that never came. */
  readonly lost: number;
  /** Arrivals of a number that had come before. */
  readonly doubled: number;
  /** First arrivals after a larger number. */
  readonly reordered: number;
  /** Numbers nobody sent. */
  readonly invented: number;
}

/** What became of the numbers 0 to sent - 1. */
export function judge(runs: Runs, sent: number): Verdict {
  const seen = new Uint8Array(sent);
  let [received, doubled, reordered, invented, largest] = [0, 0, 0, 0, -1];
  for (const [first, last] of runs) {
    for (let n = first; n <= last; n++) {
      received++;
      if (!(Number.isInteger(n) && n >= 0 && n < sent)) invented++;
      else if (seen[n] === 1) doubled++;
      else {
        if (n < largest) reordered++;
        seen[n] = 1;
      }
      if (n > largest) largest = n;
    }
  }
  return { received, lost: seen.filter(each => each === 0).length, doubled, reordered, invented };
}
