import { describe, expect, it } from 'vitest';
import { withContext } from '../../src/actors/lazy-context.ts';

describe('an answer with a context', () => {
  it('makes it once, when it is looked at', () => {
    let made = 0;
    const answer = withContext({ found: true }, () => `c${++made}`);
    expect(made).toBe(0);
    expect([answer.context, answer.context, made]).toEqual(['c1', 'c1', 1]);
  });

  it('is a plain object that can be copied, compared and written as JSON', () => {
    const answer = withContext({ found: true }, () => 'token');
    expect(Object.getPrototypeOf(answer)).toBe(Object.prototype);
    expect({ ...answer }).toEqual({ found: true, context: 'token' });
    expect(JSON.stringify(answer)).toBe('{"found":true,"context":"token"}');
    expect(structuredClone(answer)).toEqual(answer);
  });

  it('knows its own from another', () => {
    const [one, two] = ['a', 'b'].map(name => withContext({}, () => name));
    expect([two?.context, one?.context]).toEqual(['b', 'a']);
  });
});
