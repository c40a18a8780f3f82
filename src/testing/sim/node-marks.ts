// Named places for faults in what nodes and threads say to each other while partitions and actors change hands. The gateway of a
// simulated node is listened to from outside; nothing in it knows.
//
//     'handoff-ready'        this node asks it, or says it              'handoff-ready done'   ... and has been answered
//     'hears handoff-ready'  it has come here                           'part-freeze'          its thread is asked to do its part
//     'gives handoff-ready'  its answer leaves from here: it stands by it

import { unreadable } from '../../runtime/cluster/cluster.ts';
import type { FarRouter } from '../../runtime/far-router.ts';
import type { Gateway } from '../../runtime/gateway/gateway.ts';
import type { Log } from '../../runtime/world.ts';
import type { SimWorld } from './process.ts';

const isWord = (word: string): boolean =>
  /^(part-|handoff-|guest-|found-|rep-(begin|round|vote|push|lead|out))|^(handed|last|watch|departed|pause)$/.test(
    word,
  );
/** Pages and keys: too many to wait for one of them. */
const isBulk = (word: string): boolean => /^part-(page|read|dirty|flush|echo)$/.test(word);
const isOf = (word: string): boolean => isWord(word) && !isBulk(word);

/** What a word is about, as far as it says so. */
export interface About {
  readonly partition?: unknown;
  readonly unit?: unknown;
}

/**
 * Told of what is done here by which a fault may happen. `peer`: the node it is done with, '' when it is this one. `answer`: of what is given,
 * and of what has been answered.
 */
type Mark = (point: string, peer: string, about: About, answer?: unknown) => void;

export function listenIn(router: FarRouter, gateway: Gateway, mark: Mark): void {
  const query = router.query.bind(router);
  const control = router.control.bind(router);
  const onControl = gateway.onControl.bind(gateway);
  const answer = router.queries.answer.bind(router.queries);
  router.query = (to, word, payload) => {
    const answer = query(to, word, payload);
    if (!isOf(word)) return answer;
    const peer = gateway.nameOf(to) ?? '';
    mark(word, peer, payload as About);
    return answer.then(value => {
      mark(`${word} done`, peer, payload as About, value);
      return value;
    });
  };
  router.control = (to, word, payload) => {
    control(to, word, payload);
    if (isOf(word)) mark(word, gateway.nameOf(to) ?? '', payload as About);
  };
  // What is asked here just now.
  let asked: unknown;
  gateway.onControl = (from, name, payload) => {
    const query = name === 'query' ? (payload as { name: string; payload: unknown }) : { name, payload };
    if (isOf(query.name)) mark(`hears ${query.name}`, gateway.nameOf(from) ?? '', query.payload as About);
    asked = query.payload;
    onControl(from, name, payload);
  };
  router.queries.answer = (from, id, word, run) => {
    const about = asked as About;
    if (run === undefined || !isOf(word) || gateway.nameOf(from) === undefined) return answer(from, id, word, run);
    answer(from, id, word, () => {
      const given = run();
      // Not awaited: nothing here may take longer for being listened to.
      void Promise.resolve(given).then(
        value => mark(`gives ${word}`, gateway.nameOf(from) ?? '', about, value),
        () => undefined,
      );
      return given;
    });
  };
}

/** Nothing is damaged on the way: no session may end because of what was said in it. */
export function heardIn(world: SimWorld, wrong: (what: string) => void): SimWorld {
  const error: Log['error'] = (fields, message) => {
    world.log.error(fields, message);
    if (message === unreadable) wrong(`${world.name}: ${message}: ${(fields as { err?: unknown }).err}`);
  };
  return { ...world, log: { ...world.log, error } };
}
