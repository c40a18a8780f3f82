// The simulator's links: FIFO between any two hosts, each with a pace of its own.
//
// With sessions a link may lose and repeat frames and break; the sender then sends again whatever the other side may not
// have, and DedupeWindow in front of the receiver (the real one) makes a FIFO link of that. Without sessions, as between
// threads, frames carry no numbers that anybody looks at.

import type { Chance } from './relocation-chance.ts';
import type { Control, Cores } from './relocation-cores.ts';

interface Frame {
  readonly sequence: number;
  readonly message: Control<number>;
}

export interface Link {
  readonly from: number;
  readonly to: number;
  wire: Frame[];
  head: number;
  /** Frames the other side may not have yet: what a reconnect sends again. */
  log: Frame[];
  sequence: number;
  cloggedUntil: number;
  /** How often this link is passed over when it is picked: makes some links much slower than others. */
  readonly slowness: number;
}

/** What a link needs to know of the host at its end. */
export interface LinkEnd {
  readonly alive: boolean;
  readonly hungUp: ReadonlySet<number>;
  readonly window: InstanceType<Cores['DedupeWindow']>;
}

export interface LinksOptions {
  readonly sessions: boolean;
  /** Frames are lost and repeated at random. */
  readonly lossy: boolean;
}

const reconnectMs = 50;

export class Links {
  readonly all: Link[] = [];
  /** Frames lost or repeated on demand. */
  spoiltCount = 0;
  readonly #byEnds = new Map<number, Link>();
  readonly #spoiling = new Map<number, { readonly how: 'drop' | 'repeat'; readonly done: Set<number> }>();
  readonly #chance: Chance;
  readonly #options: LinksOptions;
  readonly #endOf: (host: number) => LinkEnd;

  constructor(chance: Chance, options: LinksOptions, endOf: (host: number) => LinkEnd) {
    this.#chance = chance;
    this.#options = options;
    this.#endOf = endOf;
  }

  post(from: number, to: number, message: Control<number>) {
    const link = this.#between(from, to);
    const frame = { sequence: ++link.sequence, message };
    const isSession = this.#isSession(link);
    if (isSession) link.log.push(frame);
    const spoils = isSession ? this.#spoils(link) : undefined;
    if (spoils !== 'drop') link.wire.push(frame);
    if (spoils === 'repeat') link.wire.push(frame);
  }

  hasFrame(link: Link): boolean {
    return link.head < link.wire.length;
  }

  first(link: Link): Control<number> {
    return (link.wire[link.head] as Frame).message;
  }

  /** The next message, unless it is nobody's or was taken before. */
  take(link: Link): Control<number> | undefined {
    const { sequence, message } = link.wire[link.head++] as Frame;
    if (link.head > 64) {
      link.wire = link.wire.slice(link.head);
      link.head = 0;
    }
    const { hungUp, window } = this.#endOf(link.to);
    if (hungUp.has(link.from)) return undefined;
    if (!this.#isSession(link)) return message;
    const verdict = window.accept(link.from, sequence);
    if (verdict === 'gap') this.resend(link);
    if (verdict !== 'next') return undefined;
    // Acknowledgements lag behind, so a resend repeats some frames that had arrived.
    if (this.#chance.under(0.5)) link.log = link.log.filter(frame => frame.sequence > sequence - 2);
    return message;
  }

  /** The wire is empty, but not all of it has arrived. */
  hasUnsent(link: Link): boolean {
    const last = link.log.at(-1);
    const { hungUp, window } = this.#endOf(link.to);
    if (last === undefined || hungUp.has(link.from) || !this.#endOf(link.from).alive) return false;
    return last.sequence > window.highest(link.from);
  }

  resend(link: Link) {
    link.wire = this.#endOf(link.from).alive ? [...link.log] : [];
    link.head = 0;
  }

  /** Everything that is under way from or to a host. */
  *aroundHost(host: number): Iterable<Control<number>> {
    for (const { from, to, wire, head, log } of this.all) {
      if (from !== host && to !== host) continue;
      for (const { message } of wire.slice(head)) yield message;
      for (const { message } of log) yield message;
    }
  }

  /** The connection is gone with everything on it; the session survives and sends again. */
  breakOff(from: number, to: number, now: number) {
    const link = this.#between(from, to);
    link.wire = [];
    link.head = 0;
    link.cloggedUntil = now + reconnectMs;
  }

  /** The next frame from this host to each other one. */
  spoilNext(from: number, how: 'drop' | 'repeat') {
    this.#spoiling.set(from, { how, done: new Set() });
  }

  #spoils(link: Link): 'drop' | 'repeat' | undefined {
    const plan = this.#spoiling.get(link.from);
    if (plan !== undefined && !plan.done.has(link.to)) {
      plan.done.add(link.to);
      this.spoiltCount++;
      return plan.how;
    }
    if (!this.#options.lossy) return undefined;
    const draw = this.#chance.next();
    return draw < 0.03 ? 'drop' : draw < 0.06 ? 'repeat' : undefined;
  }

  #isSession(link: Link): boolean {
    return this.#options.sessions && link.from !== link.to;
  }

  #between(from: number, to: number): Link {
    const ends = from * 1_024 + to;
    let link = this.#byEnds.get(ends);
    if (link === undefined) {
      const slowness = this.#chance.under(0.2) ? 0.95 : this.#chance.next() * 0.5;
      link = { from, to, wire: [], head: 0, log: [], sequence: 0, cloggedUntil: 0, slowness };
      this.#byEnds.set(ends, link);
      this.all.push(link);
    }
    return link;
  }
}
