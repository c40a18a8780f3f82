// The smallest driver of links between processes that is right: who dials, a greeting, beats, and when a session is given up. It
// stands where the table of peers of a node will stand, so that the links have a scenario before there is one.
//
//     lower name dials ──hello──▶ ◀──greeting── ──greeting──▶ attached ──silence, reset──▶ detached ──dials again──▶ ...
//                                                                            │ giveUpMs, or the other has another life
//                                 what is left is told; the next session ◀───┘
//
// A greeting says: who, which life, with which life of yours and in which session I was, and how far I have got in it. The higher
// session of the two goes on; whoever was in a lower one, or with another life, ends it and begins afresh. A hello takes the place
// of every earlier one; an old connection is heard until the greeting is complete, so that some packets come twice.

import { PacketReader, packetOf } from '../../runtime/links/packet.ts';
import type { Progress } from '../../runtime/links/peer-inbox.ts';
import { PeerLink } from '../../runtime/links/peer-link.ts';
import type { Remains } from '../../runtime/links/remains.ts';
import type { Wire } from '../../runtime/links/wire.ts';
import type { Millis } from '../../runtime/world.ts';
import { crc32 } from '../../storage/crc32.ts';
import type { SimWorld } from './process.ts';

/** One life of one process, in the nth session with it. */
export interface SessionName {
  readonly peer: string;
  readonly life: number;
  readonly session: number;
}

export interface SimPeersOptions {
  readonly world: SimWorld;
  /** Of this life: larger than that of every earlier one. */
  readonly life: number;
  /** The names of all processes; 'n1' listens on 'n1:1'. */
  readonly names: readonly string[];
  /** Bytes a link may keep, and hold for a paused reader. */
  readonly bytesMax: number;
  /** How long a session waits for its next connection. */
  readonly giveUpMs: Millis;
  onFrame(from: SessionName, frame: Uint8Array): void;
  onAttached?(session: SessionName): void;
  onDetached?(session: SessionName): void;
  /** The session is about to end: what is sent now is told by onEnded. */
  onEnding?(session: SessionName, link: PeerLink): void;
  onEnded?(session: SessionName, remains: Remains): void;
  /** The network may change bytes: then a damaged packet is no trouble. */
  readonly corrupts: boolean;
  /** What cannot be between honest processes. */
  onTrouble(what: string): void;
}

interface Greeting {
  readonly step: 'hello' | 'greeting';
  readonly name: string;
  readonly life: number;
  /** The life of the one who is greeted that `session` is with; 0: none yet. */
  readonly knows: number;
  readonly session: number;
  readonly received: number;
  readonly granted: number;
}

const kindGreeting = 1;
const beatMs = 1_000;
const silenceMs = 4_000;
const dialTimeoutMs = 2_000;
/** A dial that has failed is tried again after this, and up to as much longer. */
const redialMs = 100;

export class SimPeers {
  readonly #peers = new Map<string, Peer>();

  private constructor(options: SimPeersOptions) {
    for (const name of options.names) {
      if (name !== options.world.name) this.#peers.set(name, new Peer(name, options));
    }
  }

