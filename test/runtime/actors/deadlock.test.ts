// A cycle of waiting turns is refused at once, with the cycle in the error; and what is no cycle is not.
// DESIGN.md section 2, "Turns"; research/relocation-and-actors.md 5.4.

import { describe, expect, it } from 'vitest';
import type { ActorType } from '../../../src/runtime/define-actor.ts';
import { createTestKit, type TestKit } from '../../../src/testing.ts';
import { GateT } from './gate.ts';
import { CallerT, type Hop, OpenSimpleT, OpenT, type Relay, RelayT, StarterT } from './relay.ts';

const types = [RelayT, OpenT, OpenSimpleT, StarterT, CallerT, GateT];
const start = (): TestKit => createTestKit({ actors: types });
const deadlock = (...chain: string[]) => ({ code: 'DEADLOCK', retryable: false, details: { chain } });

describe('DEADLOCK', () => {
  it.each<[string, Hop[], string[]]>([
    ['an actor that asks itself', ['go a'], ['relay/a', 'relay/a']],
    ['A -> B -> A', ['go b', 'go a'], ['relay/b', 'relay/a', 'relay/b']],
    ['A -> B -> C -> A', ['go b', 'go c', 'go a'], ['relay/c', 'relay/a', 'relay/b', 'relay/c']],
    ['A -> B -> C -> B', ['go b', 'go c', 'go b'], ['relay/c', 'relay/b', 'relay/c']],
    ['A -> B -> A after an await', ['gate x', 'go b', 'gate x', 'go a'], ['relay/b', 'relay/a', 'relay/b']],
    ['an exclusive turn asked to read itself', ['read a'], ['relay/a', 'relay/a']],
    ['A -> B -> A to read', ['go b', 'read a'], ['relay/b', 'relay/a', 'relay/b']],
    ['a reader that wants to change what it reads', ['read b', 'go b'], ['relay/b', 'relay/b']],
  ])('%s, at once and with the chain', async (_, path, chain) => {
    await using kit = start();
    await expect(kit.ref(RelayT, 'a').go(path)).rejects.toMatchObject(deadlock(...chain));
    expect(kit.clock.mono()).toBe(0);
  });

  it('prints the chain and what to do about it', async () => {
    await using kit = start();
    const refused = kit.ref(RelayT, 'a').go(['go b', 'go a']);
    await expect(refused).rejects.toThrowError(
      "this ask would wait for itself: relay/b -> relay/a -> relay/b. Make one of them a tell, or set reentrant: 'same-chain' on 'relay'",
    );
  });

  it('of two chains that cross is given to the one that closes the cycle, and the other goes on', async () => {
    await using kit = start();
    const gate = kit.probe(GateT, 'gate');
    const first = kit.ref(RelayT, 'a').go(['gate a', 'go b']);
    const second = kit.ref(RelayT, 'b').go(['gate b', 'go a']);
    await kit.settle();
    await gate.expect('pass', ['a']).reply();
    await kit.settle();
    await gate.expect('pass', ['b']).reply();
    await expect(second).rejects.toMatchObject(deadlock('relay/b', 'relay/a', 'relay/b'));
    expect(await first).toEqual(['a', 'a', 'b']);
  });

  it('of three chains that cross is found by the last', async () => {
    await using kit = start();
    const gate = kit.probe(GateT, 'gate');
    const all = ['a', 'b', 'c'].map((key, n) =>
      kit.ref(RelayT, key).go([`gate ${key}`, `go ${['b', 'c', 'a'][n]}`] as Hop[]),
    );
    for (const key of ['a', 'b', 'c']) await gate.expect('pass', [key]).reply();
    const settled = await Promise.allSettled(all);
    expect(settled.map(each => each.status)).toEqual(['fulfilled', 'fulfilled', 'rejected']);
    expect(settled[2]).toMatchObject({ reason: deadlock('relay/c', 'relay/a', 'relay/b', 'relay/c') });
  });

  it('is found behind a fan-out', async () => {
    await using kit = start();
    await expect(kit.ref(RelayT, 'a').go(['both b c', 'go a'])).rejects.toMatchObject({ code: 'DEADLOCK' });
  });

  it('is found when a method asks without being declared async', async () => {
    await using kit = start();
    await expect(kit.ref(RelayT, 'a').plain(['go b', 'go a'])).rejects.toMatchObject({ code: 'DEADLOCK' });
    await expect(kit.ref(RelayT, 'a').plain(['go a'])).rejects.toMatchObject({ code: 'DEADLOCK' });
  });

  it('is found from a continuation of such a method, once it has been seen to return a promise', async () => {
    await using kit = start();
    await kit.ref(RelayT, 'a').plainLater(['go b']);
    await expect(kit.ref(RelayT, 'a').plainLater(['go a'])).rejects.toMatchObject({ code: 'DEADLOCK' });
  });

  it('is found when the cycle leads through an actor that is starting', async () => {
    await using kit = start();
    await expect(kit.ref(CallerT, 'c').callStarter('circle c')).rejects.toMatchObject({
      details: { chain: ['starter/circle c', 'caller/c', 'starter/circle c'] },
    });
  });

  it('is found in a chain deeper than any that is meant', async () => {
    await using kit = start();
    expect(await kit.ref(RelayT, '0').sumTo(63)).toBe(2_016);
    await expect(kit.ref(RelayT, '0').sumTo(100)).rejects.toMatchObject({ code: 'DEADLOCK', details: { depth: 65 } });
  });

  it('leaves everybody usable', async () => {
    await using kit = start();
    await kit
      .ref(RelayT, 'a')
      .go(['go b', 'go a'])
      .catch(() => undefined);
    expect(await kit.ref(RelayT, 'a').go(['go b'])).toEqual(['a', 'b']);
    expect(await kit.ref(RelayT, 'b').go(['go a'])).toEqual(['b', 'a']);
  });
});

