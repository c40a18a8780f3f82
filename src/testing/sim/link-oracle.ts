// What a session of two links promises, seen from outside: what one end took is handed out at the other, all of it, once and in
// order, as long as the session lives; and when it ends, its sender is told of each frame that was not handed out.
//
//     took 1 2 3 4 5 ──▶ handed out 1 2 3 │ the session ends: unknown 3 4, unsent 5
//                                            never: unsent 3 (it was handed out), or nothing at all about 4

/** One direction of one session: 'n1/1>n2/3#1', life 1 of n1 to life 3 of n2. */
export type Flow = string;

interface FlowState {
  readonly sent: number[];
  /** Of frames taken while there was no stream: how many streams there had been. */
  readonly takenBefore: Map<number, number>;
  handedOut: number;
  streams: number;
  attached: boolean;
  over: boolean;
  unsent: ReadonlySet<number>;
}

export class LinkOracle {
  readonly #flows = new Map<Flow, FlowState>();
  /** Frames handed out, all in all. */
  delivered = 0;
  /** What was told at the ends of sessions. */
  readonly told: { unknown: number; unsent: number } = { unknown: 0, unsent: 0 };

  #flow(name: Flow): FlowState {
    let flow = this.#flows.get(name);
    if (flow === undefined) {
      flow = {
        sent: [],
        takenBefore: new Map(),
        handedOut: 0,
        streams: 0,
        attached: false,
        over: false,
        unsent: new Set(),
      };
      this.#flows.set(name, flow);
    }
    return flow;
  }

  attached(name: Flow): void {
    const flow = this.#flow(name);
    flow.streams++;
    flow.attached = true;
  }

  detached(name: Flow): void {
    this.#flow(name).attached = false;
  }

  took(name: Flow, number: number): void {
    const flow = this.#flow(name);
    flow.sent.push(number);
    if (!flow.attached) flow.takenBefore.set(number, flow.streams);
  }

  handedOut(name: Flow, number: number): string | undefined {
    const flow = this.#flow(name);
    const expected = flow.sent[flow.handedOut];
    this.delivered++;
    if (expected !== number) return `${name}: ${number} was handed out, and ${expected ?? 'nothing'} was next`;
    flow.handedOut++;
    return flow.unsent.has(number) ? `${name}: ${number} was handed out after it was told unsent` : undefined;
  }

  /** The sender has ended the session. `mayHold`: the receiver may have had frames that it had not handed out. */
  ended(
    name: Flow,
    { unknown, unsent }: { unknown: readonly number[]; unsent: readonly number[] },
    mayHold: boolean,
  ): string[] {
    const flow = this.#flow(name);
    flow.over = true;
    flow.unsent = new Set(unsent);
    this.told.unknown += unknown.length;
    this.told.unsent += unsent.length;
    const wrong: string[] = [];
    const told = [...unknown, ...unsent];
    const rest = flow.sent.slice(flow.sent.length - told.length);
    if (told.some((number, at) => number !== rest[at]))
      wrong.push(`${name} ended with ${listed(told)}, and the last it took are ${listed(rest)}`);
    const silent = flow.sent.length - told.length;
    if (silent > flow.handedOut && !mayHold)
      wrong.push(
        `${name} ended: nothing is told of ${listed(flow.sent.slice(flow.handedOut, silent))}, not handed out`,
      );
    const gone = flow.sent.slice(0, flow.handedOut).find(number => flow.unsent.has(number));
    if (gone !== undefined) wrong.push(`${name} ended: ${gone} is told unsent and was handed out`);
    const doubted = unknown.find(number => flow.takenBefore.get(number) === flow.streams);
    if (doubted !== undefined) wrong.push(`${name} ended: ${doubted} is told unknown and no stream ever had it`);
    return wrong;
  }

  /** The sender is dead: nobody is told anything. */
  forget(isDead: (name: Flow) => boolean): void {
    for (const [name, flow] of this.#flows) if (isDead(name)) flow.over = true;
  }

  /** A flow that lives and has not handed out all it took. */
  waiting(): string | undefined {
    for (const [name, { sent, handedOut, over }] of this.#flows)
      if (!over && handedOut < sent.length) return `${name} has handed out ${handedOut} of ${sent.length}`;
    return undefined;
  }
}

const listed = (numbers: readonly number[]): string =>
  numbers.length <= 5 ? `[${numbers.join(' ')}]` : `[${numbers.slice(0, 5).join(' ')} ... ${numbers.length} in all]`;
