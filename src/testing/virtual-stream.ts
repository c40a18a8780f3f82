// One connection of the virtual network: two ends, and for each direction what waits, what is on the way and what has arrived.
// The picture and the promises are in virtual-network.ts.
//
//   an end:   open ──close──▶ closing (what waits still goes) ──▶ closed         told once: onEnd 'closed', 'ended' or 'error'
//               └──reset, crash of its host──▶ closed (with its error, or without a word)

import type { Wire, WireEnd, WireEvents } from '../runtime/links/wire.ts';
import type { Clock } from '../runtime/world.ts';

/** What bytes in one direction meet. */
export interface Faults {
  /** How long a chunk is on the way; and up to so much longer, at random. Order is kept. */
  readonly delayMs: number;
  readonly jitterMs: number;
  /** Chunks of 1 to so many bytes, at random; 0: as they were written. */
  readonly chunkMax: number;
  /** Bytes a ms that leave the sender; 0: no limit. */
  readonly bytesPerMs: number;
  /** What the sender's buffer holds before write says false, and what may be on the way or unread. */
  readonly bufferBytes: number;
  readonly windowBytes: number;
  /** How likely it is that a chunk has one byte changed. */
  readonly corrupt: number;
}

export const faultless: Faults = {
  delayMs: 1,
  jitterMs: 0,
  chunkMax: 0,
  bytesPerMs: 0,
  bufferBytes: 65_536,
  windowBytes: 262_144,
  corrupt: 0,
};

/** From one host to another; changed by the network while connections are open. */
export interface Way {
  blocked: boolean;
  faults: Faults;
}

export interface Side {
  readonly host: string;
  readonly remote: string;
  readonly provenNames: readonly string[] | undefined;
}

export interface StreamOptions {
  readonly name: string;
  readonly clock: Pick<Clock, 'mono' | 'timer'>;
  readonly seed: number;
  readonly encrypted: boolean;
  /** Who dialled, who was dialled. */
  readonly sides: readonly [Side, Side];
  /** From the first side to the second, and back. */
  readonly ways: readonly [Way, Way];
  readonly isSilent: (host: string) => boolean;
  readonly onEvent: (event: string) => void;
}

const spoilt = 0xdd;
/** The largest chunk that is handed over at once, as a socket reads. */
const readBytesMax = 65_536;

/** One direction. `from` is the end that writes. */
class Pipe {
  readonly waiting: Uint8Array[] = [];
  waitingAt = 0;
  waitingBytes = 0;
  /** Sent and not yet handed to the reader, oldest first. */
  readonly way: { bytes: Uint8Array; at: number }[] = [];
  wayBytes = 0;
  chunks = 0;
  carried = 0;
  /** When the sender may send more, and when the last chunk arrives. */
  freeAt = 0;
  lastAt = 0;
  choked = false;
  /** The writer has closed: when everything has arrived, the reader is told. */
  fin = false;
  planned = false;
}

class End implements Wire {
  readonly remote: string;
  readonly provenNames: readonly string[] | undefined;
  readonly encrypted: boolean;
  readonly host: string;
  events: WireEvents | undefined;
  state: 'open' | 'closing' | 'closed' = 'open';
  paused = false;
  private readonly stream: VirtualStream;
  private readonly index: 0 | 1;

  constructor(stream: VirtualStream, index: 0 | 1, side: Side, encrypted: boolean) {
    this.stream = stream;
    this.index = index;
    this.host = side.host;
    this.remote = side.remote;
    this.provenNames = side.provenNames;
    this.encrypted = encrypted;
  }

  listen(events: WireEvents): void {
    this.events = events;
    this.stream.stir();
  }

  write(bytes: Uint8Array): boolean {
    return this.state === 'open' && this.stream.write(this.index, bytes);
  }

  buffered(): number {
    return this.stream.waitingBytes(this.index);
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    this.stream.stir();
  }

  close(now: boolean = false): void {
    if (this.state !== 'open' && !(now && this.state === 'closing')) return;
    this.stream.close(this.index, now);
  }
}

export class VirtualStream {
  readonly wires: readonly [Wire, Wire];
  readonly name: string;
  private readonly clock: Pick<Clock, 'mono' | 'timer'>;
  private readonly seed: number;
  private readonly ends: readonly [End, End];
  private readonly pipes: readonly [Pipe, Pipe] = [new Pipe(), new Pipe()];
  private readonly ways: readonly [Way, Way];
  private readonly isSilent: (host: string) => boolean;
  private readonly onEvent: (event: string) => void;
  /** It was reset: what is written until an end learns of that goes nowhere. */
  private broken = false;

