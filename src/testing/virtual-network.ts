// A network of byte streams that exists only in one process: what TCP promises and nothing beyond, with every fault it can
// have. All time comes from the clock and all chance from one number of the seed, so the same seed makes the same run.
//
//     write ─▶ waiting (the sender's buffer) ─▶ on the way (a window of bytes) ─▶ arrived ─▶ onBytes, in chunks
//                 full: write says false            delay, held while the way          while the reader has
//                 left: onDrain                     is blocked, corrupted              not paused
//
// As with TCP, a blocked way loses nothing by itself: bytes wait and go on when it is free again. Loss comes with the end of a
// connection: a reset takes what had not arrived, and nobody learns how much that was. A host that dies silently leaves the
// other side with a connection that is open and answers nothing; when it is up again, it answers old connections with a reset.
//
// Chance is not one sequence. Each draw is a hash of (seed, connection, direction, number of the chunk, what for), so that a fault
// more or less does not change what happens to everybody else (research/reliability.md 3.2).
//
// Invariant: what a reader is given is a prefix of what was written, but for corrupted bytes. The bytes it is given are
// overwritten after the call, so that whoever keeps them is found here.

import type { Wire, WireListener, WireTransport } from '../runtime/links/wire.ts';
import type { Clock, Random } from '../runtime/world.ts';
import { type Faults, faultless, type Side, VirtualStream, type Way } from './virtual-stream.ts';

export type { Faults } from './virtual-stream.ts';

export interface VirtualNetworkOptions {
  readonly clock: Pick<Clock, 'mono' | 'timer'>;
  /** Asked once, for the seed of everything. */
  readonly random: Pick<Random, 'u32'>;
  /** What holds for every way unless set() says otherwise. */
  readonly faults?: Partial<Faults>;
  /** Connections count as protected, and prove the name of the host at the other end, as TLS with certificates does. */
  readonly secure?: boolean;
}

/** Told of everything that happens to a connection, for a trace. */
export type OnNetworkEvent = (event: string, connection: string) => void;

interface Listener {
  readonly host: string;
  readonly onWire: (wire: Wire) => void;
}

export class VirtualNetwork {
  /** For a trace: 'open', 'refused', 'reset', ... and the connection, 'n1>n2#3'. */
  onEvent: OnNetworkEvent = () => {};
  /** How often connections were reset. */
  cuts = 0;

  private readonly clock: Pick<Clock, 'mono' | 'timer'>;
  private readonly seed: number;
  private readonly defaults: Faults;
  private readonly secure: boolean;
  private readonly listeners = new Map<string, Listener>();
  private readonly ways = new Map<string, Way>();
  private readonly counts = new Map<string, number>();
  private readonly streams = new Set<VirtualStream>();
  /** Hosts that do not answer, not even with a reset. */
  private readonly silent = new Set<string>();
  private readonly refusing = new Set<string>();
  /** Crashes by host: who dials before one does not come through after it. */
  private readonly crashes = new Map<string, number>();
  private ports = 40_000;

  constructor(options: VirtualNetworkOptions) {
    this.clock = options.clock;
    this.seed = options.random.u32();
    this.defaults = { ...faultless, ...options.faults };
    this.secure = options.secure ?? false;
  }

  /** The network as one host sees it. A host that was crashed is up again when its transport is used next. */
  transport(host: string): WireTransport {
    return {
      secure: this.secure,
      dial: (address, { timeoutMs }) => this.dial(host, address, timeoutMs),
      listen: (address, onWire) => this.listen(host, address, onWire),
    };
  }

  /** What bytes from one host to another meet from now on. */
  set(from: string, to: string, faults: Partial<Faults>): void {
    const way = this.way(from, to);
    way.faults = { ...way.faults, ...faults };
    this.stir(from, to);
  }

  /** What bytes from one host to another meet now; undefined: nothing passes. */
  faultsOf(from: string, to: string): Faults | undefined {
    const { blocked, faults } = this.way(from, to);
    return blocked ? undefined : faults;
  }

  /** Nothing passes in this direction until it is freed. What is on the way waits. */
  block(from: string, to: string): void {
    this.way(from, to).blocked = true;
  }

  free(from: string, to: string): void {
    this.way(from, to).blocked = false;
    this.stir(from, to);
  }

  /** Only hosts of the same group reach each other; a host in no group reaches everybody. */
  partition(groups: readonly (readonly string[])[]): void {
    for (const group of groups)
      for (const other of groups)
        for (const from of group) for (const to of other) if (group !== other) this.block(from, to);
  }

  /** Every way is free and without faults of its own; connections that are open go on. */
  heal(): void {
    for (const way of this.ways.values()) {
      way.blocked = false;
      way.faults = this.defaults;
    }
    for (const stream of this.streams) stream.stir();
  }

  /** How many connections there are between two hosts. */
  connected(a: string, b: string): number {
    return this.between(a, b).length;
  }

  /** When what is under way between two hosts has arrived, if nothing stops it: sent by a slow way, it may be long after that. */
  arrivesAt(a: string, b: string): number {
    return Math.max(0, ...this.between(a, b).map(stream => stream.arrivesAt));
  }

  /** Resets the connections between two hosts: each direction loses an unknown end of what was under way. Returns how many. */
  cut(a: string, b: string): number {
    const between = this.between(a, b);
    for (const stream of between) stream.reset();
    this.cuts++;
    return between.length;
  }

