// The network as one life of a process sees it: every byte event is an event of that process, so that it waits while the process
// is paused and never comes after a crash.
//
//     network ── bytes ──▶ copied, unread ──event of the process──▶ onBytes          unread is full: the network holds the rest
//
// Intuition: what lies between is the buffer of the socket in the kernel. A process that stands still finds in it what had come
// meanwhile, and no more than fits.

import type { Wire, WireEvents, WireTransport } from '../../runtime/links/wire.ts';

/** Runs fn as an event of the process, in the order of the calls. False: the process is gone. */
type Arrive = (fn: () => void) => boolean;

/** Bytes of one connection that have come and were not read yet: the receive buffer of a socket. */
const unreadBytesMax = 131_072;

export function wiresOf(network: WireTransport, arrive: Arrive): WireTransport {
  return {
    secure: network.secure,
    dial: (address, options) =>
      new Promise((resolve, reject) => {
        network.dial(address, options).then(
          wire => {
            if (!arrive(() => resolve(new ProcessWire(wire, arrive)))) wire.close(true);
          },
          (error: unknown) => arrive(() => reject(error)),
        );
      }),
    listen: (address, onWire) => network.listen(address, wire => arrive(() => onWire(new ProcessWire(wire, arrive)))),
  };
}

const spoilt = 0xdd;

class ProcessWire implements Wire {
  readonly #wire: Wire;
  readonly #arrive: Arrive;
  /** What has happened and was not told, because the reader has paused. */
  readonly #parked: (() => void)[] = [];
  #unread = 0;
  #paused = false;
  #closed = false;
  #held = false;

  constructor(wire: Wire, arrive: Arrive) {
    this.#wire = wire;
    this.#arrive = arrive;
  }

  get remote(): string {
    return this.#wire.remote;
  }

  get provenNames(): readonly string[] | undefined {
    return this.#wire.provenNames;
  }

  get encrypted(): boolean {
    return this.#wire.encrypted;
  }

  listen(events: WireEvents): void {
    this.#wire.listen({
      onBytes: bytes => {
        const copy = bytes.slice();
        this.#unread += copy.length;
        this.#mind();
        this.#inOrder(() => {
          this.#unread -= copy.length;
          this.#mind();
          if (!this.#closed) events.onBytes(copy);
          copy.fill(spoilt);
        });
      },
      onDrain: () => void this.#arrive(() => this.#closed || events.onDrain()),
      onEnd: end => this.#inOrder(() => events.onEnd(end)),
    });
  }

  write(bytes: Uint8Array): boolean {
    return this.#wire.write(bytes);
  }

  buffered(): number {
    return this.#wire.buffered();
  }

  pause(): void {
    this.#paused = true;
    this.#mind();
  }

  resume(): void {
    this.#paused = false;
    this.#mind();
    this.#tellParked();
  }

  close(now?: boolean): void {
    this.#closed = true;
    this.#mind();
    this.#wire.close(now);
    this.#arrive(() => this.#tellParked());
  }

  /** The end of a stream comes behind its bytes, and what comes to a reader that has paused waits for it. */
  #inOrder(tell: () => void): void {
    this.#arrive(() => {
      this.#parked.push(tell);
      this.#tellParked();
    });
  }

  /** Nobody reads from what we have closed: nothing holds its end up. */
  #tellParked(): void {
    while ((!this.#paused || this.#closed) && this.#parked.length > 0) this.#parked.shift()?.();
  }

  /** The network goes on while there is room and somebody reads. */
  #mind(): void {
    const hold = (this.#paused && !this.#closed) || this.#unread >= unreadBytesMax;
    if (hold === this.#held) return;
    this.#held = hold;
    if (hold) this.#wire.pause();
    else this.#wire.resume();
  }
}