  constructor(options: StreamOptions) {
    this.name = options.name;
    this.clock = options.clock;
    this.seed = mix(options.seed, hashOf(options.name));
    this.ways = options.ways;
    this.isSilent = options.isSilent;
    this.onEvent = options.onEvent;
    this.ends = [
      new End(this, 0, options.sides[0], options.encrypted),
      new End(this, 1, options.sides[1], options.encrypted),
    ];
    this.wires = this.ends;
  }

  /** When what is under way now has arrived, if nothing stops it. */
  get arrivesAt(): number {
    return Math.max(...this.pipes.map(({ lastAt }) => lastAt));
  }

  touches(host: string): boolean {
    return this.ends[0].host === host || this.ends[1].host === host;
  }

  describe(): { name: string; waiting: [number, number]; carried: [number, number] } {
    const [there, back] = this.pipes;
    return {
      name: this.name,
      waiting: [there.waitingBytes + there.wayBytes, back.waitingBytes + back.wayBytes],
      carried: [there.carried, back.carried],
    };
  }

  waitingBytes(from: 0 | 1): number {
    return this.pipes[from].waitingBytes;
  }

  write(from: 0 | 1, bytes: Uint8Array): boolean {
    const pipe = this.pipes[from];
    if (bytes.length > 0) {
      pipe.waiting.push(bytes);
      pipe.waitingBytes += bytes.length;
      this.plan(from);
    }
    if (pipe.waitingBytes < this.ways[from].faults.bufferBytes) return true;
    pipe.choked = true;
    return false;
  }

  close(from: 0 | 1, now: boolean): void {
    const end = this.ends[from];
    const pipe = this.pipes[from];
    if (now) drop(pipe);
    pipe.fin = true;
    end.state = 'closing';
    this.later(0, () => {
      if (!now && pipe.waitingBytes > 0 && end.state === 'closing') return; // told when the last byte has left
      this.finish(from, { why: 'closed' });
    });
    this.plan(from);
  }

  /** Both ends learn of it, each after what happened to arrive before. */
  reset(): void {
    this.onEvent('reset');
    this.broken = true;
    for (const from of [0, 1] as const) {
      const pipe = this.pipes[from];
      drop(pipe);
      const kept = this.draw(from, pipe.chunks, 7) % (pipe.way.length + 1);
      for (const { bytes } of pipe.way.splice(kept)) pipe.wayBytes -= bytes.length;
      const to = other(from);
      this.later(this.ways[from].faults.delayMs, () => {
        const end = this.ends[to];
        if (end.state !== 'closed' && !end.paused)
          for (const chunk of pipe.way.splice(0)) this.hand(to, pipe, chunk.bytes);
        this.finish(to, { why: 'error', error: resetError() });
      });
    }
  }

  /** The end on this host is dead without a word. */
  abandon(host: string, silent: boolean): void {
    for (const from of [0, 1] as const) {
      const end = this.ends[from];
      if (end.host !== host || end.state === 'closed') continue;
      end.state = 'closed';
      end.events = undefined;
      drop(this.pipes[from]);
      const to = other(from);
      if (!silent) this.resetBy(from, to);
      this.goneWhenBoth();
    }
  }

  /** Something that held the stream up may be over. */
  stir(): void {
    this.plan(0);
    this.plan(1);
  }

  /** Moves what can be moved, when the time has come: once for all that was asked at this moment. */
  private plan(from: 0 | 1): void {
    const pipe = this.pipes[from];
    if (pipe.planned) return;
    pipe.planned = true;
    this.later(0, () => {
      pipe.planned = false;
      this.send(from);
      this.deliver(from);
    });
  }

  /** From the sender's buffer onto the way, as far as the window allows. */
  private send(from: 0 | 1): void {
    const pipe = this.pipes[from];
    const { faults, blocked } = this.ways[from];
    const now = this.clock.mono();
    while (pipe.waitingBytes > 0 && !blocked && !this.broken) {
      const room = faults.windowBytes - pipe.wayBytes;
      if (room <= 0) break;
      if (faults.bytesPerMs > 0 && pipe.freeAt > now) {
        this.later(pipe.freeAt - now, () => this.plan(from));
        break;
      }
      const head = pipe.waiting[0] as Uint8Array;
      const number = pipe.chunks++;
      const wanted = faults.chunkMax > 0 ? 1 + (this.draw(from, number, 1) % faults.chunkMax) : readBytesMax;
      const count = Math.min(wanted, room, head.length - pipe.waitingAt, readBytesMax);
      const bytes = head.slice(pipe.waitingAt, pipe.waitingAt + count);
      pipe.waitingAt += count;
      pipe.waitingBytes -= count;
      if (pipe.waitingAt === head.length) {
        pipe.waiting.shift();
        pipe.waitingAt = 0;
      }
      if (faults.corrupt > 0 && this.draw(from, number, 2) / 2 ** 32 < faults.corrupt) {
        const at = this.draw(from, number, 3) % count;
        bytes[at] = (bytes[at] as number) ^ (1 << (this.draw(from, number, 4) % 8));
        this.onEvent('corrupted');
      }
      const jitter = faults.jitterMs > 0 ? (this.draw(from, number, 5) / 2 ** 32) * faults.jitterMs : 0;
      if (faults.bytesPerMs > 0) pipe.freeAt = Math.max(pipe.freeAt, now) + count / faults.bytesPerMs;
      const at = Math.max(pipe.lastAt, now + faults.delayMs + jitter);
      pipe.lastAt = at;
      pipe.way.push({ bytes, at });
      pipe.wayBytes += count;
      this.later(at - now, () => this.deliver(from));
    }
    this.relieve(from);
  }