describe('no deadlock', () => {
  it.each<[string, Hop[], string[]]>([
    ['a long chain', ['go b', 'go c', 'go d', 'go e'], ['a', 'b', 'c', 'd', 'e']],
    ['the same actor asked twice, one after the other', ['both b b'], ['a', 'b', 'b']],
    ['two roads to one actor', ['both b c', 'go d'], ['a', 'b', 'd', 'c', 'd']],
    ['a cycle closed by a tell', ['go b', 'tell a'], ['a', 'b']],
    ['an exclusive turn that asks itself to interleave', ['mingle a'], ['a', 'a']],
    ['the same after an await', ['gate x', 'mingle a'], ['a', 'a', 'a']],
    ['A -> B -> A by an interleaving method', ['go b', 'mingle a'], ['a', 'b', 'a']],
    ['a reader that reads itself', ['read b', 'read b'], ['a', 'b', 'b']],
    ['two readers that read each other', ['read b', 'read c', 'read b'], ['a', 'b', 'c', 'b']],
    ['an interleaving turn read by itself', ['mingle b', 'read b'], ['a', 'b', 'b']],
  ])('%s', async (_, path, visited) => {
    await using kit = start();
    expect(await kit.ref(RelayT, 'a').go(path)).toEqual(visited);
  });

  it('a call back while a third party waits in front of it: order gives way to progress', async () => {
    await using kit = start();
    const gate = kit.probe(GateT, 'gate');
    const chain = kit.ref(RelayT, 'a').go(['go b', 'gate b', 'mingle a']);
    const third = kit.ref(RelayT, 'a').mark('third');
    await gate.expect('pass', ['b']).reply();
    expect(await chain).toEqual(['a', 'b', 'b', 'a']);
    expect(await third).toBe('third');
  });

  it('a call back that stands behind a third party, when the cycle closes elsewhere: it gets its turn then', async () => {
    await using kit = start();
    const first = kit.ref(RelayT, 'a').go(['go d', 'go c']);
    const second = kit.ref(RelayT, 'c').go(['mingle a']);
    const third = kit.ref(RelayT, 'a').go([]);
    expect(await Promise.all([first, second, third])).toEqual([['a', 'd', 'c'], ['c', 'a'], ['a']]);
  });

  it('an interleaving turn that waits for an actor which waits for a turn beside it', async () => {
    await using kit = start();
    const gate = kit.probe(GateT, 'gate');
    // a: exclusive turn at the gate, and an interleaving one that waits for b. b wants to read a: it waits for the gate only.
    const beside = kit.ref(RelayT, 'a').go(['gate a']);
    const chain = kit.ref(RelayT, 'a').mingle(['go b', 'read a']);
    await kit.settle();
    await gate.expect('pass', ['a']).reply();
    expect(await chain).toEqual(['a', 'b', 'a']);
    expect(await beside).toEqual(['a', 'a']);
  });

  it('an exclusive turn that asks an actor which is served by an interleaving turn beside it', async () => {
    await using kit = start();
    const gate = kit.probe(GateT, 'gate');
    // b waits for an interleaving turn of a (at the gate); an exclusive turn of a then asks b. The gate ends it all.
    const served = kit.ref(RelayT, 'b').go(['mingle a', 'gate m']);
    await kit.settle();
    const asking = kit.ref(RelayT, 'c').mingle(['go b']);
    await kit.settle();
    const held = kit.ref(RelayT, 'a').mingle(['go b']);
    await kit.settle();
    await gate.expect('pass', ['m']).reply();
    expect(await Promise.all([served, asking, held])).toEqual([
      ['b', 'a', 'a'],
      ['c', 'b'],
      ['a', 'b'],
    ]);
  });

  it('what an earlier turn has left open is not waited for by the next', async () => {
    await using kit = start();
    const gate = kit.probe(GateT, 'gate');
    // a's first turn has ended, but a flow it did not await still waits for b, which is at the gate.
    expect(await kit.ref(RelayT, 'a').detach(['go b', 'gate b', 'go a'])).toBe('detached');
    const second = kit.ref(RelayT, 'a').go(['gate a']);
    await kit.settle();
    await gate.expect('pass', ['b']).reply();
    await kit.settle();
    await gate.expect('pass', ['a']).reply();
    await second;
    await kit.settle();
    expect(kit.state('relay/a')).toEqual({ log: [] });
  });

  it('a message that a turn caused is not the turn: neither by a tell, nor by what it woke, nor by a timer', async () => {
    await using kit = start();
    const a = kit.ref(RelayT, 'a');
    // The microtask that runs b inherits the async context of a's open turn; b's own asks must not be taken for a's.
    expect(await a.go(['tell b', 'go a'])).toEqual(['a']);
    expect(await a.go(['tell c', 'go b', 'go a'])).toEqual(['a']);
    await kit.settle();
    expect(kit.events.filter(event => event.name === 'actor-failed')).toEqual([]);
  });

  it('what a tell wakes may ask its sender while it starts', async () => {
    await using kit = start();
    expect(await kit.ref(RelayT, 'z').mark('awake')).toBe('awake');
    expect(await kit.ref(CallerT, 'c').tellStarter('asks z')).toBe('told');
    expect(await kit.ref(StarterT, 'asks z').hello()).toBe('from onActivate');
  });

  it('what an actor asks while it starts is its own, not of whoever woke it', async () => {
    await using kit = start();
    expect(await kit.ref(CallerT, 'd').tellStarter('asks-back y')).toBe('told');
    await kit.settle();
    const failed = kit.events.filter(event => event.name === 'actor-failed').map(event => event.payload);
    expect(failed.map(({ id, error }) => [id, error.details.chain])).toEqual([
      ['relay/y', ['relay/y', 'relay/y']],
      ['starter/asks-back y', ['relay/y', 'relay/y']],
    ]);
  });
});