  /**
   * The process of a host is gone: its ends of all connections are dead and tell nobody, its addresses are free. `silent`: the
   * machine is gone with it, and the other ends stay open (half-open); otherwise they are reset.
   */
  crash(host: string, { silent = false }: { silent?: boolean } = {}): void {
    for (const [address, listener] of this.listeners) if (listener.host === host) this.listeners.delete(address);
    this.crashes.set(host, this.crashesOf(host) + 1);
    if (silent) this.silent.add(host);
    for (const stream of this.streams) if (stream.touches(host)) stream.abandon(host, silent);
  }

  /** A silent host is a machine again: it refuses dials until somebody listens, and resets old connections. */
  wake(host: string): void {
    this.silent.delete(host);
    for (const stream of this.streams) if (stream.touches(host)) stream.stir();
  }

  /** Dials to this host are refused although somebody listens. */
  refuse(host: string, refused: boolean = true): void {
    if (refused) this.refusing.add(host);
    else this.refusing.delete(host);
  }

  /** Open connections, for describe() and for tests. */
  connections(): { name: string; waiting: [number, number]; carried: [number, number] }[] {
    return [...this.streams].map(stream => stream.describe());
  }

  private async listen(host: string, address: string, onWire: (wire: Wire) => void): Promise<WireListener> {
    this.silent.delete(host);
    const asked = splitAddress(address);
    const at = asked.port === '0' ? `${asked.host}:${++this.ports}` : address;
    if (this.listeners.has(at)) throw networkError('EADDRINUSE', `${at} is taken`);
    const listener = { host, onWire };
    this.listeners.set(at, listener);
    return {
      address: at,
      close: async () => {
        if (this.listeners.get(at) === listener) this.listeners.delete(at);
      },
    };
  }

  private dial(from: string, address: string, timeoutMs: number): Promise<Wire> {
    this.silent.delete(from);
    const to = this.listeners.get(address)?.host ?? splitAddress(address).host;
    const number = (this.counts.get(`${from}>${to}`) ?? 0) + 1;
    this.counts.set(`${from}>${to}`, number);
    const name = `${from}>${to}#${number}`;
    const deadline = this.clock.mono() + timeoutMs;
    const { promise, resolve, reject } = Promise.withResolvers<Wire>();
    const life = this.crashesOf(from);
    let done = false;
    const give = (why: string, act: () => void): void => {
      if (done || life !== this.crashesOf(from)) return;
      done = true;
      cancel();
      this.onEvent(why, name);
      act();
    };
    const cancel = this.clock.timer(timeoutMs, () =>
      give('timeout', () => reject(networkError('ETIMEDOUT', `${address} did not answer within ${timeoutMs} ms`))),
    );
    // A SYN is sent again and again: a way that is freed in time is as good as one that was never blocked.
    const knock = (): void => {
      if (done || life !== this.crashesOf(from)) return;
      if (this.isBlocked(from, to) || this.isBlocked(to, from) || this.silent.has(to)) {
        const rest = deadline - this.clock.mono();
        if (rest > synAgainMs) this.clock.timer(synAgainMs, knock);
        return;
      }
      const listener = this.listeners.get(address);
      if (listener === undefined || this.refusing.has(to)) {
        give('refused', () => reject(networkError('ECONNREFUSED', `${address} refuses connections`)));
        return;
      }
      give('open', () => resolve(this.open(name, from, to, address, listener)));
    };
    this.clock.timer(this.way(from, to).faults.delayMs + this.way(to, from).faults.delayMs, knock);
    return promise;
  }

  private open(name: string, from: string, to: string, address: string, listener: Listener): Wire {
    const side = (host: string, remote: string, other: string): Side => ({
      host,
      remote,
      provenNames: this.secure ? [other] : undefined,
    });
    const stream = new VirtualStream({
      name,
      clock: this.clock,
      seed: this.seed,
      encrypted: this.secure,
      sides: [side(from, address, to), side(to, `${from}:${++this.ports}`, from)],
      ways: [this.way(from, to), this.way(to, from)],
      isSilent: host => this.silent.has(host),
      onEvent: event => {
        this.onEvent(event, name);
        if (event === 'gone') this.streams.delete(stream);
      },
    });
    this.streams.add(stream);
    listener.onWire(stream.wires[1]);
    return stream.wires[0];
  }

  private crashesOf(host: string): number {
    return this.crashes.get(host) ?? 0;
  }

  private isBlocked(from: string, to: string): boolean {
    return this.way(from, to).blocked;
  }

  private way(from: string, to: string): Way {
    const key = `${from}>${to}`;
    let way = this.ways.get(key);
    if (way === undefined) {
      way = { blocked: false, faults: this.defaults };
      this.ways.set(key, way);
    }
    return way;
  }

  private between(a: string, b: string): VirtualStream[] {
    return [...this.streams].filter(stream => stream.touches(a) && stream.touches(b));
  }

  private stir(a: string, b: string): void {
    for (const stream of this.between(a, b)) stream.stir();
  }
}

/** How soon a dial that met a blocked way tries again. */
const synAgainMs = 100;

export function networkError(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}

/** 'n1:7001' -> n1 and 7001. */
function splitAddress(address: string): { host: string; port: string } {
  const at = address.lastIndexOf(':');
  return at < 0 ? { host: address, port: '' } : { host: address.slice(0, at), port: address.slice(at + 1) };
}
