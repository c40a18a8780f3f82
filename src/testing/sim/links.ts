// The scenario of the links between processes: each sends numbered frames to the others, in bursts, by both ways of writing, small
// and in pieces, while readers pause, streams break and processes die. What a session promises is in link-oracle.ts.

import { TroupeError } from '../../errors.ts';
import type { PeerLink } from '../../runtime/links/peer-link.ts';
import type { Faults as WayFaults } from '../virtual-network.ts';
import { type Draw, hashOf, whole } from './draws.ts';
import { type FaultKind, networkFaults, planFaults } from './faults.ts';
import { type Flow, LinkOracle } from './link-oracle.ts';
import { type SessionName, SimPeers } from './peers.ts';
import type { Life, Program, SimProcess, SimWorld } from './process.ts';
import type { Operation, Scenario, ScenarioRun, SimPlan } from './runner.ts';
import type { Simulation } from './simulation.ts';

interface LinkLife extends Life {
  readonly world: SimWorld;
  readonly peers: SimPeers;
  /** Bursts that wait for room, by the flow they are of: how each is told that the session has ended. */
  readonly bursts: Map<Flow, Set<() => void>>;
}

const safetyMs = 20_000;
const livenessMs = 60_000;
const giveUpMs = 6_000;
const bytesMax = 8_192;
const headBytes = 8;
/** One frame in so many is sent in pieces. */
const largeEvery = 12;
/** One reader in so many pauses within a frame, and goes on at once. */
const blinkEvery = 37;
const points = ['attached', 'detached', 'session ends', 'handed out', 'reader pauses', 'piece'];

function plan(draw: Draw): SimPlan {
  const processes = Array.from({ length: 3 + whole(draw('processes'), 3) }, (_, index) => `n${index + 1}`);
  const operations = Array.from({ length: 40 + whole(draw('operations'), 80) }, (_, id): Operation => {
    const of = (what: string): number => draw('operation', id, what);
    const on = processes[whole(of('on'), processes.length)] as string;
    const others = processes.filter(name => name !== on);
    return {
      id,
      atMs: Math.floor(of('at') * safetyMs),
      on,
      name: of('name') < 0.75 ? 'burst' : of('name') < 0.9 ? 'hold' : 'redial',
      key: others[whole(of('to'), others.length)] as string,
      // Frames of a burst; or the ms for which the reader pauses.
      value: of('name') < 0.75 ? 1 + whole(of('count') ** 2, 60) : 1 + whole(of('ms'), 1_500),
    };
  });
  const kinds: FaultKind[] = ['crash', 'power', 'stop', 'suspend', ...networkFaults];
  const faults = planFaults({ draw, kinds, processes, points, safetyMs, longestMs: 10_000 });
  return { processes, operations, faults, safetyMs, livenessMs };
}

/** What the ways of this run are like before any fault. */
export function waysOf(draw: Draw): Partial<WayFaults> & Pick<WayFaults, 'corrupt'> {
  const isNarrow = draw('ways', 'narrow') < 0.5;
  return {
    delayMs: 0.2 + 5 * draw('ways', 'delay') ** 2,
    jitterMs: draw('ways', 'jitter') < 0.5 ? 0 : 4 * draw('ways', 'jitter ms'),
    chunkMax: draw('ways', 'chunks') < 0.5 ? 0 : 40 + whole(draw('ways', 'chunk'), 1_000),
    ...(isNarrow ? { bufferBytes: 3_000, windowBytes: 4_000 } : {}),
    corrupt: draw('ways', 'corrupt') < 0.5 ? 0 : 0.001,
  };
}

class LinksRun implements ScenarioRun<LinkLife> {
  readonly #sim: Simulation<LinkLife>;
  readonly #names: readonly string[];
  readonly #corrupts: boolean;
  readonly #oracle = new LinkOracle();
  /** Sessions whose reader has paused: it may die with frames that it has acknowledged and not handed out. */
  readonly #held = new Set<Flow>();
  #number = 0;

  constructor(sim: Simulation<LinkLife>, { processes }: SimPlan) {
    this.#sim = sim;
    this.#names = processes;
    const ways = waysOf(sim.draw);
    this.#corrupts = ways.corrupt > 0;
    for (const from of processes) for (const to of processes) if (from !== to) sim.network.set(from, to, ways);
  }