  static async start(options: SimPeersOptions): Promise<SimPeers> {
    const peers = new SimPeers(options);
    const { world } = options;
    await world.wires.listen(`${world.name}:1`, wire => new Connection(wire, options, name => peers.#peers.get(name)));
    for (const peer of peers.#peers.values()) peer.begin();
    return peers;
  }

  /** The link of the session that is under way. Undefined before the two have met. */
  link(name: string): PeerLink | undefined {
    return this.#peers.get(name)?.link;
  }

  session(name: string): SessionName | undefined {
    return this.#peers.get(name)?.sessionName;
  }

  /** Another connection takes the place of the one there is, which works until then. Only who dials can do it. */
  redial(name: string): void {
    this.#peers.get(name)?.redial();
  }

  isAttached(name: string): boolean {
    return this.#peers.get(name)?.connection !== undefined;
  }
}

/** What one process knows of another. */
class Peer {
  readonly name: string;
  link: PeerLink | undefined;
  connection: Connection | undefined;
  /** It has said hello, and nothing else yet. */
  #candidate: Connection | undefined;
  life = 0;
  #session = 0;
  readonly #options: SimPeersOptions;
  #detachedAt = 0;
  #tickAt = 0;

  constructor(name: string, options: SimPeersOptions) {
    this.name = name;
    this.#options = options;
  }

  get sessionName(): SessionName {
    return { peer: this.name, life: this.life, session: this.#session };
  }

  begin(): void {
    this.#tickAt = this.#options.world.clock.mono();
    this.#tick();
    this.#dial();
  }

  greeting(step: Greeting['step']): Greeting {
    const { world, life, bytesMax } = this.#options;
    const progress = this.link?.progress() ?? { received: 0, granted: bytesMax };
    return { step, name: world.name, life, knows: this.life, session: this.#session, ...progress };
  }

  claim(connection: Connection): void {
    this.#candidate?.drop();
    this.#candidate = connection;
    // Acknowledgements must not overtake the greeting: the old connection is only read from now on.
    if (!this.#dials) this.link?.detach();
  }

  /** The other has said where it is. False: this connection cannot go on. */
  meet(connection: Connection, theirs: Greeting): boolean {
    const { life: ownLife, bytesMax } = this.#options;
    if (theirs.life < this.life || connection !== this.#candidate) return false;
    this.#candidate = undefined;
    if (theirs.life > this.life) {
      this.#end();
      this.life = theirs.life;
      this.#session = 0;
    }
    const said = theirs.knows === ownLife ? theirs.session : 0;
    if (said > this.#session) this.#end();
    const session = Math.max(1, said, this.#session);
    const goesOn = said === session;
    this.#session = session;
    this.connection?.drop();
    this.link ??= this.#newLink();
    this.connection = connection;
    const peer: Progress = goesOn ? theirs : { received: 0, granted: bytesMax };
    // The dialer's greeting must be on the wire before the first packet of its link is.
    if (this.#dials) connection.greet(this.greeting('greeting'));
    if (!this.link.attach(connection, peer))
      this.#options.onTrouble(`${this.name} goes on in a session that cannot be`);
    this.#options.world.mark('attached');
    this.#options.onAttached?.(this.sessionName);
    return true;
  }

  lost(connection: Connection): void {
    if (this.#candidate === connection) {
      this.#candidate = undefined;
      if (!this.#dials) this.connection?.drop();
    }
    if (this.#dials) this.#redial();
    if (this.connection !== connection) return;
    this.connection = undefined;
    this.link?.detach();
    this.#detachedAt = this.#options.world.clock.mono();
    this.#options.onDetached?.(this.sessionName);
    this.#options.world.mark('detached');
  }

  #newLink(): PeerLink {
    const { world, bytesMax, onFrame } = this.#options;
    const name = this.sessionName;
    return new PeerLink({
      from: 0,
      crc32,
      bytesMax,
      soon: fn => world.clock.soon(fn),
      onFrame: (_from, bytes, _view, start, end) => onFrame(name, bytes.subarray(start, end)),
    });
  }

  #end(): void {
    const { link } = this;
    if (link === undefined) return;
    const { world, onEnding, onEnded } = this.#options;
    onEnding?.(this.sessionName, link);
    this.link = undefined;
    world.mark('session ends');
    onEnded?.(this.sessionName, link.finish());
  }

  #tick(): void {
    const { clock } = this.#options.world;
    clock.timer(beatMs, () => this.#tick());
    const now = clock.mono();
    // What was not read while we stood still was not silence.
    const stoodMs = Math.max(0, now - this.#tickAt - 2 * beatMs);
    this.#tickAt = now;
    if (this.connection !== undefined) return this.connection.beat(now, stoodMs);
    this.#detachedAt += stoodMs;
    if (this.link === undefined || now - this.#detachedAt < this.#options.giveUpMs) return;
    this.#candidate?.drop(); // it was told of the session that ends
    this.#end();
    this.#session++;
  }

  get #dials(): boolean {
    return this.#options.world.name < this.name;
  }

  #redial(): void {
    const { clock, random } = this.#options.world;
    clock.timer(redialMs * (1 + random.float()), () => this.#dial());
  }

  redial(): void {
    if (this.#dials && this.connection !== undefined && this.#candidate === undefined) this.#open();
  }

  #dial(): void {
    if (this.#dials && this.connection === undefined && this.#candidate === undefined) this.#open();
  }

  #open(): void {
    const { world } = this.#options;
    world.wires.dial(`${this.name}:1`, { timeoutMs: dialTimeoutMs }).then(
      wire => {
        const connection = new Connection(wire, this.#options, () => this);
        connection.begin(this);
        connection.greet(this.greeting('hello'));
      },
      () => this.#redial(),
    );
  }
}

/** One wire: greetings first, then packets of the link. */
class Connection {
  readonly #wire: Wire;
  readonly #reader: PacketReader;
  readonly #peerOf: (name: string) => Peer | undefined;
  #peer: Peer | undefined;
  #joined = false;
  #over = false;
  #heardAt: Millis;

  constructor(wire: Wire, options: SimPeersOptions, peerOf: (name: string) => Peer | undefined) {
    this.#wire = wire;
    this.#peerOf = peerOf;
    const { clock } = options.world;
    this.#heardAt = clock.mono();
    this.#reader = new PacketReader(crc32, (kind, number, bytes, view, start, end) => {
      if (this.#over) return;
      if (kind === kindGreeting) return this.#onGreeting(JSON.parse(decoder.decode(bytes.subarray(start, end))));
      if (this.#joined && this.#peer?.link?.onPacket(kind, number, bytes, view, start, end) === true) return;
      options.onTrouble(`a packet of kind ${kind} of ${this.#peer?.name} was refused`);
      this.drop();
    });
    wire.listen({
      onBytes: bytes => {
        if (this.#over) return;
        this.#heardAt = clock.mono();
        if (this.#reader.push(bytes)) return;
        const { trouble } = this.#reader;
        if (trouble !== undefined && !options.corrupts) options.onTrouble(`a sound stream was refused: ${trouble}`);
        this.drop();
      },
      onDrain: () => {
        if (this.#joined && !this.#over) this.#peer?.link?.writable();
      },
      onEnd: () => this.drop(),
    });
    clock.timer(silenceMs, () => {
      if (!this.#joined) this.drop();
    });
  }

  /** It has its turn: whatever connection there was with this peer is over. */
  begin(peer: Peer): void {
    this.#peer = peer;
    peer.claim(this);
  }

  greet(greeting: Greeting): void {
    this.#wire.write(packetOf(kindGreeting, encoder.encode(JSON.stringify(greeting)), crc32));
  }

  write(bytes: Uint8Array): boolean {
    return this.#wire.write(bytes);
  }

  beat(now: Millis, stoodMs: Millis): void {
    this.#heardAt += stoodMs;
    if (now - this.#heardAt > silenceMs) return this.drop();
    this.#peer?.link?.beat();
  }

  drop(): void {
    if (this.#over) return;
    this.#over = true;
    this.#reader.stop();
    this.#wire.close(true);
    this.#peer?.lost(this);
  }

  #onGreeting(greeting: Greeting): void {
    const peer = this.#peer ?? this.#peerOf(greeting.name);
    if (peer === undefined || greeting.life < peer.life) return this.drop();
    if (greeting.step === 'hello') {
      this.begin(peer);
      return this.greet(peer.greeting('greeting'));
    }
    this.#joined = peer.meet(this, greeting);
    if (!this.#joined) this.drop();
  }
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();
