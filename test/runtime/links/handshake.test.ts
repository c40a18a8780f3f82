// The greeting as a machine: who gets through, who does not and what it is told, and that no byte of it can be changed, repeated
// or sent back.

import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addressBytesMax, clusterNameBytesMax, greetingBytesMax } from '../../../src/limits.ts';
import {
  decodeGreeting,
  encodeHello,
  encodeProof,
  encodeRefusal,
  reasons,
} from '../../../src/runtime/links/greeting.ts';
import {
  type Agreed,
  Handshake,
  type HandshakeOptions,
  type KnownSession,
  type Refused,
  type Self,
  type Step,
} from '../../../src/runtime/links/handshake.ts';
import { seededRandom } from '../../../src/testing/virtual-world.ts';

const hmac = (key: Uint8Array, data: Uint8Array): Uint8Array => createHmac('sha256', key).update(data).digest();
const secret = Buffer.from('0123456789abcdef');
const random = seededRandom(4);
const fresh = { received: 0, granted: 4_096 };

type Overrides = Partial<Omit<HandshakeOptions, 'self'>> & { self?: Partial<Self> };

const selfOf = (name: string, self: Partial<Self> = {}): Self => ({
  cluster: 'c',
  name,
  incarnation: name === 'n1' ? 11 : 22,
  address: `${name}:1`,
  secret,
  ...self,
});
const end = (role: 'dialer' | 'acceptor', { self, ...more }: Overrides = {}): Handshake =>
  new Handshake({
    role,
    self: selfOf(role === 'dialer' ? 'n1' : 'n2', self),
    nonce: random.bytes(32),
    hmac,
    expected: role === 'dialer' ? 'n2' : undefined,
    provenNames: undefined,
    sessionWith: () => undefined,
    fresh,
    ...more,
  });

interface Outcome {
  readonly agreed?: Agreed;
  readonly refused?: Refused;
  /** What came last from the machine. */
  readonly step: Step;
}

interface Run {
  readonly dialer: Outcome;
  readonly acceptor: Outcome;
  /** Every body that was sent, dialer's first. */
  readonly sent: Uint8Array[];
}

/** Carries the messages of both ends, as `change` lets them pass, until one end says nothing more. */
function greet(
  dialer: Handshake,
  acceptor: Handshake,
  { progress = fresh, change = (body: Uint8Array, _number: number): Uint8Array => body } = {},
): Run {
  const sent: Uint8Array[] = [];
  const outcomes: Outcome[] = [];
  let step = dialer.begin();
  for (let turn = 0; ; turn ^= 1) {
    if (step.type === 'asks') step = acceptor.accept(progress);
    outcomes[turn] = outcomes[turn]?.refused
      ? (outcomes[turn] as Outcome)
      : {
          step,
          ...(step.type === 'done' ? { agreed: step.agreed } : {}),
          ...(step.type === 'refused' ? { refused: step } : {}),
        };
    const body = step.type === 'asks' ? undefined : step.body;
    if (body === undefined) break;
    sent.push(body);
    step = (turn === 0 ? acceptor : dialer).onPacket(change(body, sent.length - 1));
  }
  return { dialer: outcomes[0] as Outcome, acceptor: outcomes[1] as Outcome, sent };
}

const reasonsOf = ({ dialer, acceptor }: Run): unknown => [
  [dialer.refused?.by, dialer.refused?.reason],
  [acceptor.refused?.by, acceptor.refused?.reason],
];

