// Troupe between two threads: the caller's own and one host thread, to which the far actor is pinned.

import { type Ref, startNode, type TellStub, tell } from '../../src/index.ts';
import { type Far, FarT } from './actors.ts';
import { type ThreadSide, talkingBy } from './side.ts';

export function troupeSide(): ThreadSide {
  let node: Awaited<ReturnType<typeof startNode>>;
  let far: Ref<Far>;
  let hit: TellStub<Ref<Far>>;

  return {
    async setup() {
      node = await startNode({ threads: 1, actors: [FarT] });
      far = node.ref(FarT, 'one');
      hit = tell(far);
      await far.tally();
      const { thread } = await node.locate(far);
      if (thread !== 1) throw new Error(`the far actor lives on thread ${thread}`);
    },
    ...talkingBy({
      tell: value => hit.hit(value),
      tally: () => far.tally(),
      next: value => far.next(value),
      echo: text => far.echo(text),
    }),
    teardown: () => node.stop(),
  };
}
