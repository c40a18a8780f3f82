// The greeting as a machine: two nodes learn who the other is, prove to each other that they know the secret, and agree on the
// session they go on with. One for each end of a connection; the shell carries its messages and closes when it says so.
//
//   dialer                                                    acceptor
//     begin() ── hello: versions, names, life, nonce ──────────▶  judged
//     judged  ◀───────────────────────────────────── hello ──
//             ── proof, how far it has got in the session ─────▶  judged: 'asks', and the shell decides
//     judged  ◀────────────── proof, how far this end has got ──  accept(progress): 'done'
//     'done'
//              either may end it with a refusal at any time
//
// A proof is an HMAC-SHA256 under the secret over the role, both hellos as bytes, and the progress it brings. Both nonces are in it, so it is good for one greeting: a recorded one proves nothing later (replay). The role is
// in it, so that what we said does not prove anything to us (reflection). The dialer goes first: who knows no secret gets no proof
// out of an acceptor. Without a secret the proofs are empty, for loopback and for TLS.
//
// A session goes on when both ends name the same one, between the same two lives. Otherwise its number is made of both nonces: no
// counter to keep, and neither end alone chooses it.
//
// Invariant: 'asks' and 'done' come only after a right proof; before it a stranger learns our hello, and of the reasons for a
// refusal only those that tell nothing.

import {
  decodeGreeting,
  encodeHello,
  encodeProof,
  encodeRefusal,
  type Hello,
  type Proof,
  progressBytes,
  type Reason,
  type Role,
  versionMax,
  versionMin,
} from './greeting.ts';
import type { Progress } from './peer-inbox.ts';

/** HMAC-SHA256: 32 bytes. An edge brings it. */
export type Hmac = (key: Uint8Array, data: Uint8Array) => Uint8Array;

/** What this node says of itself. */
export interface Self {
  readonly cluster: string;
  readonly name: string;
  readonly incarnation: number;
  readonly address: string;
  /** Undefined: it says nothing of that, and nobody is refused for it. */
  readonly replicas?: number | undefined;
  readonly partitions?: number | undefined;
  readonly secret: Uint8Array | undefined;
}

/** A session this node has with a peer. */
export interface KnownSession {
  readonly session: number;
  /** The life of the peer that it is with. */
  readonly incarnation: number;
  progress(): Progress;
}

export interface HandshakeOptions {
  readonly role: Role;
  readonly self: Self;
  /** 32 random bytes of this greeting alone. */
  readonly nonce: Uint8Array;
  readonly hmac: Hmac;
  /** Dialer: whom we expect. Undefined: whoever is there, but nobody we know already. */
  readonly expected: string | undefined;
  /** The names that its certificate proved. */
  readonly provenNames: readonly string[] | undefined;
  readonly sessionWith: (name: string) => KnownSession | undefined;
  /** Where an end stands in a session that begins. */
  readonly fresh: Progress;
}

export interface Agreed {
  readonly peer: Hello;
  readonly version: number;
  readonly session: number;
  /** The session goes on; otherwise it begins. */
  readonly resumed: boolean;
  /** How far the other end has got. */
  readonly progress: Progress;
}

export interface Refused {
  readonly type: 'refused';
  readonly reason: Reason;
  /** Who refused. */
  readonly by: 'us' | 'them';
  /** What it claims to be, as far as it has said. Proved only where the reason came after the proof. */
  readonly peer: Hello | undefined;
  readonly expected: string | undefined;
  readonly provenNames: readonly string[] | undefined;
  /** Sent before the connection is closed. */
  readonly body: Uint8Array | undefined;
}

export type Step =
  | { readonly type: 'send'; readonly body: Uint8Array }
  /** Acceptor: the other side has proved itself. Answer with accept() or refuse(). */
  | { readonly type: 'asks'; readonly agreed: Agreed }
  /** What was to be sent last is `body`; then the link may begin. */
  | { readonly type: 'done'; readonly agreed: Agreed; readonly body: Uint8Array | undefined }
  | Refused;