describe("reentrant: 'same-chain'", () => {
  const both: ActorType<Relay>[] = [OpenT as ActorType<Relay>, OpenSimpleT as ActorType<Relay>];

  it.each(both)('lets a chain come back to an actor it holds', async type => {
    await using kit = start();
    expect(await kit.ref(type, 'a').go(['go a'])).toEqual(['a', 'a']);
    expect(await kit.ref(type, 'a').go(['go b', 'go a'])).toEqual(['a', 'b', 'a']);
    expect(await kit.ref(type, 'a').go(['gate x', 'go b', 'gate x', 'go a', 'gate x', 'go b'])).toEqual(
      'a a b b a a b'.split(' '),
    );
  });

  it('does not let in another chain', async () => {
    await using kit = start();
    const gate = kit.probe(GateT, 'gate');
    const holder = kit.ref(OpenT, 'a').go(['gate a']);
    const other = kit.ref(OpenT, 'b').go(['go a']);
    await kit.settle();
    let answered = false;
    void other.then(() => {
      answered = true;
    });
    await kit.settle();
    expect(answered).toBe(false);
    await gate.expect('pass').reply();
    await holder;
    expect(await other).toEqual(['b', 'a']);
  });

  it('still refuses two different chains that cross', async () => {
    await using kit = start();
    const gate = kit.probe(GateT, 'gate');
    const first = kit.ref(OpenT, 'a').go(['gate a', 'go b']);
    const second = kit.ref(OpenT, 'b').go(['gate b', 'go a']);
    await gate.expect('pass', ['a']).reply();
    await kit.settle();
    await gate.expect('pass', ['b']).reply();
    await expect(second).rejects.toMatchObject({ code: 'DEADLOCK' });
    expect(await first).toEqual(['a', 'a', 'b']);
  });

  it.each(both)('keeps everybody else out until the outermost turn has ended', async type => {
    await using kit = start();
    const gate = kit.probe(GateT, 'gate');
    const id = `${type.type}/a`;
    const log = () => (kit.state(id) as { log: string[] }).log;
    const chain = kit.ref(type, 'a').thrice();
    const outsider = kit.ref(type, 'a').mark('outsider');
    await kit.settle();
    expect(log()).toEqual(['in', 'x(', 'y(', 'z(']);
    await gate.expect('pass', ['x']).reply();
    await gate.expect('pass', ['y']).reply();
    await kit.settle();
    expect(log()).toEqual(['in', 'x(', 'y(', 'z(', ')x', ')y']);
    await gate.expect('pass', ['z']).reply();
    expect(await chain).toEqual(['in', 'x(', 'y(', 'z(', ')x', ')y', ')z', 'out']);
    expect(await outsider).toBe('outsider');
  });

  it.each(both)('holds the actor as long as a turn of its own runs that nobody awaits', async type => {
    await using kit = start();
    const gate = kit.probe(GateT, 'gate');
    const left = kit.ref(type, 'a').leave();
    const next = kit.ref(type, 'a').mark('next');
    expect(await left).toBe('left');
    await kit.settle();
    expect(kit.state(`${type.type}/a`)).toEqual({ log: ['left('] });
    await gate.expect('pass').reply();
    await next;
    expect(kit.state(`${type.type}/a`)).toEqual({ log: ['left(', ')left', 'next'] });
  });
});
