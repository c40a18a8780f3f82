import { describe, expect, it } from 'vitest';
import { readStoreOptions, type StoreOptionsInput } from '../../src/actors/store-options.ts';
import { Stores, StoresT } from '../../src/actors/stores-actor.ts';
import { VnodeT } from '../../src/actors/vnode-actor.ts';
import { accepted, isRefusal } from '../../src/actors/vnode-messages.ts';

function stores(): Stores {
  const made = new Stores();
  made.state = made.initial();
  return made;
}

describe('the actor that knows the stores', () => {
  it('makes a store with the options of whoever comes first, and keeps them', () => {
    const all = stores();
    const made = accepted(all.open('carts', { n: 1, siblings: false }, 1));
    expect(made).toEqual(readStoreOptions({ n: 1, siblings: false }, 1));
    expect(accepted(all.open('carts', {}, 5))).toEqual(made);
    expect(all.list()).toEqual([['carts', made]]);
    // Its state is plain: it is stored, and read by a later process.
    const later = new Stores();
    later.state = structuredClone(all.state);
    expect(accepted(later.open('carts', { siblings: false }, 1))).toEqual(made);
  });

  it.each<[string, string, StoreOptionsInput, string]>([
    ['other options', 'carts', { n: 3 }, 'has n: 1, which cannot be changed; asked for 3'],
    ['mode ca', 'carts', { mode: 'ca' }, 'cannot exist'],
    ['a new store that cannot be', 'orders', { r: 9 }, 'from 1 to n'],
    ['a name that cannot be', '../orders', {}, "a store's name"],
    ['no options at all', 'orders', null as never, 'are an object'],
  ])('refuses %s with data, and makes nothing', (_, name, given, message) => {
    const all = stores();
    all.open('carts', { n: 1 }, 1);
    const answer = all.open(name, given, 1);
    expect(isRefusal(answer) && answer.refused[0]).toBe('BAD_OPTION');
    expect(isRefusal(answer) && answer.refused[1]).toContain(message);
    expect(all.list()).toHaveLength(1);
  });
});

describe('what can be called from outside', () => {
  it('is what the doors say and nothing else', () => {
    expect(VnodeT.methods.map(method => method.name).sort()).toEqual(
      ['count', 'delete', 'digest', 'floor', 'get', 'inspect', 'merge', 'put', 'scan', 'stats'].sort(),
    );
    expect(VnodeT.methods.every(method => method.mode === 'interleave')).toBe(true);
    expect(StoresT.methods.map(method => method.name).sort()).toEqual(['list', 'open']);
  });
});