export class Handshake {
  private readonly options: HandshakeOptions;
  private state: 'hello' | 'proof' | 'asks' | 'over' = 'hello';
  private proven = false;
  private ownHello: Uint8Array = new Uint8Array(0);
  private peerHello: Uint8Array = new Uint8Array(0);
  private peer: Hello | undefined;
  private agreed: Agreed | undefined;
  /** The session that our hello named, and with which life. */
  private said: { readonly session: number; readonly incarnation: number } = { session: 0, incarnation: 0 };

  constructor(options: HandshakeOptions) {
    this.options = options;
  }

  /** What the other side says it is called, as far as it has said and proved or not. */
  get claims(): string | undefined {
    return this.peer?.name;
  }

  /** The dialer's first message. The acceptor waits for it. */
  begin(): Step {
    const { expected } = this.options;
    return { type: 'send', body: this.hello(expected === undefined ? undefined : this.options.sessionWith(expected)) };
  }

  onPacket(body: Uint8Array): Step {
    if (this.state === 'over') return this.becomeOver('malformed', 'us', undefined);
    const greeting = this.state === 'asks' ? undefined : decodeGreeting(body);
    if (greeting?.type === 'refusal') return this.becomeOver(greeting.reason, 'them', undefined);
    if (greeting?.type !== this.state || greeting.role === this.options.role) return this.refuse('malformed');
    return greeting.type === 'hello' ? this.onHello(greeting, body) : this.onProof(greeting);
  }

  /** Acceptor, after 'asks'. */
  accept(progress: Progress): Step {
    const { agreed } = this;
    if (this.state !== 'asks' || agreed === undefined) throw new Error(`accept() in state ${this.state}`);
    this.state = 'over';
    return { type: 'done', agreed, body: this.proof(progress) };
  }

  refuse(reason: Reason): Refused {
    return this.becomeOver(reason, 'us', encodeRefusal(this.mayTell(reason) ? reason : 'refused'));
  }

  private onHello(hello: Hello, body: Uint8Array): Step {
    this.peer = hello;
    this.peerHello = body.slice();
    const reason = this.judge(hello);
    if (reason !== undefined) return this.refuse(reason);
    this.state = 'proof';
    if (this.options.role === 'acceptor')
      return { type: 'send', body: this.hello(this.options.sessionWith(hello.name)) };
    if (this.hasMoved()) return this.refuse('superseded');
    return { type: 'send', body: this.proof(this.common()?.progress() ?? this.options.fresh) };
  }

  private onProof(proof: Proof): Step {
    if (!this.isRight(proof)) return this.refuse('secret');
    this.proven = true;
    const misfit = this.misfit(this.peer as Hello);
    if (misfit !== undefined) return this.refuse(misfit);
    if (this.hasMoved()) return this.refuse('superseded');
    const common = this.common();
    const agreed: Agreed = {
      peer: this.peer as Hello,
      version: Math.min(versionMax, (this.peer as Hello).versionMax),
      session: common?.session ?? this.freshSession(),
      resumed: common !== undefined,
      progress: proof.progress,
    };
    this.agreed = agreed;
    this.state = proof.role === 'dialer' ? 'asks' : 'over';
    return proof.role === 'dialer' ? { type: 'asks', agreed } : { type: 'done', agreed, body: undefined };
  }

  private judge(hello: Hello): Reason | undefined {
    const { self, expected, provenNames, role, sessionWith } = this.options;
    if (hello.versionMin > versionMax || hello.versionMax < versionMin) return 'version';
    if (hello.cluster !== self.cluster) return 'cluster';
    if (hello.name === self.name) return hello.incarnation === self.incarnation ? 'self' : 'namesake';
    if (expected !== undefined && hello.name !== expected) return 'name';
    if (provenNames !== undefined && !provenNames.includes(hello.name)) return 'certificate';
    if (role === 'dialer' && expected === undefined && sessionWith(hello.name) !== undefined) return 'duplicate';
    return undefined;
  }

