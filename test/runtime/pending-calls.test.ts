import { expect, test } from 'vitest';
import { Call } from '../../src/runtime/call.ts';
import { PendingCalls } from '../../src/runtime/pending-calls.ts';

function sent(pending: PendingCalls): Call {
  const call = new Call(
    () => undefined,
    () => undefined,
    false,
  );
  pending.add(call);
  pending.markSent(call);
  return call;
}

test('an answer that was given up finds nobody: not the ask that has its place by now', () => {
  for (const life of [0, 1, 4_000]) {
    const pending = new PendingCalls(life);
    const first = sent(pending);
    const late = first.id;
    pending.drop(first);
    const second = sent(pending);
    expect(pending.take(late)).toBeUndefined();
    expect(pending.at(late)).toBeUndefined();
    expect(pending.wasSent(second)).toBe(true);
    expect(pending.take(second.id)).toBe(second);
    expect(pending.size).toBe(0);
    // As many as can be lost, and no number is beyond what a frame holds.
    for (let losses = 0; losses < 70_000; losses++) {
      const call = sent(pending);
      if (!Number.isSafeInteger(call.id)) expect(call.id).toBe('a safe integer');
      pending.drop(call);
    }
  }
});

test('an answer to an earlier life finds nobody', () => {
  const early = sent(new PendingCalls(1)).id;
  const pending = new PendingCalls(2);
  sent(pending);
  expect(pending.take(early)).toBeUndefined();
});

test('a place whose answer has come keeps its number; one that was never sent, too', () => {
  const pending = new PendingCalls();
  const answered = sent(pending);
  expect(pending.take(answered.id)).toBe(answered);
  const unsent = new Call(
    () => undefined,
    () => undefined,
    false,
  );
  pending.add(unsent);
  expect(unsent.id).toBe(answered.id);
  pending.drop(unsent);
  expect(sent(pending).id).toBe(answered.id);
});

test('one that has ended by itself keeps its place until its answer is there', () => {
  const pending = new PendingCalls();
  const call = sent(pending);
  pending.forget(call);
  expect(pending.size).toBe(1);
  expect(sent(pending).id).not.toBe(call.id);
  expect(pending.take(call.id)).toBe(call);
});
