// The books of the output gate: what leaves when, and what a refused write takes along.

import { describe, expect, it } from 'vitest';
import { Gate } from '../../src/runtime/gate.ts';

function gateWithLog(): { gate: Gate; log: string[]; say(name: string): void } {
  const gate = new Gate();
  const log: string[] = [];
  const say = (name: string): void =>
    gate.pass({ send: () => log.push(name), refuse: error => log.push(`${name} refused: ${error}`) });
  return { gate, log, say };
}

describe('a gate', () => {
  it('lets go at once what rests on nothing', () => {
    const { gate, log, say } = gateWithLog();
    say('a');
    expect(log).toEqual(['a']);
    expect(gate.isClear).toBe(true);
  });

  it('keeps the order of what was said, whatever the order in which writes settle', () => {
    const { gate, log, say } = gateWithLog();
    const first = gate.ticket();
    say('a');
    const second = gate.ticket();
    say('b');
    gate.settled(second);
    expect(log).toEqual([]);
    gate.settled(first);
    expect(log).toEqual(['a', 'b']);
    expect(gate.isClear).toBe(true);
  });

  it('refuses what rests on the refused write or a later one, and only that', () => {
    const { gate, log, say } = gateWithLog();
    const first = gate.ticket();
    say('a');
    const second = gate.ticket();
    say('b');
    const third = gate.ticket();
    say('c');
    gate.refused(second, 'full');
    expect(log).toEqual(['b refused: full', 'c refused: full']);
    expect(gate.open).toBe(false);
    gate.refused(third, 'rests on it');
    gate.settled(first);
    expect(log).toEqual(['b refused: full', 'c refused: full', 'a']);
    expect(gate.isClear).toBe(true);
  });

  it('does not take the echo of a refusal for one of what was said since', () => {
    const { gate, log, say } = gateWithLog();
    const first = gate.ticket();
    const second = gate.ticket();
    const third = gate.ticket();
    gate.refused(second, 'full');
    say('rests on the first');
    const fourth = gate.ticket();
    say('rests on the fourth');
    gate.refused(third, 'echo');
    gate.settled(third);
    expect(log).toEqual([]);
    gate.settled(first);
    expect(log).toEqual(['rests on the first']);
    gate.settled(fourth);
    expect(log).toEqual(['rests on the first', 'rests on the fourth']);
  });

  it('with nothing left to wait for sends what it still has', () => {
    const { gate, log, say } = gateWithLog();
    const first = gate.ticket();
    const second = gate.ticket();
    gate.settled(first);
    say('a');
    gate.refused(second, 'full');
    say('b');
    expect(log).toEqual(['a refused: full', 'b']);
  });
});