  /** Judged behind the proof, when it may be told: two that disagree on who must agree to a write, or where a key lives, are no cluster. */
  private misfit(peer: Hello): 'replicas' | 'partitions' | undefined {
    const { self } = this.options;
    return (['replicas', 'partitions'] as const).find(
      what => self[what] !== undefined && peer[what] !== undefined && self[what] !== peer[what],
    );
  }

  /** The session that both hellos name, between the same two lives. */
  private common(): KnownSession | undefined {
    const { said, peer } = this;
    if (peer === undefined || said.session === 0 || said.session !== peer.session) return undefined;
    if (said.incarnation !== peer.incarnation || peer.sessionIncarnation !== this.options.self.incarnation)
      return undefined;
    return this.options.sessionWith(peer.name);
  }

  /** What our hello said of a session holds no more: it has ended meanwhile, or another has begun. */
  private hasMoved(): boolean {
    const known = this.options.sessionWith((this.peer as Hello).name);
    return (known?.session ?? 0) !== this.said.session || (known?.incarnation ?? 0) !== this.said.incarnation;
  }

  /** 48 bits of both nonces, never 0. */
  private freshSession(): number {
    const nonces = [this.options.nonce, (this.peer as Hello).nonce] as const;
    let session = 0;
    for (let i = 0; i < 6; i++) session = session * 256 + ((nonces[0][i] as number) ^ (nonces[1][i] as number));
    return session === 0 ? 1 : session;
  }

  private hello(known: KnownSession | undefined): Uint8Array {
    const { role, self, nonce } = this.options;
    const { cluster, name, incarnation, address, replicas, partitions } = self;
    this.said = { session: known?.session ?? 0, incarnation: known?.incarnation ?? 0 };
    const session = { session: this.said.session, sessionIncarnation: this.said.incarnation };
    this.ownHello = encodeHello({
      role,
      versionMin,
      versionMax,
      nonce,
      incarnation,
      ...session,
      cluster,
      name,
      address,
      replicas,
      partitions,
    });
    return this.ownHello;
  }

  private proof(progress: Progress): Uint8Array {
    const { role } = this.options;
    return encodeProof({ role, mac: this.macOf(role, progress), progress });
  }

  /** Both with the same length, so a secret on one side only is found as well. */
  private isRight({ role, mac, progress }: Proof): boolean {
    const expected = this.macOf(role, progress);
    if (mac.length !== expected.length) return false;
    let differ = 0; // no early end: how long we compare tells nothing
    for (let i = 0; i < expected.length; i++) differ |= (mac[i] as number) ^ (expected[i] as number);
    return differ === 0;
  }

  private macOf(role: Role, progress: Progress): Uint8Array {
    const { secret } = this.options.self;
    if (secret === undefined) return new Uint8Array(0);
    const isDialer = this.options.role === 'dialer';
    const [first, second] = isDialer ? [this.ownHello, this.peerHello] : [this.peerHello, this.ownHello];
    const label = new TextEncoder().encode(`troupe links, proof of the ${role}`);
    return this.options.hmac(secret, joined([label, first, second, progressBytes(progress)]));
  }

  /** To who has proved nothing we say only what it knows anyway. */
  private mayTell(reason: Reason): boolean {
    if (this.proven || this.options.self.secret === undefined) return true;
    return ['version', 'secret', 'malformed', 'stopping', 'self', 'duplicate', 'superseded'].includes(reason);
  }

  private becomeOver(reason: Reason, by: 'us' | 'them', body: Uint8Array | undefined): Refused {
    this.state = 'over';
    const { expected, provenNames } = this.options;
    return { type: 'refused', reason, by, peer: this.peer, expected, provenNames, body };
  }
}

/** Each part behind its length: no two lists of parts are the same bytes. */
function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + 4 + part.length, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const part of parts) {
    view.setUint32(at, part.length, true);
    bytes.set(part, at + 4);
    at += 4 + part.length;
  }
  return bytes;
}