describe('a message of the greeting', () => {
  const count = fc.oneof(fc.nat(), fc.maxSafeNat());
  const text = (bytesMax: number) =>
    fc
      .string({ unit: 'grapheme', maxLength: 80 })
      .filter(each => Buffer.byteLength(each) <= bytesMax && !/\p{Cc}/u.test(each));

  it('is understood as it was said', () => {
    const hello = fc.record({
      role: fc.constantFrom('dialer' as const, 'acceptor' as const),
      versionMin: fc.integer({ min: 0, max: 9 }),
      versionMax: fc.integer({ min: 9, max: 65_535 }),
      nonce: fc.uint8Array({ minLength: 32, maxLength: 32 }),
      incarnation: count,
      session: count,
      sessionIncarnation: count,
      cluster: text(64),
      name: fc.stringMatching(/^[a-z0-9-]{1,32}$/),
      address: text(255),
    });
    const proof = fc.record({
      role: fc.constantFrom('dialer' as const, 'acceptor' as const),
      mac: fc.constantFrom(0, 32).chain(length => fc.uint8Array({ minLength: length, maxLength: length })),
      progress: fc.record({ received: count, granted: count }),
    });
    const replicas = fc.option(fc.integer({ min: 1, max: 255 }), { nil: undefined });
    const check = fc.property(hello, replicas, proof, (hi, replicas, proved) => {
      expect(decodeGreeting(encodeHello({ ...hi, replicas }))).toEqual({ type: 'hello', ...hi, replicas });
      expect(decodeGreeting(encodeProof(proved))).toEqual({ type: 'proof', ...proved });
    });
    fc.assert(check, { seed: 20_260_101, numRuns: 500 });
    for (const reason of reasons) expect(decodeGreeting(encodeRefusal(reason))).toEqual({ type: 'refusal', reason });
  });

  it('of the largest size fits into the packet of a stranger', () => {
    const bytes = encodeHello({
      role: 'dialer',
      versionMin: 1,
      versionMax: 1,
      nonce: new Uint8Array(32),
      incarnation: 1,
      session: 1,
      sessionIncarnation: 1,
      cluster: 'c'.repeat(clusterNameBytesMax),
      name: 'n'.repeat(32),
      address: 'a'.repeat(addressBytesMax),
    });
    expect(decodeGreeting(bytes)?.type).toBe('hello');
    expect(bytes.length).toBeLessThan(greetingBytesMax / 2);
  });
});

