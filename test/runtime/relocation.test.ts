// The cores one by one: the story of a plain move as it is said, the refusals, the bounds, and what is left afterwards.
// Everything together is in relocation-matrix.test.ts and relocation-explore.test.ts.

import { describe, expect, test } from 'vitest';
import { Directory } from '../../src/runtime/directory.ts';
import { OwnerTable } from '../../src/runtime/owner-table.ts';
import { HoldTable } from '../../src/runtime/relocation-hold.ts';
import {
  type Control,
  type DirectoryEffect,
  type HostEffect,
  isForDirectory,
  nowhere,
  relocationLimits,
  type ToDirectory,
} from '../../src/runtime/relocation-messages.ts';
import { Assembly, cutPieces, joinPieces } from '../../src/runtime/relocation-pieces.ts';
import { Route } from '../../src/runtime/relocation-route.ts';
import { SourceMove } from '../../src/runtime/relocation-source.ts';
import { TargetMove } from '../../src/runtime/relocation-target.ts';

const sum = (bytes: Uint8Array): number => bytes.reduce((total, byte) => (total * 31 + byte) >>> 0, 7);
const unit = 'cart/u';
const now = 1_000;

/** Effects as lines: who is told what, or what the runtime is asked for. */
function told(effects: readonly (HostEffect<string> | DirectoryEffect)[]): string[] {
  return effects.map(effect => {
    if (effect.type === 'event') return `event ${effect.event.name}`;
    if (effect.type === 'send') return `-> ${effect.to} ${line(effect.message)}`;
    return line(effect);
  });
}

function line({ type, ...rest }: Control<string> | HostEffect<string>): string {
  const {
    unit: _unit,
    pieces: _pieces,
    piece,
    hosts: _hosts,
    stats: _stats,
    ...fields
  } = rest as Record<string, unknown>;
  const words = Object.entries(fields).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  const index = piece === undefined ? [] : [`index=${(piece as { index: number }).index}`];
  return [type, ...words, ...index].join(' ');
}

