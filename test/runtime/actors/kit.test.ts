// The test kit itself: probes, effects, time, seeds. API.md section 6.

import { describe, expect, it } from 'vitest';
import { call, tell } from '../../../src/runtime/refs.ts';
import { createTestKit } from '../../../src/testing.ts';
import { outcome } from './outcome.ts';
import { AuditT, type Cart, CartT, FlakyT, OrdersT, PingT } from './shop.ts';

const start = (seed = 1) => createTestKit({ seed, actors: [CartT, OrdersT, AuditT, FlakyT] });

describe('a probe', () => {
  it('takes the place of an actor: the test says what it answers', async () => {
    await using kit = start();
    const orders = kit.probe(OrdersT, 'eu');
    await kit.ref(CartT, 'u').add('book');
    const done = kit.ref(CartT, 'u').checkout();
    expect(await orders.expect('open').reply('o-1')).toEqual({ method: 'open', args: [['book']] });
    expect(await done).toBe('o-1');
    expect(kit.isAwake('orders/eu')).toBe(false);
  });

  it('may stand for a type that is not under test', async () => {
    await using kit = createTestKit({ actors: [CartT, AuditT] });
    const orders = kit.probe(OrdersT, 'eu');
    const done = kit.ref(CartT, 'u').checkout();
    await orders.expect('open').reply('o-1');
    expect(await done).toBe('o-1');
  });

  it('stands for one key, and for messages from outside too', async () => {
    await using kit = start();
    const eu = kit.probe(OrdersT, 'eu');
    const asked = kit.ref(OrdersT, 'eu').ping();
    await eu.expect('ping').reply('from the probe');
    expect(await asked).toBe('from the probe');
    expect(await kit.ref(OrdersT, 'us').ping()).toBe('pong');
  });

  it('can wait for a message before it is sent, match its arguments, and take a later one first', async () => {
    await using kit = start();
    const audit = kit.probe(AuditT, 'all');
    const early = audit.expect('log', ['add pen']);
    for (const item of ['book', 'pen', 'ink']) await kit.ref(CartT, 'u').add(item);
    expect(await early).toEqual({ method: 'log', args: ['add pen'] });
    expect(await audit.expect('log', line => line.endsWith('ink'))).toEqual({ method: 'log', args: ['add ink'] });
    expect(audit.received).toEqual([{ method: 'log', args: ['add book'] }]);
  });

  it('compares arguments by what they are: bigint, undefined, refs, order of keys', async () => {
    await using kit = start();
    const audit = kit.probe(AuditT, 'all');
    const ref = kit.ref(AuditT, 'all') as unknown as { log(...args: unknown[]): Promise<void> };
    const other = kit.ref(OrdersT, 'eu');
    const values: unknown[][] = [
      [1n],
      [undefined],
      [null],
      [{ a: 1, b: [2] }],
      [other],
      [new Uint8Array([1])],
      [Number.NaN],
    ];
    for (const args of values) {
      const asked = ref.log(...args);
      const wrong = outcome(Promise.resolve(audit.expect('log', ['something else'])));
      await audit.expect('log', args).reply();
      await asked;
      expect(await wrong).toBeInstanceOf(Error);
    }
    const asked = ref.log({ b: [2], a: 1 });
    await audit.expect('log', [{ a: 1, b: [2] }]).reply();
    await asked;
  });

  it('can fail, and can leave an ask to its deadline', async () => {
    await using kit = start();
    const orders = kit.probe(OrdersT, 'eu');
    const failing = outcome(kit.ref(CartT, 'u').checkout());
    await orders.expect('open').fail(new RangeError('sold out'));
    expect(await failing).toMatchObject({ code: 'REMOTE', message: 'sold out' });
    const ignored = outcome(call(kit.ref(CartT, 'u'), { deadlineMs: 100 }).checkout());
    await orders.expect('open').ignore();
    await kit.clock.advance(100);
    expect(await ignored).toMatchObject({ code: 'UNKNOWN_OUTCOME' });
  });

  it('says what it did receive when what it expects does not come', async () => {
    await using kit = start();
    const orders = kit.probe(OrdersT, 'eu');
    void outcome(kit.ref(OrdersT, 'eu').ping());
    await expect(Promise.resolve(orders.expect('open'))).rejects.toThrowError(
      /expected to receive open\(\).*received: ping/,
    );
  });

  it('allows: answers whenever it comes, also what came before', async () => {
    await using kit = start();
    const orders = kit.probe(OrdersT, 'eu');
    const before = kit.ref(OrdersT, 'eu').ping();
    await kit.settle();
    let count = 0;
    orders.allow('ping', () => `pong ${++count}`);
    expect(await before).toBe('pong 1');
    expect(await kit.ref(CartT, 'u').pings()).toEqual(['pong 2', 'pong 3']);
    orders.allow('open', () => {
      throw new Error('closed today');
    });
    expect(await outcome(kit.ref(CartT, 'u').checkout())).toMatchObject({ message: 'closed today' });
  });

  it('disallows: settle() fails if it ever comes, or has come', async () => {
    await using kit = start();
    const orders = kit.probe(OrdersT, 'eu').disallow('close');
    await kit.settle();
    expect(await outcome(kit.ref(OrdersT, 'eu').close('o-1'))).toMatchObject({ code: 'REMOTE' });
    await expect(kit.settle()).rejects.toThrowError('orders/eu.close was called and must not be');
    const audit = kit.probe(AuditT, 'all');
    tell(kit.ref(AuditT, 'all')).log('x');
    audit.disallow('log');
    await expect(kit.settle()).rejects.toThrowError('audit/all.log');
    expect(orders.violations).toHaveLength(1);
  });

  it('refuses a method that its actor does not have', async () => {
    await using kit = start();
    const orders = kit.probe(OrdersT, 'eu');
    for (const say of ['expect', 'allow', 'disallow'] as const)
      expect(() => orders[say]('opne')).toThrowError(expect.objectContaining({ code: 'NO_METHOD' }));
  });
});