describe('two nodes that know the secret', () => {
  it('learn of each other and agree on a session that neither has chosen', () => {
    const sessions = Array.from({ length: 20 }, () => {
      const { dialer, acceptor, sent } = greet(end('dialer'), end('acceptor'));
      expect(sent).toHaveLength(4);
      expect(Math.max(...sent.map(({ length }) => length))).toBeLessThan(200);
      expect(dialer.agreed?.session).toBe(acceptor.agreed?.session);
      expect(dialer.agreed).toMatchObject({
        resumed: false,
        version: 1,
        progress: fresh,
        peer: { name: 'n2', incarnation: 22, address: 'n2:1' },
      });
      expect(acceptor.agreed).toMatchObject({
        resumed: false,
        peer: { name: 'n1', incarnation: 11, address: 'n1:1' },
      });
      return dialer.agreed?.session;
    });
    expect(new Set(sessions).size).toBe(20);
  });

  it.each([
    [3, 3],
    [3, undefined],
    [undefined, 3],
  ])('do so where both keep partitions alike, or one does not say: %s and %s', (ours, theirs) => {
    const { dialer, acceptor } = greet(
      end('dialer', { self: { replicas: ours } }),
      end('acceptor', { self: { replicas: theirs } }),
    );
    expect(dialer.agreed?.peer.replicas).toBe(theirs);
    expect(acceptor.agreed?.peer.replicas).toBe(ours);
  });

  it('hear how many partitions the other has, with and without its number of replicas', () => {
    const { dialer, acceptor } = greet(
      end('dialer', { self: { partitions: 64 } }),
      end('acceptor', { self: { replicas: 3, partitions: 64 } }),
    );
    expect([dialer.agreed?.peer.replicas, dialer.agreed?.peer.partitions]).toEqual([3, 64]);
    expect([acceptor.agreed?.peer.replicas, acceptor.agreed?.peer.partitions]).toEqual([undefined, 64]);
  });

  it('do so without a secret when neither has one', () => {
    const none = { self: { secret: undefined } };
    const { dialer, acceptor } = greet(end('dialer', none), end('acceptor', none));
    expect(dialer.agreed?.session).toBe(acceptor.agreed?.session);
  });

  const known = (incarnation: number, session: number, received: number): KnownSession => ({
    session,
    incarnation,
    progress: () => ({ received, granted: 9_000 + received }),
  });

  it('go on with a session that both know, and say how far they have got', () => {
    const run = greet(
      end('dialer', { sessionWith: name => (name === 'n2' ? known(22, 77, 5) : undefined) }),
      end('acceptor', { sessionWith: name => (name === 'n1' ? known(11, 77, 8) : undefined) }),
      { progress: { received: 8, granted: 9_008 } },
    );
    expect(run.dialer.agreed).toMatchObject({
      session: 77,
      resumed: true,
      progress: { received: 8, granted: 9_008 },
    });
    expect(run.acceptor.agreed).toMatchObject({
      session: 77,
      resumed: true,
      progress: { received: 5, granted: 9_005 },
    });
  });

  it.each([
    ['the dialer has a new life', known(22, 77, 5), known(10, 77, 8)],
    ['the acceptor has a new life', known(21, 77, 5), known(11, 77, 8)],
    ['they name different ones', known(22, 77, 5), known(11, 78, 8)],
    ['the acceptor knows of none', known(22, 77, 5), undefined],
    ['the dialer knows of none', undefined, known(11, 77, 8)],
  ])('begin anew when %s', (_why, ofDialer, ofAcceptor) => {
    const { dialer, acceptor } = greet(
      end('dialer', { sessionWith: () => ofDialer }),
      end('acceptor', { sessionWith: () => ofAcceptor }),
    );
    expect(dialer.agreed).toMatchObject({ resumed: false, progress: fresh });
    expect(acceptor.agreed).toMatchObject({ resumed: false, progress: fresh });
    expect(dialer.agreed?.session).toBe(acceptor.agreed?.session);
    expect([0, 77, 78]).not.toContain(dialer.agreed?.session);
  });

  it.each([1, 2])(
    'give up when the session ends under the greeting (%i looks after the hello of the dialer)',
    looks => {
      let left = looks;
      const run = greet(
        end('dialer', { sessionWith: () => (left-- > 0 ? known(22, 77, 5) : undefined) }),
        end('acceptor', { sessionWith: () => known(11, 77, 8) }),
      );
      expect(run.dialer.refused).toMatchObject({ by: 'us', reason: 'superseded' });
    },
  );

  it('give up when another session has begun under the greeting', () => {
    let looks = 0;
    const run = greet(
      end('dialer'),
      end('acceptor', { sessionWith: () => (++looks > 1 ? known(11, 79, 0) : undefined) }),
    );
    expect(reasonsOf(run)).toEqual([
      ['them', 'superseded'],
      ['us', 'superseded'],
    ]);
  });

  it('skip what a later version says behind its hello', () => {
    const nonce = random.bytes(32);
    const hello = (more: object): Uint8Array =>
      encodeHello({
        role: 'dialer',
        versionMin: 1,
        versionMax: 9,
        nonce,
        incarnation: 11,
        session: 0,
        sessionIncarnation: 0,
        cluster: 'c',
        name: 'n1',
        address: '',
        ...more,
      });
    expect(end('acceptor').onPacket(Buffer.concat([hello({}), Buffer.from('later')])).type).toBe('send');
    expect(end('acceptor').onPacket(hello({ versionMin: 2 }))).toMatchObject({ reason: 'version' });
    expect(end('acceptor').onPacket(hello({ versionMin: 10 }))).toMatchObject({ reason: 'malformed' });
    expect(end('acceptor').onPacket(hello({ versionMin: 0, versionMax: 0 }))).toMatchObject({ reason: 'version' });
  });
});