describe('the story of a plain move', () => {
  // Host 0 keeps the directory, host 1 the unit; it goes to host 2, and host 3 has a message to say before and after.
  const directory = new Directory({ hosts: [0, 1, 2, 3], place: () => 1 });
  const routes = [0, 1, 2, 3].map(self => new Route<string>({ self, directory: 0, checksum: sum }));
  const at = (host: number) => routes[host] as Route<string>;
  let epoch = 0;
  const decide = (from: number, message: ToDirectory) => directory.step({ type: 'heard', from, message }, now, ++epoch);

  test('the first who asks gets the unit placed, under a fresh epoch', () => {
    expect(told(at(3).step({ type: 'send', unit, payload: 'm1' }, now))).toEqual(['-> 0 resolve']);
    expect(told(decide(3, { type: 'resolve', unit }))).toEqual([
      'event granted',
      '-> 1 grant epoch=1',
      '-> 3 located host=1 epoch=1',
    ]);
    const grant = { type: 'heard', from: 0, message: { type: 'grant', unit, epoch: 1 } } as const;
    expect(told(at(1).step(grant, now))).toEqual(['activate epoch=1 how="disk"']);
    const located = { type: 'heard', from: 0, message: { type: 'located', unit, host: 1, epoch: 1 } } as const;
    expect(told(at(3).step(located, now))).toEqual(['-> 1 direct epoch=1 payload="m1"']);
    expect(at(3).ownerOf(unit)).toEqual({ unit, host: 1, epoch: 1 });
  });

  test('the target reserves room before the source is frozen', () => {
    const proposal = { type: 'propose', unit, to: 2, expect: 1, ticket: 7 } as const;
    expect(told(at(3).step(proposal, now))).toEqual(['-> 0 propose to=2 expect=1 ticket=7']);
    expect(told(decide(3, proposal))).toEqual(['event relocating', '-> 2 reserve epoch=2 from=1']);
    const reserve = { type: 'heard', from: 0, message: { type: 'reserve', unit, epoch: 2, from: 1 } } as const;
    expect(told(at(2).step(reserve, now))).toEqual(['reserve epoch=2 from=1']);
    expect(told(at(2).step({ type: 'reserved', unit, epoch: 2 }, now))).toEqual(['-> 0 reserved epoch=2']);
    expect(told(decide(2, { type: 'reserved', unit, epoch: 2 }))).toEqual(['-> 1 freeze epoch=2 to=2']);
  });

  test('the source freezes, packs and ships; what arrives after the pack stays behind for now', () => {
    const freeze = { type: 'heard', from: 0, message: { type: 'freeze', unit, epoch: 2, to: 2 } } as const;
    expect(told(at(1).step(freeze, now))).toEqual(['freeze epoch=2']);
    const direct = (payload: string) =>
      ({ type: 'heard', from: 3, message: { type: 'direct', unit, epoch: 1, payload } }) as const;
    expect(told(at(1).step(direct('m1'), now))).toEqual(['deliver from=3 payload="m1" accepted=false']);
    expect(told(at(1).step({ type: 'frozen', unit, epoch: 2 }, now))).toEqual(['pack epoch=2']);
    expect(at(1).step(direct('m2'), now)).toEqual([]);
    const pieces = cutPieces(new Uint8Array([1, 2, 3]), sum, 2);
    const packed = { type: 'packed', unit, epoch: 2, pieces, messages: 1 } as const;
    expect(told(at(1).step(packed, now))).toEqual(['-> 2 piece epoch=2 index=0', '-> 2 piece epoch=2 index=1']);
    const [first, second] = pieces.map(piece => ({ type: 'piece', unit, epoch: 2, piece }) as const);
    const hear = (message: Control<string>) =>
      at(2).step({ type: 'heard', from: 1, message: message as Exclude<typeof message, ToDirectory> }, now);
    expect(told(hear(first as Control<string>))).toEqual(['-> 1 piece-ok epoch=2 count=1']);
    expect(told(hear(second as Control<string>))).toEqual(['-> 1 piece-ok epoch=2 count=2', 'install epoch=2']);
    expect(told(at(2).step({ type: 'restored', unit, epoch: 2 }, now))).toEqual(['-> 0 installed epoch=2']);
  });

  test('the switch is told to every host, and each of them marks the end of its old road', () => {
    const effects = decide(2, { type: 'installed', unit, epoch: 2 });
    expect(told(effects)).toEqual([
      'event relocated',
      ...[0, 1, 2, 3].map(to => `-> ${to} moved epoch=2 to=2 via=1 how="shipped"`),
    ]);
    expect(directory.ownerOf(unit)).toEqual({ host: 2, epoch: 2, state: 'settling' });
    const moved = effects.find(effect => effect.type === 'send') as DirectoryEffect & { type: 'send' };
    const hear = (host: number) => told(at(host).step({ type: 'heard', from: 0, message: moved.message }, now + 40));
    expect(hear(3)).toEqual(['-> 1 marker epoch=2']);
    expect(hear(0)).toEqual(['-> 1 marker epoch=2']);
    // A direct message that is faster than the news is not lost on the new owner.
    const early = { type: 'heard', from: 3, message: { type: 'direct', unit, epoch: 2, payload: 'm3' } } as const;
    expect(at(2).step(early, now)).toEqual([]);
    expect(hear(2)).toEqual(['-> 1 marker epoch=2', 'activate epoch=2 how="shipped"']);
    expect(hear(1)).toEqual(['retire', '-> 2 forward epoch=2 from=3 payload="m2"', '-> 2 passed epoch=2 from=1']);
  });

  test('m3 went straight to the new owner and still comes after m2, which did not', () => {
    const toOld = (from: number) =>
      told(at(1).step({ type: 'heard', from, message: { type: 'marker', unit, epoch: 2 } }, now));
    const toNew = (message: Control<string>) =>
      told(at(2).step({ type: 'heard', from: 1, message: message as Exclude<typeof message, ToDirectory> }, now));
    expect(toNew({ type: 'forward', unit, epoch: 2, from: 3, payload: 'm2' })).toEqual([
      'deliver from=3 payload="m2" accepted=true',
    ]);
    expect(toOld(3)).toEqual(['-> 2 passed epoch=2 from=3']);
    expect(toNew({ type: 'passed', unit, epoch: 2, from: 3 })).toEqual(['deliver from=3 payload="m3" accepted=true']);
    expect(toOld(2)).toEqual(['-> 2 passed epoch=2 from=2']);
    expect(toOld(0)).toEqual(['-> 2 passed epoch=2 from=0', '-> 2 parted epoch=2']);
    const stats = { pausedMs: 40, shipped: 1, forwarded: 1 };
    expect(toNew({ type: 'parted', unit, epoch: 2, stats })).toEqual(['-> 0 settled epoch=2']);
    expect(told(decide(2, { type: 'settled', unit, epoch: 2, stats: { ...stats, held: 1 } }))).toEqual([
      'event settled',
      `-> 3 outcome ticket=7 outcome=${JSON.stringify({ result: 'moved', epoch: 2, stats: { ...stats, held: 1 } })}`,
    ]);
  });

  test('afterwards nothing is left: no machine, no deadline, no question to ask for a message', () => {
    for (const route of routes) {
      expect(route.inMotion(unit)).toBe(false);
      expect(route.deadlineAt).toBeUndefined();
      expect(route.describe().motions).toEqual([]);
    }
    expect(directory.deadlineAt).toBeUndefined();
    expect(directory.describe()).toMatchObject({ started: 1, committed: 1, settled: 1, aborted: {}, motion: [] });
    expect(at(1).describe()).toMatchObject({ shipped: 1, forwarded: 1, parted: 1, pausedMsMax: 40 });
    expect(at(2).describe()).toMatchObject({ held: 1, parked: 1, strays: 0 });
  });
});