describe('effects()', () => {
  it('are what an actor has caused, oldest first, with the time', async () => {
    await using kit = start();
    const orders = kit.probe(OrdersT, 'eu').allow('open', () => 'o-1');
    await kit.ref(CartT, 'u').add('book');
    await kit.clock.advance(250);
    await kit.ref(CartT, 'u').checkout();
    expect(kit.effects('cart/u')).toEqual([
      { kind: 'persist', at: 0, level: 'committed' },
      { kind: 'tell', at: 0, to: 'audit/all', method: 'log', args: ['add book'] },
      { kind: 'ask', at: 250, to: 'orders/eu', method: 'open', args: [['book']] },
      { kind: 'persist', at: 250, level: 'committed' },
    ]);
    expect(orders.received).toEqual([]);
  });

  it('are of every kind, and belong to the one that caused them', async () => {
    await using kit = start();
    const other = kit.ref(AuditT, 'other');
    const { PatientCartT } = await import('./shop-patient.ts');
    const patient = createTestKit({ actors: [PatientCartT, AuditT] });
    await patient.ref(PatientCartT, 'u').everything(patient.ref(AuditT, 'other'));
    await patient.settle();
    const kinds = patient.effects('patient-cart/u').map(({ kind }) => kind);
    expect(kinds).toEqual(['timer', 'watch', 'spawn', 'publish', 'remind', 'persist', 'stop']);
    expect(patient.effects('audit/other')).toEqual([]);
    expect(kit.effects(String(other))).toEqual([]);
    await patient.close();
  });

  it('of nobody are none', () => {
    expect(start().effects('cart/nobody')).toEqual([]);
  });
});

