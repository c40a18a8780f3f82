// Troupe between two threads: the caller's own and one host thread, to which the far actor is pinned.

import { type Ref, startNode, tell } from '../../src/index.ts';
import { type Far, FarT } from './actors.ts';
import { confirmTells, type ThreadSide, text1k } from './side.ts';

export function troupeSide(): ThreadSide {
  let node: Awaited<ReturnType<typeof startNode>>;
  let far: Ref<Far>;

  return {
    async setup() {
      node = await startNode({ threads: 1, actors: [FarT] });
      far = node.ref(FarT, 'one');
      await far.tally();
      const { thread } = await node.locate(far);
      if (thread !== 1) throw new Error(`the far actor lives on thread ${thread}`);
    },
    tellNumbers(n) {
      const hit = tell(far);
      return confirmTells(
        n,
        index => hit.hit(index),
        () => far.tally(),
      );
    },
    tellTexts(n) {
      const hit = tell(far);
      return confirmTells(
        n,
        () => hit.hit(text1k),
        () => far.tally(),
      );
    },
    askNumber: value => far.next(value),
    askText: text => far.echo(text),
    teardown: () => node.stop(),
  };
}