describe('the directory', () => {
  function settled() {
    const directory = new Directory({ hosts: [0, 1, 2, 3], place: (_unit, live) => live.at(-1) as number });
    let epoch = 100;
    const hear = (from: number, message: ToDirectory, at = now) =>
      told(directory.step({ type: 'heard', from, message }, at, ++epoch));
    const propose = (to: number, expect = 0) => hear(0, { type: 'propose', unit, to, expect, ticket: 1 });
    hear(0, { type: 'resolve', unit }); // on host 3, under 101
    return { directory, hear, propose };
  }

  const refusal = (reason: string) => [`-> 0 outcome ticket=1 outcome={"result":"refused","reason":"${reason}"}`];

  test('refuses a proposal with its reason and changes nothing', () => {
    const { directory, propose } = settled();
    expect(propose(3)).toEqual(refusal('same-host'));
    expect(propose(9)).toEqual(refusal('target-down'));
    expect(propose(1, 77)).toEqual(refusal('stale'));
    expect(directory.ownerOf(unit)).toEqual({ host: 3, epoch: 101, state: 'settled' });
    propose(1, 101);
    expect(propose(2)).toEqual(refusal('busy'));
    expect(directory.describe()).toMatchObject({ started: 1, refused: 4 });
  });

  test('takes a late, doubled or foreign word for what it is', () => {
    const { directory, hear, propose } = settled();
    propose(1);
    const move = directory.spent;
    for (const from of [0, 2, 3]) expect(hear(from, { type: 'reserved', unit, epoch: move })).toEqual([]);
    expect(hear(1, { type: 'reserved', unit, epoch: 101 })).toEqual([]); // the epoch before the move
    expect(hear(1, { type: 'installed', unit, epoch: move })).toEqual([]); // not asked yet
    expect(hear(1, { type: 'reserved', unit, epoch: move })).toEqual([`-> 3 freeze epoch=${move} to=1`]);
    expect(hear(1, { type: 'reserved', unit, epoch: move })).toEqual([]); // twice
    expect(hear(2, { type: 'abort', unit, epoch: move, reason: 'decode' })).toEqual([]); // none of its business
    expect(hear(1, { type: 'abort', unit, epoch: move, reason: 'decode' })).toHaveLength(4);
    expect(hear(1, { type: 'installed', unit, epoch: move })).toEqual([]); // called off: nothing is committed
    expect(directory.ownerOf(unit)).toEqual({ host: 3, epoch: directory.spent, state: 'settled' });
  });

  test('gives the old owner a fresh epoch when a move comes to nothing, and counts the reason', () => {
    const { directory, propose } = settled();
    propose(1);
    const before = directory.describe().spent;
    expect(directory.deadlineAt).toBe(now + 2 * relocationLimits.reserveMs);
    const effects = directory.step({ type: 'tick' }, now + 2 * relocationLimits.reserveMs, before + 5);
    expect(told(effects)).toEqual([
      'event aborted',
      `-> 1 cancel epoch=${before}`,
      `-> 3 thaw epoch=${before + 5} aborted=${before}`,
      `-> 0 outcome ticket=1 outcome={"result":"aborted","epoch":${before},"reason":"watchdog"}`,
    ]);
    expect(directory.ownerOf(unit)).toEqual({ host: 3, epoch: before + 5, state: 'settled' });
    expect(directory.describe().aborted).toEqual({ watchdog: 1 });
  });

  test('refuses to spend an epoch that is not above all it has spent', () => {
    const { directory } = settled();
    const proposal = { type: 'propose', unit, to: 1, expect: 0, ticket: 1 } as const;
    for (const stale of [101, 100, 0]) {
      expect(() => directory.step({ type: 'heard', from: 0, message: proposal }, now, stale)).toThrow(
        'is not above 101',
      );
    }
  });

  test('an epoch that was not needed may be offered again', () => {
    const { directory } = settled();
    directory.step({ type: 'tick' }, now, 500);
    expect(directory.spent).toBe(101);
    const proposal = { type: 'propose', unit, to: 1, expect: 0, ticket: 1 } as const;
    expect(told(directory.step({ type: 'heard', from: 0, message: proposal }, now, 500))).toContain(
      '-> 1 reserve epoch=500 from=3',
    );
  });

  test('hears nothing from a host that it takes for dead', () => {
    const { directory, hear } = settled();
    directory.step({ type: 'died', host: 2 }, now, 900);
    expect(hear(2, { type: 'resolve', unit: 'cart/new' })).toEqual([]);
    expect(directory.step({ type: 'died', host: 2 }, now, 901)).toEqual([]);
  });

  test('places a unit whose owner died when somebody asks for it, not before', () => {
    const { directory, hear } = settled();
    expect(told(directory.step({ type: 'died', host: 3 }, now, 900))).toEqual(
      [0, 1, 2].map(to => `-> ${to} died host=3 tombstones=[]`),
    );
    expect(hear(1, { type: 'resolve', unit: 'cart/u' })[1]).toMatch(/^-> 2 grant/);
  });

  test('a choice of place that is not alive is a broken belief', () => {
    const directory = new Directory({ hosts: [0], place: () => 4 });
    expect(() => directory.step({ type: 'heard', from: 0, message: { type: 'resolve', unit } }, now, 1)).toThrow(
      'not alive',
    );
  });
});