describe('a greeting is refused', () => {
  type Row = [why: string, dialer: Overrides, acceptor: Overrides, dialerEnds: unknown[], acceptorEnds: unknown[]];
  const none = { secret: undefined };
  it.each<Row>([
    // With a secret: who has proved nothing is told next to nothing.
    ['another cluster', { self: { cluster: 'd' } }, {}, ['them', 'refused'], ['us', 'cluster']],
    ['another node of our name', { self: { name: 'n2' } }, {}, ['them', 'refused'], ['us', 'namesake']],
    ['this node itself', { self: { name: 'n2', incarnation: 22 } }, {}, ['them', 'self'], ['us', 'self']],
    ['another name than expected', { expected: 'n3' }, {}, ['us', 'name'], ['them', 'refused']],
    ['another name than certified', {}, { provenNames: ['n9'] }, ['them', 'refused'], ['us', 'certificate']],
    ['an acceptor of another name than certified', { provenNames: [] }, {}, ['us', 'certificate'], ['them', 'refused']],
    ['the wrong secret', { self: { secret: Buffer.from('x') } }, {}, ['them', 'secret'], ['us', 'secret']],
    ['no secret where one is asked for', { self: none }, {}, ['them', 'secret'], ['us', 'secret']],
    ['a secret where none is known', {}, { self: none }, ['them', 'secret'], ['us', 'secret']],
    [
      'a peer we know, by an address alone',
      { expected: undefined, sessionWith: () => ({ session: 1, incarnation: 1, progress: () => fresh }) },
      {},
      ['us', 'duplicate'],
      ['them', 'duplicate'],
    ],
    // Without one there is nothing to hide.
    [
      'another cluster, openly',
      { self: { ...none, cluster: 'd' } },
      { self: none },
      ['them', 'cluster'],
      ['us', 'cluster'],
    ],
    ['another name, openly', { self: none, expected: 'n3' }, { self: none }, ['us', 'name'], ['them', 'name']],
    // Told also with a secret, for it is told behind the proof.
    [
      'another number of replicas',
      { self: { replicas: 1 } },
      { self: { replicas: 3 } },
      ['them', 'replicas'],
      ['us', 'replicas'],
    ],
    [
      'another number of partitions',
      { self: { partitions: 64 } },
      { self: { partitions: 65_536 } },
      ['them', 'partitions'],
      ['us', 'partitions'],
    ],
  ])('by %s', (_why, dialer, acceptor, dialerEnds, acceptorEnds) => {
    const run = greet(end('dialer', dialer), end('acceptor', acceptor));
    expect(reasonsOf(run)).toEqual([dialerEnds, acceptorEnds]);
    expect([run.dialer.agreed, run.acceptor.agreed]).toEqual([undefined, undefined]);
  });

  it('by the shell, which may say why, because the other side has proved itself', () => {
    const [dialer, acceptor] = [end('dialer'), end('acceptor')];
    const hello = acceptor.onPacket((dialer.begin() as { body: Uint8Array }).body);
    const proof = dialer.onPacket((hello as { body: Uint8Array }).body);
    expect(acceptor.onPacket((proof as { body: Uint8Array }).body).type).toBe('asks');
    expect(decodeGreeting(acceptor.refuse('duplicate').body as Uint8Array)).toEqual({
      type: 'refusal',
      reason: 'duplicate',
    });
    expect(() => acceptor.accept(fresh)).toThrow('accept() in state over');
  });

  it('with a code that no release knows as with one that says nothing', () => {
    const dialer = end('dialer');
    dialer.begin();
    expect(dialer.onPacket(Uint8Array.of(5, 200))).toMatchObject({ by: 'them', reason: 'refused' });
    expect(encodeRefusal('refused')).toEqual(Uint8Array.of(5, 0));
  });

  it('and says nothing of itself to another cluster', () => {
    const { sent } = greet(end('dialer', { self: { cluster: 'd' } }), end('acceptor'));
    expect(sent.slice(1)).toEqual([encodeRefusal('refused')]);
  });
});