  program(): Program<LinkLife> {
    return async world => {
      const check = (wrong: string | undefined): void => {
        if (wrong !== undefined) this.#sim.violation(wrong);
      };
      const bursts: LinkLife['bursts'] = new Map();
      const peers = await SimPeers.start({
        world,
        life: world.life,
        names: this.#names,
        bytesMax,
        giveUpMs,
        corrupts: this.#corrupts,
        onFrame: (from, frame) => {
          check(this.#received(flowTo(world, from), frame));
          world.mark('handed out');
          if (numberOf(frame) % blinkEvery !== 0) return;
          peers.link(from.peer)?.pause();
          peers.link(from.peer)?.resume();
        },
        onAttached: session => this.#oracle.attached(flowFrom(world, session)),
        onEnding: (session, link) => {
          // Some have last words, which never leave.
          if (session.session % 2 === 1) this.#send(world, link, flowFrom(world, session));
        },
        onDetached: session => this.#oracle.detached(flowFrom(world, session)),
        onEnded: (session, { unknown, unsent }) => {
          const flow = flowFrom(world, session);
          const ends = { unknown: unknown.map(numberOf), unsent: unsent.map(numberOf) };
          for (const wrong of this.#oracle.ended(flow, ends, this.#held.has(flow))) check(wrong);
          for (const over of bursts.get(flow) ?? []) over();
          bursts.delete(flow);
        },
        onTrouble: check,
      });
      return { world, peers, bursts };
    };
  }

  begun(): void {
    // The oracle is told of each frame, not of operations.
  }

  told(): void {
    // As above.
  }

  async perform({ name, key, value }: Operation, life: LinkLife): Promise<void> {
    const session = life.peers.session(key);
    const link = life.peers.link(key);
    if (session === undefined || link === undefined) throw new TroupeError('OVERLOADED', `${key} was not met yet`);
    if (name === 'redial') return life.peers.redial(key);
    if (name === 'hold') return this.#hold(key, life, link, session, value);
    await this.#burst(life, link, flowFrom(life.world, session), value);
  }

  onCrash({ name, lives }: SimProcess<LinkLife>): void {
    this.#oracle.forget(flow => flow.startsWith(`${name}/${lives}>`));
  }

  async rest(): Promise<string | undefined> {
    for (const { name, life } of this.#sim.processes.values()) {
      if (life === undefined) return `${name} is not up`;
      for (const other of this.#names)
        if (other !== name && !life.peers.isAttached(other)) return `${name} has no connection to ${other}`;
      const [stuck] = life.bursts.keys();
      if (stuck !== undefined) return `a burst of ${stuck} waits for room`;
    }
    return this.#oracle.waiting();
  }

  async verdict(): Promise<readonly string[]> {
    return [];
  }

  #hold(key: string, { world, peers }: LinkLife, link: PeerLink, session: SessionName, ms: number): void {
    this.#held.add(flowTo(world, session));
    link.pause();
    world.mark('reader pauses');
    world.clock.timer(ms, () => {
      if (peers.link(key) === link) link.resume();
    });
  }

  /** Rejects when the session ends before all are taken. */
  #burst(life: LinkLife, link: PeerLink, flow: Flow, count: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiting = life.bursts.get(flow) ?? new Set();
      const over = (): void => reject(new TroupeError('STOPPED', `the session of ${flow} has ended`));
      let left = count;
      const more = (): void => {
        while (left > 0) {
          if (!this.#send(life.world, link, flow)) {
            life.bursts.set(flow, waiting.add(over));
            return link.onWritable(more);
          }
          left--;
        }
        waiting.delete(over);
        if (waiting.size === 0) life.bursts.delete(flow);
        resolve();
      };
      more();
    });
  }

  #send(world: SimWorld, link: PeerLink, flow: Flow): boolean {
    const number = ++this.#number;
    const chance = hashOf(this.#sim.seed, ['frame', number]);
    const isLarge = chance % largeEvery === 0;
    const frame = frameOf(number, isLarge ? 2_100 + (chance % 9_000) : headBytes + (chance % 200));
    if (isLarge || chance % 2 === 0) {
      if (!link.send(frame)) return false;
      if (isLarge) world.mark('piece');
    } else {
      const at = link.begin(frame.length);
      if (at < 0) return false;
      link.bytes.set(frame, at);
      link.end(frame.length);
    }
    this.#oracle.took(flow, number);
    return true;
  }

  #received(flow: Flow, frame: Uint8Array): string | undefined {
    const number = numberOf(frame);
    const { length } = frame;
    const isWhole = length >= headBytes && viewOf(frame).getUint32(4) === length;
    if (!isWhole || frame.subarray(headBytes).some(byte => byte !== (number & 255)))
      return `${flow}: frame ${number} of ${length} bytes is not as it was sent`;
    return this.#oracle.handedOut(flow, number);
  }
}

const flowFrom = ({ name, life }: SimWorld, to: SessionName): Flow =>
  `${name}/${life}>${to.peer}/${to.life}#${to.session}`;
const flowTo = ({ name, life }: SimWorld, from: SessionName): Flow =>
  `${from.peer}/${from.life}>${name}/${life}#${from.session}`;

/** Its number, its length, and bytes that all tell the number. */
function frameOf(number: number, bytes: number): Uint8Array {
  const frame = new Uint8Array(bytes).fill(number & 255);
  viewOf(frame).setUint32(0, number);
  viewOf(frame).setUint32(4, bytes);
  return frame;
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const numberOf = (frame: Uint8Array): number => (frame.length < headBytes ? -1 : viewOf(frame).getUint32(0));

export const links: Scenario<LinkLife> = { name: 'links', plan, begin: (sim, plan) => new LinksRun(sim, plan) };