describe('bounds', () => {
  const limits = { ...relocationLimits, lateMax: 2, heldMax: 2, parkedMax: 2, resolvingMax: 2, routesMax: 3 };
  const refused = (by: string, payload: string) => ({ type: 'refuse', unit, from: 3, payload, by });

  test('a source keeps so many late messages and refuses the next', () => {
    const source = new SourceMove<string>({ unit, epoch: 2, to: 2, directory: 0 }, limits, now);
    source.step({ type: 'frozen' }, now);
    const arrive = (payload: string) => source.step({ type: 'arrive', from: 3, payload }, now);
    expect([arrive('a'), arrive('b'), arrive('c')]).toEqual([[], [], [refused('late', 'c')]]);
    expect(told(source.thaw(3))).toEqual([
      'thaw epoch=3',
      'deliver from=3 payload="a" accepted=true',
      'deliver from=3 payload="b" accepted=true',
    ]);
  });

  test('a source sends no more pieces than may be under way', () => {
    const source = new SourceMove<string>(
      { unit, epoch: 2, to: 2, directory: 0 },
      { ...limits, piecesInFlight: 2 },
      now,
    );
    source.step({ type: 'frozen' }, now);
    const pieces = cutPieces(new Uint8Array(5), sum, 1);
    expect(source.step({ type: 'packed', pieces, messages: 0 }, now)).toHaveLength(2);
    expect(source.step({ type: 'piece-ok', count: 1 }, now)).toHaveLength(1);
    expect(source.step({ type: 'piece-ok', count: 1 }, now)).toHaveLength(0);
    expect(source.step({ type: 'piece-ok', count: 3 }, now)).toHaveLength(2);
    expect(source.step({ type: 'piece-ok', count: 5 }, now)).toHaveLength(0);
    expect(source.state).toBe('sealed');
  });

  test('a new owner holds so many and refuses the next; what is forwarded is never refused', () => {
    const hold = new HoldTable<string>({ unit, epoch: 2, via: 1, hosts: [3], directory: 0 }, limits);
    const direct = (payload: string) => hold.step({ type: 'direct', from: 3, payload });
    expect([direct('a'), direct('b'), direct('c')]).toEqual([[], [], [refused('held', 'c')]]);
    expect(told(hold.step({ type: 'forward', from: 3, payload: 'x' }))).toEqual([
      'deliver from=3 payload="x" accepted=true',
    ]);
    expect(told(hold.step({ type: 'passed', from: 3 }))).toHaveLength(2);
    expect(told(direct('d'))).toEqual(['deliver from=3 payload="d" accepted=false']);
  });

  test('a host parks so many messages from the future and refuses the next, but no marker', () => {
    const route = new Route<string>({ self: 2, directory: 0, checksum: sum, limits });
    const direct = (payload: string) =>
      told(route.step({ type: 'heard', from: 3, message: { type: 'direct', unit, epoch: 5, payload } }, now));
    expect(direct('a')).toEqual(['-> 0 resolve']); // in case no news is on its way
    expect(direct('b')).toEqual([]);
    expect(direct('c')).toEqual(['refuse from=3 payload="c" by="parked"']);
    expect(route.step({ type: 'heard', from: 3, message: { type: 'marker', unit, epoch: 5 } }, now)).toEqual([]);
    const grant = { type: 'heard', from: 0, message: { type: 'grant', unit, epoch: 5 } } as const;
    expect(told(route.step(grant, now))).toEqual([
      'activate epoch=5 how="disk"',
      'deliver from=3 payload="a" accepted=false',
      'deliver from=3 payload="b" accepted=false',
    ]);
  });

  test('so many local messages wait for an address, and the next is refused', () => {
    const route = new Route<string>({ self: 3, directory: 0, checksum: sum, limits });
    const send = (payload: string) => told(route.step({ type: 'send', unit, payload }, now));
    expect([send('a'), send('b'), send('c')]).toEqual([
      ['-> 0 resolve'],
      [],
      ['refuse from=3 payload="c" by="resolving"'],
    ]);
    const located = { type: 'heard', from: 0, message: { type: 'located', unit, host: 1, epoch: 1 } } as const;
    expect(told(route.step(located, now))).toEqual([
      '-> 1 direct epoch=1 payload="a"',
      '-> 1 direct epoch=1 payload="b"',
    ]);
    expect(route.describe()).toMatchObject({ resolving: 0, refused: 1 });
  });

  test('the oldest route that may be found again makes room, and a ref that kept it can tell', () => {
    const table = new OwnerTable(3);
    const mayEvict = (owner: { host: number }) => owner.host !== 7; // 7 is us
    table.learn('mine', 7, 1, mayEvict);
    table.learn('old', 1, 1, mayEvict);
    table.learn('new', 2, 1, mayEvict);
    const kept = table.get('old');
    table.learn('newest', 3, 1, mayEvict);
    expect(['mine', 'old', 'new', 'newest'].map(each => table.get(each)?.host)).toEqual([7, undefined, 2, 3]);
    expect(kept?.host).toBe(nowhere);
    expect(table.forgetHost(2)).toEqual(['new']);
    expect([table.hostOf('new'), table.epochOf('new')]).toEqual([nowhere, 1]);
  });
});

