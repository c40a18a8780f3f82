// Actors written as functions: receive(state, message, turn) => { state, reply, effects }.

import type { ActorType } from '../../../src/runtime/define-actor.ts';
import { type Behaviour, defineBehaviour, type Effect } from '../../../src/runtime/define-behaviour.ts';
import type { AnyRef } from '../../../src/runtime/refs.ts';

export type CountState = { readonly n: number; readonly log: readonly string[] };
export type CountMessage =
  | { readonly type: 'add'; readonly by: number }
  | { readonly type: 'get' }
  | { readonly type: 'quiet' }
  | { readonly type: 'fail' }
  | { readonly type: 'spoil'; readonly with: unknown }
  | { readonly type: 'effects'; readonly effects: readonly Effect[] }
  | { readonly type: 'later'; readonly by: number; readonly ms: number };

/** How often receive() has run, live and replaying. */
export const runs = { live: 0, replayed: 0 };

function receive(
  state: CountState,
  message: CountMessage,
  turn: { readonly replaying: boolean },
): { state?: CountState; reply?: number; effects?: readonly Effect[] } | undefined {
  runs[turn.replaying ? 'replayed' : 'live']++;
  switch (message.type) {
    case 'add':
      return { state: { ...state, n: state.n + message.by }, reply: state.n + message.by };
    case 'get':
      return { reply: state.n };
    case 'quiet':
      return undefined;
    case 'fail':
      throw new RangeError('no');
    case 'spoil':
      return { state: { ...state, n: 999 } };
    case 'effects':
      return { state: { ...state, n: state.n + 1 }, reply: state.n + 1, effects: message.effects };
    case 'later':
      return { effects: [{ type: 'after', ms: message.ms, message: { type: 'add', by: message.by } }] };
  }
}
const initial = (props?: unknown): CountState => ({ n: (props as { from?: number } | undefined)?.from ?? 0, log: [] });

export type Count = Behaviour<CountState, CountMessage, number>;
export const CountT: ActorType<Count> = defineBehaviour(import.meta.url, { type: 'count', initial, receive });
export const StoredCountT: ActorType<Count> = defineBehaviour(import.meta.url, {
  type: 'stored-count',
  initial,
  persist: 'snapshot',
  receive,
});
export const WrittenCountT: ActorType<Count> = defineBehaviour(import.meta.url, {
  type: 'written-count',
  initial,
  persist: 'journal',
  receive,
});
export const ConstantT: ActorType<Behaviour<{ list: number[] }, number, number[]>> = defineBehaviour(import.meta.url, {
  type: 'constant',
  initial: { list: [] as number[] },
  receive(state, message: number) {
    state.list.push(message);
    return { reply: state.list };
  },
});
export const AsyncT: ActorType<Behaviour<{ n: number }, { ref: AnyRef; by: number }, number>> = defineBehaviour(
  import.meta.url,
  {
    type: 'async-count',
    initial: { n: 0 },
    async receive(state, message: { ref: AnyRef; by: number }, turn) {
      const other = (await turn.self.ref(CountT, 'other').send({ type: 'add', by: message.by })) as number;
      return { state: { n: state.n + other }, reply: state.n + other };
    },
  },
);
/** Not async by its looks, and asynchronous all the same: must be refused where it is a journal. */
export const SneakyT: ActorType<Behaviour<number, number, number>> = defineBehaviour(import.meta.url, {
  type: 'sneaky',
  initial: 0,
  persist: 'journal',
  receive: (state: number, message: number) => Promise.resolve({ state: state + message, reply: state }),
});