describe('an attacker', () => {
  it('who changes one bit of one message gets no agreement at the end that reads it', () => {
    const { sent } = greet(end('dialer'), end('acceptor'));
    for (const [number, { length }] of sent.entries()) {
      for (let at = 0; at < length; at++) {
        const change = (body: Uint8Array, n: number): Uint8Array => {
          const changed = body.slice();
          if (n === number) changed[at] = (changed[at] as number) ^ (1 << (at % 8));
          return changed;
        };
        const run = greet(end('dialer'), end('acceptor'), { change });
        expect([number, at, run.dialer.agreed]).toEqual([number, at, undefined]);
        if (number < 3) expect([number, at, run.acceptor.agreed]).toEqual([number, at, undefined]);
      }
    }
  });

  it('who cuts a message off anywhere gets nowhere', () => {
    const { sent } = greet(end('dialer'), end('acceptor'));
    for (const [number, { length }] of sent.entries()) {
      for (let keep = 0; keep < length; keep++) {
        const change = (body: Uint8Array, n: number): Uint8Array => (n === number ? body.subarray(0, keep) : body);
        const run = greet(end('dialer'), end('acceptor'), { change });
        const reader = number % 2 === 0 ? run.acceptor : run.dialer;
        expect([number, keep, reader.refused?.by, reader.refused?.reason]).toEqual([number, keep, 'us', 'malformed']);
      }
    }
  });

  it('who has recorded a greeting cannot be the dialer again', () => {
    const { sent } = greet(end('dialer'), end('acceptor'));
    const acceptor = end('acceptor');
    expect(acceptor.onPacket(sent[0] as Uint8Array).type).toBe('send');
    expect(acceptor.onPacket(sent[2] as Uint8Array)).toMatchObject({ type: 'refused', by: 'us', reason: 'secret' });
  });

  it('who has recorded a greeting cannot be the acceptor again', () => {
    const { sent } = greet(end('dialer'), end('acceptor'));
    const dialer = end('dialer');
    dialer.begin();
    expect(dialer.onPacket(sent[1] as Uint8Array).type).toBe('send');
    expect(dialer.onPacket(sent[3] as Uint8Array)).toMatchObject({ type: 'refused', by: 'us', reason: 'secret' });
  });

  it('who sends back what it hears proves nothing', () => {
    const dialer = end('dialer', { expected: undefined });
    const own = (dialer.begin() as { body: Uint8Array }).body;
    expect(dialer.onPacket(own)).toMatchObject({ by: 'us', reason: 'malformed' });

    // As an acceptor of another name, with our nonce and our own proof.
    const again = end('dialer', { expected: undefined });
    const hello = decodeGreeting((again.begin() as { body: Uint8Array }).body);
    if (hello?.type !== 'hello') throw new Error('no hello');
    const proofStep = again.onPacket(encodeHello({ ...hello, role: 'acceptor', name: 'n9' }));
    const proof = decodeGreeting((proofStep as { body: Uint8Array }).body);
    if (proof?.type !== 'proof') throw new Error('no proof');
    expect(again.onPacket(encodeProof({ ...proof, role: 'acceptor' }))).toMatchObject({ by: 'us', reason: 'secret' });
  });

  it('who lets two honest ends greet, and gives each message to another greeting, gets nowhere', () => {
    const one = greet(end('dialer'), end('acceptor')).sent;
    for (let number = 0; number < 4; number++) {
      const change = (body: Uint8Array, n: number): Uint8Array => (n === number ? (one[n] as Uint8Array) : body);
      const run = greet(end('dialer'), end('acceptor'), { change });
      expect(run.dialer.agreed).toBe(undefined);
      if (number < 3) expect(run.acceptor.agreed).toBe(undefined);
    }
  });

  it('who knows no secret gets no proof of it from an acceptor', () => {
    const { sent } = greet(end('dialer', { self: { secret: undefined } }), end('acceptor'));
    expect(sent.map(body => decodeGreeting(body)?.type)).toEqual(['hello', 'hello', 'proof', 'refusal']);
    expect(decodeGreeting(sent[2] as Uint8Array)).toMatchObject({ role: 'dialer' });
  });

  it('who talks out of turn, or nonsense, is refused and never an exception', () => {
    const { sent } = greet(end('dialer'), end('acceptor'));
    const chance = seededRandom(8);
    for (let i = 0; i < 5_000; i++) {
      const acceptor = end('acceptor');
      const bodies: Uint8Array[] = [];
      for (let n = 0; n < 3; n++) {
        const body = i % 2 === 0 ? chance.bytes(chance.u32() % 200) : (sent[chance.u32() % 4] as Uint8Array).slice();
        if (i % 2 === 0 && body.length > 0) body[0] = chance.u32() % 7;
        bodies.push(body);
      }
      for (const body of bodies) expect(['send', 'refused']).toContain(acceptor.onPacket(body).type);
      expect(() => acceptor.accept(fresh)).toThrow();
    }
  });
});