describe('waiting has an end', () => {
  const { turnMs, packMs, silenceMs, installMs, reserveMs } = relocationLimits;
  const tick = { type: 'tick' } as const;

  test('a source asks the directory to end the move at each step that overruns, once, and stays sealed', () => {
    const begin = () => new SourceMove<string>({ unit, epoch: 2, to: 2, directory: 0 }, relocationLimits, now);
    const [piece] = cutPieces(new Uint8Array(1), sum);
    const stages: [reason: string, limitMs: number, prepare: (source: SourceMove<string>) => void][] = [
      ['turn-timeout', turnMs, () => {}],
      ['pack-timeout', packMs, source => source.step({ type: 'frozen' }, now)],
      [
        'ship-timeout',
        silenceMs,
        source => {
          source.step({ type: 'frozen' }, now);
          source.step({ type: 'packed', pieces: [piece as never], messages: 0 }, now);
        },
      ],
      [
        'install-timeout',
        installMs + silenceMs,
        source => {
          source.step({ type: 'frozen' }, now);
          source.step({ type: 'packed', pieces: [piece as never], messages: 0 }, now);
          source.step({ type: 'piece-ok', count: 1 }, now);
        },
      ],
    ];
    for (const [reason, limitMs, prepare] of stages) {
      const source = begin();
      prepare(source);
      expect(source.step(tick, now + limitMs - 1)).toEqual([]);
      expect(told(source.step(tick, now + limitMs))).toEqual([`-> 0 abort epoch=2 reason="${reason}"`]);
      expect(source.step(tick, now + 10 * limitMs)).toEqual([]);
      expect(source.step({ type: 'frozen' }, now)).toEqual([]); // late is normal
    }
  });

  test('a target gives up by itself until it has said installed, and never after', () => {
    const target = new TargetMove<string>({ unit, epoch: 2, from: 1, directory: 0 }, relocationLimits, sum, now);
    expect(target.deadlineAt).toBe(now + reserveMs);
    target.step({ type: 'reserved' }, now);
    expect(target.deadlineAt).toBe(now + turnMs + packMs + silenceMs);
    const [piece] = cutPieces(new Uint8Array(1), sum);
    target.step({ type: 'piece', piece: piece as never }, now);
    expect(target.deadlineAt).toBe(now + installMs);
    target.step({ type: 'restored' }, now);
    expect(target.step(tick, now + 1e9)).toEqual([]);
    expect(target.state).toBe('installed');
    expect(told(target.step({ type: 'cancel' }, now))).toEqual(['discard epoch=2']);
  });

  test('what a runtime answers too late is given back', () => {
    const route = new Route<string>({ self: 2, directory: 0, checksum: sum });
    expect(told(route.step({ type: 'restored', unit, epoch: 9 }, now))).toEqual(['discard epoch=9']);
    expect(route.step({ type: 'packed', unit, epoch: 9, pieces: [], messages: 0 }, now)).toEqual([]);
  });
});

