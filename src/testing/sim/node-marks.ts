// Named places for faults in what nodes and threads say to each other while partitions and actors change hands. The gateway of a
// simulated node is listened to from outside; nothing in it knows.
//
//     'handoff-ready'        this node asks it, or says it              'handoff-ready done'   ... and has been answered
//     'hears handoff-ready'  it has come here                           'part-freeze'          its thread is asked to do its part

import type { FarRouter } from '../../runtime/far-router.ts';
import type { Gateway } from '../../runtime/gateway/gateway.ts';

const isNamed = (word: string): boolean => /^(part-|handoff-|guest-)|^(handed|last)$/.test(word);
/** Pages and keys: too many to wait for one of them. */
const isBulk = (word: string): boolean => /^part-(page|read|dirty|flush|echo)$/.test(word);

/** `mark`: something is done here by which a fault may happen. `peer`: the node it is done with, '' when it is this one. */
export function listenIn(router: FarRouter, gateway: Gateway, mark: (point: string, peer: string) => void): void {
  const query = router.query.bind(router);
  const control = router.control.bind(router);
  const onControl = gateway.onControl.bind(gateway);
  const isOf = (word: string): boolean => isNamed(word) && !isBulk(word);
  router.query = (to, word, payload) => {
    const answer = query(to, word, payload);
    if (!isOf(word)) return answer;
    const peer = gateway.nameOf(to) ?? '';
    mark(word, peer);
    return answer.then(value => {
      mark(`${word} done`, peer);
      return value;
    });
  };
  router.control = (to, word, payload) => {
    control(to, word, payload);
    if (isOf(word)) mark(word, gateway.nameOf(to) ?? '');
  };
  gateway.onControl = (from, name, payload) => {
    const word = name === 'query' ? String((payload as { name?: unknown } | null)?.name) : name;
    if (isOf(word)) mark(`hears ${word}`, gateway.nameOf(from) ?? '');
    onControl(from, name, payload);
  };
}
