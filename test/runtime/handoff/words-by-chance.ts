// Partitions go from node to node while links stand still for a moment, drawn from seeds: nothing is lost, everybody's words come in order, and no
// last word is waited for in vain.

import { tell } from '../../../src/runtime/refs.ts';
import { ClusterKit } from '../../../src/testing/cluster-kit-host.ts';
import { drawsOf, whole } from '../../../src/testing/sim/draws.ts';
import { LogT } from '../gateway/actors.ts';
import { hand, partitionOfKey } from './wishes.ts';

const names = ['n1', 'n2', 'n3', 'n4'];

interface Outcome {
  /** By speaker, what was heard of him, and what should have been. */
  readonly heard: readonly string[][];
  readonly should: readonly string[][];
  /** By node, how many last words were waited for in vain. */
  readonly late: readonly number[];
}

const [blocksMax, blockMsMax] = [4, 2_500] as const;

/** `log`: what is done. */
export async function speakAndHand(seed: number, log: (what: string) => void = () => undefined): Promise<Outcome> {
  const draw = drawsOf(seed);
  const kit = new ClusterKit(names.length, { actors: [LogT], seed });
  await kit.start();
  const key = `k${whole(draw('key'), 5)}`;
  const said = new Map(names.map(name => [name, 0]));
  /** Since when, by way. */
  const blocked = new Map<string, number>();
  const free = (way: string): void => {
    const [from = '', to = ''] = way.split(' ');
    kit.network.free(from, to);
    blocked.delete(way);
    log(`free ${way}`);
  };
  for (let step = 0; step < 25 + whole(draw('steps'), 30); step++) {
    const one = (what: string): string => names[whole(draw(what, step), names.length)] as string;
    const what = draw('what', step);
    const [from, to] = [one('from'), one('to')];
    if (what < 0.4) {
      said.set(from, (said.get(from) ?? 0) + 1);
      tell(kit.node(from).ref(LogT, key)).hear(`${from} ${said.get(from)}`);
      log(`${from} says ${said.get(from)}`);
    } else if (what < 0.6 && from !== to && blocked.size < blocksMax && !blocked.has(`${from} ${to}`)) {
      kit.network.block(from, to);
      blocked.set(`${from} ${to}`, kit.clock.mono());
      log(`block ${from} ${to}`);
    } else if (what > 0.9 && blocked.size > 0) free([...blocked.keys()][0] as string);
    // Where a link stands still it may not get there in time.
    else if (what > 0.6) {
      log(`hand to ${to}`);
      await hand(kit, partitionOfKey(kit, key), to, 300).catch(() => log('in vain'));
    }
    await kit.clock.advance(1 + whole(draw('pause', step), 40));
    for (const [way, at] of blocked) if (kit.clock.mono() - at > blockMsMax) free(way);
  }
  for (const way of [...blocked.keys()]) free(way);
  await kit.clock.advance(15_000);
  const heard = (await kit.run(kit.node('n1').ref(LogT, key).all())) as string[];
  const of = (name: string): string[] => heard.filter(word => word.startsWith(`${name} `));
  const late = names.map(name => (kit.node(name).gateway.lastWords.describe() as { late: number }).late);
  await kit.close();
  return {
    heard: names.map(of),
    late,
    should: names.map(name => Array.from({ length: said.get(name) ?? 0 }, (_, i) => `${name} ${i + 1}`)),
  };
}