describe('a route', () => {
  const heard = (from: number, message: Exclude<Control<string>, ToDirectory>) =>
    ({ type: 'heard', from, message }) as const;

  test('refuses to take part in what cannot be', () => {
    const route = new Route<string>({ self: 1, directory: 0, checksum: sum });
    const notOurs = ['-> 0 abort epoch=4 reason="not-owner"'];
    expect(told(route.step(heard(0, { type: 'freeze', unit, epoch: 4, to: 2 }), now))).toEqual(notOurs);
    route.step(heard(0, { type: 'reserve', unit, epoch: 3, from: 2 }), now);
    expect(told(route.step(heard(0, { type: 'reserve', unit, epoch: 4, from: 2 }), now))).toEqual(notOurs);
    const moved = { type: 'moved', unit, epoch: 3, to: 1, via: 2, hosts: [1, 2], how: 'shipped' } as const;
    expect(() => route.step(heard(0, moved), now)).toThrow('not installed');
  });

  test('sends a stray message on to where its unit lives', () => {
    const route = new Route<string>({ self: 1, directory: 0, checksum: sum });
    route.step(heard(0, { type: 'located', unit, host: 2, epoch: 6 }), now);
    expect(told(route.step(heard(3, { type: 'direct', unit, epoch: 5, payload: 'm' }), now))).toEqual([
      '-> 2 forward epoch=6 from=3 payload="m"',
    ]);
    expect(route.describe().strays).toBe(1);
  });

  test('is told once of a death: whom it hung up on, what is lost and what is in doubt', () => {
    const route = new Route<string>({ self: 1, directory: 0, checksum: sum });
    route.step(heard(0, { type: 'located', unit, host: 2, epoch: 6 }), now);
    const died = { type: 'died', host: 2, tombstones: [['cart/v', 9]] } as const;
    expect(told(route.step(heard(0, died), now))).toEqual([
      'hang-up host=2',
      'lost host=2 units=["cart/u"]',
      'doubt below=9',
    ]);
    expect(route.ownerOf(unit)).toBeUndefined();
  });

  test('an owner record is changed in place, so a ref may keep it', () => {
    const route = new Route<string>({ self: 3, directory: 0, checksum: sum });
    route.step(heard(0, { type: 'located', unit, host: 1, epoch: 1 }), now);
    const kept = route.ownerOf(unit);
    route.step(heard(0, { type: 'moved', unit, epoch: 2, to: 2, via: 1, hosts: [1, 2, 3], how: 'shipped' }), now);
    expect(kept).toEqual({ unit, host: 2, epoch: 2 });
    route.step(heard(0, { type: 'located', unit, host: 1, epoch: 1 }), now); // old news
    expect(kept).toEqual({ unit, host: 2, epoch: 2 });
  });

  test('marks the road to an old owner it never used, and remembers the move only if asked to', () => {
    const moved = { type: 'moved', unit, epoch: 2, to: 2, via: 1, hosts: [1, 2, 3], how: 'shipped' } as const;
    for (const learnsAll of [false, true]) {
      const route = new Route<string>({ self: 3, directory: 0, checksum: sum, learnsAll });
      expect(told(route.step(heard(0, moved), now))).toEqual(['-> 1 marker epoch=2']);
      expect(route.knows(unit)).toBe(learnsAll);
      expect(route.size).toBe(learnsAll ? 1 : 0);
    }
  });
});