describe('time', () => {
  it('stands still until it is moved, and goes only forward', async () => {
    await using kit = start();
    const before = kit.clock.now();
    await kit.ref(CartT, 'u').add('book');
    await kit.settle();
    expect([kit.clock.now(), kit.clock.mono()]).toEqual([before, 0]);
    await kit.clock.advance(1_234);
    expect([kit.clock.now() - before, kit.clock.mono()]).toEqual([1_234, 1_234]);
    expect(() => kit.clock.advance(-1)).toThrowError(/forward/);
  });

  it('moves through everything that is due on the way, also when advances overlap', async () => {
    await using kit = start();
    const moves = [kit.clock.advance(100), kit.clock.advance(200)];
    await Promise.all(moves);
    expect(kit.clock.mono()).toBe(300);
  });
});

describe('settle()', () => {
  it('resolves when nothing more can happen', async () => {
    await using kit = start();
    tell(kit.ref(CartT, 'u')).add('book');
    await kit.settle();
    expect((kit.state('cart/u') as Cart['state']).items).toEqual(['book']);
  });

  it('gives up on actors that never come to rest', async () => {
    const kit = createTestKit({ actors: [PingT], slicesMax: 1_000 });
    tell(kit.ref(PingT, 'a')).go();
    await expect(kit.settle()).rejects.toThrowError(/come to rest/);
    await kit.crash('ping/a');
    await kit.crash('ping/b');
  });
});

describe('the same seed', () => {
  /** Everything that can be seen of a run. */
  async function trace(seed: number): Promise<string> {
    const kit = start(seed);
    for (let n = 0; n < 40; n++) {
      tell(kit.ref(FlakyT, String(n % 4))).work(n);
      await kit.clock.advance(17);
      if (n % 10 === 9) await kit.relocate(`flaky/${n % 4}`).catch(() => undefined);
    }
    await kit.clock.advance(5_000);
    const events = kit.events.map(({ name, payload }) => [
      name,
      payload.id,
      payload.action,
      payload.epoch,
      String(payload.error),
    ]);
    const effects = ['0', '1', '2', '3'].map(key => kit.effects(`flaky/${key}`));
    const seen = JSON.stringify([events, effects, kit.state('audit/all'), kit.clock.mono()]);
    await kit.close();
    return seen;
  }

  it('makes the same run, another one another', async () => {
    const first = await trace(7);
    expect(await trace(7)).toBe(first);
    expect(await trace(8)).not.toBe(first);
  });
});

describe('close()', () => {
  it('ends actors in good order, and those that cannot end too', async () => {
    const kit = start();
    kit.probe(OrdersT, 'eu');
    const never = outcome(kit.ref(CartT, 'u').checkout());
    await kit.settle();
    await kit.close();
    expect(kit.isAwake('cart/u')).toBe(false);
    expect((await never).code).toBeDefined();
    expect(await outcome(kit.ref(CartT, 'u').add('x'))).toMatchObject({ code: 'STOPPED' });
    await kit.close();
  });

  it('does not wait for a start that never ends', async () => {
    const { NeverUpT } = await import('./shop-patient.ts');
    const kit = createTestKit({ actors: [NeverUpT] });
    void outcome(kit.ref(NeverUpT, 'a').hello());
    await kit.settle();
    await kit.close();
  });

  it('tells what was wrong with the options', () => {
    expect(() => createTestKit({} as never)).toThrowError(/actors/);
    expect(() => createTestKit({ actors: [CartT, {}] as never })).toThrowError(/defineActor/);
  });
});

describe('what makes no sense', () => {
  it('is refused with the reason, and changes nothing', async () => {
    await using kit = start();
    for (const ms of [-1, Number.NaN, Number.POSITIVE_INFINITY, '5' as unknown as number])
      expect(() => kit.clock.advance(ms)).toThrow(/time only moves forward/);
    await kit.clock.advance(5);
    for (const id of ['cart', '/u', '', null as unknown as string]) {
      expect(await outcome(kit.relocate(id))).toMatchObject({
        code: 'BAD_OPTION',
        message: expect.stringMatching(/named 'type\/key'/),
      });
      expect(await outcome(kit.crash(id))).toMatchObject({ code: 'BAD_OPTION' });
    }
  });
});