  private relieve(from: 0 | 1): void {
    const pipe = this.pipes[from];
    const end = this.ends[from];
    if (pipe.choked && pipe.waitingBytes * 2 <= this.ways[from].faults.bufferBytes) {
      pipe.choked = false;
      if (end.state === 'open') end.events?.onDrain();
    }
    if (end.state === 'closing' && pipe.waitingBytes === 0) this.finish(from, { why: 'closed' });
  }

  /** From the way to the reader. Chunks that arrived together come as one when nothing cuts them up. */
  private deliver(from: 0 | 1): void {
    const pipe = this.pipes[from];
    const to = other(from);
    const end = this.ends[to];
    const now = this.clock.mono();
    if (this.ways[from].blocked) return;
    if (end.state === 'closed') {
      // A machine that knows nothing of this connection says so; one that is gone says nothing.
      if (pipe.way.length > 0 && !this.isSilent(end.host)) this.resetBy(to, from);
      return;
    }
    let moved = false;
    while (pipe.way.length > 0 && !end.paused && end.events !== undefined && this.ends[to].state !== 'closed') {
      if ((pipe.way[0] as { at: number }).at > now) break;
      const { bytes } = pipe.way.shift() as { bytes: Uint8Array };
      this.hand(to, pipe, bytes);
      moved = true;
    }
    if (moved) this.plan(from);
    if (pipe.fin && pipe.waitingBytes === 0 && pipe.way.length === 0 && !end.paused && end.events !== undefined) {
      const left = Math.max(0, pipe.lastAt - now, this.ways[from].faults.delayMs);
      this.later(left, () => {
        if (!this.ways[from].blocked) this.finish(to, { why: 'ended' });
      });
    }
  }

  private hand(to: 0 | 1, pipe: Pipe, bytes: Uint8Array): void {
    pipe.wayBytes -= bytes.length;
    pipe.carried += bytes.length;
    const { events, state } = this.ends[to];
    if (state === 'open') events?.onBytes(bytes);
    bytes.fill(spoilt);
  }

  /** The host of end `dead` answers the other end with a reset. */
  private resetBy(dead: 0 | 1, to: 0 | 1): void {
    this.later(this.ways[dead].faults.delayMs, () => {
      if (!this.ways[dead].blocked) this.finish(to, { why: 'error', error: resetError() });
    });
  }

  private finish(index: 0 | 1, end: WireEnd): void {
    const side = this.ends[index];
    if (side.state === 'closed') return;
    side.state = 'closed';
    const { events } = side;
    side.events = undefined;
    if (end.why !== 'closed') drop(this.pipes[index]);
    this.plan(index);
    this.plan(other(index));
    this.goneWhenBoth();
    events?.onEnd(end);
  }

  private goneWhenBoth(): void {
    if (this.ends.every(({ state }) => state === 'closed')) this.onEvent('gone');
  }

  private later(ms: number, fn: () => void): void {
    this.clock.timer(ms, fn);
  }

  private draw(from: 0 | 1, number: number, what: number): number {
    return mix(mix(this.seed, number * 2 + from), what);
  }
}

const other = (index: 0 | 1): 0 | 1 => (index === 0 ? 1 : 0);

function drop(pipe: Pipe): void {
  pipe.waiting.length = 0;
  pipe.waitingAt = 0;
  pipe.waitingBytes = 0;
}

function resetError(): Error {
  return Object.assign(new Error('the connection was reset'), { code: 'ECONNRESET' });
}

/** FNV-1a: names into numbers. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/** Two numbers into one that looks like chance (the finisher of splitmix32). */
function mix(a: number, b: number): number {
  let z = (a + Math.imul(b + 1, 0x9e3779b9)) >>> 0;
  z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
  z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
  return (z ^ (z >>> 15)) >>> 0;
}