describe('pieces', () => {
  test('put together they are what was cut, the empty pack included', () => {
    for (const size of [0, 1, 6, 7, 8, 21]) {
      const bytes = Uint8Array.from({ length: size }, (_, index) => index * 7);
      const pieces = cutPieces(bytes, sum, 7);
      expect(pieces).toHaveLength(Math.max(1, Math.ceil(size / 7)));
      const assembly = new Assembly(sum, 9);
      const verdicts = pieces.map(piece => assembly.add(piece));
      expect(verdicts).toEqual([...pieces.slice(1).map(() => 'more'), 'whole']);
      expect(joinPieces(assembly.pieces)).toEqual(bytes);
    }
  });

  test('a piece that is out of place, of another pack, too much, or changed on the way is damage', () => {
    const pieces = cutPieces(new Uint8Array(20), sum, 5);
    const [first, second] = pieces as [(typeof pieces)[0], (typeof pieces)[0]];
    const having = (...before: typeof pieces) => {
      const assembly = new Assembly(sum, 4);
      for (const piece of before) assembly.add(piece);
      return assembly;
    };
    expect(having().add(second)).toBe('damaged');
    expect(having(first).add(first)).toBe('damaged');
    expect(having(first).add({ ...second, count: 5 })).toBe('damaged');
    expect(having().add({ ...first, count: 5 })).toBe('damaged'); // above piecesMax
    expect(having(first).add({ ...second, bytes: new Uint8Array([1, 0, 0, 0, 0]) })).toBe('damaged');
    expect(having(...pieces).add(first)).toBe('damaged');
    expect(having(first).add(second)).toBe('more');
  });
});

test('what is for the directory is told apart by its type', () => {
  expect(isForDirectory({ type: 'resolve', unit })).toBe(true);
  expect(isForDirectory({ type: 'marker', unit, epoch: 1 })).toBe(false);
  expect(isForDirectory({ type: 'moved', unit, epoch: 1, to: 1, via: nowhere, hosts: [], how: 'disk' })).toBe(false);
});
