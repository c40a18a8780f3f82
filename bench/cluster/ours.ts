// Troupe between two nodes: the far one founds the ring and owns all of it, so that what is placed by the ring lives there.

import { type Node, type NodeOptions, type Ref, startNode, type TellStub, tell } from '../../src/index.ts';
import { newIdentities } from '../links/ours.ts';
import { type ThreadSide, talkingBy } from '../threads/side.ts';
import { type Far, FarT, FeederT, MoverT } from './actors.ts';
import { FarProcess } from './far-process.ts';

export interface OurKind {
  /** Host threads of each node. With none the far actor runs on the thread that has the links. */
  readonly threads: number;
  readonly tls: boolean;
}

type Given = Pick<NodeOptions, 'tls'> & { readonly threads: number };

const common = { listen: '127.0.0.1:0', cluster: 'bench', secret: 'a secret of the bench' } as const;
const actors = [FarT, MoverT, FeederT];

export async function listen(given: unknown): Promise<string> {
  const node = await startNode({ ...common, ...(given as Given), name: 'far', actors });
  await node.ready();
  return node.cluster.address;
}

/** Two nodes that know each other, 'near' here and 'far' in a process of its own. */
export class TwoNodes {
  private readonly far = new FarProcess();
  private started: Node | undefined;

  get near(): Node {
    if (this.started === undefined) throw new Error('run before setup');
    return this.started;
  }

  /** `way`: what the far end is called in ways.ts. */
  async start(way: string, { threads, tls }: OurKind): Promise<void> {
    const identities = tls ? newIdentities() : undefined;
    const of = (name: 'near' | 'far'): Given => ({ threads, ...(identities && { tls: identities[name] }) });
    const address = await this.far.start(way, of('far'));
    this.started = await startNode({ ...common, ...of('near'), name: 'near', join: [address], actors });
    await this.near.ready();
  }

  async stop(): Promise<void> {
    await this.started?.stop();
    await this.far.end();
  }
}

export function troupeSide(way: string, kind: OurKind): ThreadSide {
  const nodes = new TwoNodes();
  let far: Ref<Far>;
  let hit: TellStub<Ref<Far>>;

  return {
    async setup() {
      await nodes.start(way, kind);
      far = nodes.near.ref(FarT, 'one');
      hit = tell(far);
      await far.tally();
      const { node, thread } = await nodes.near.locate(far);
      if (node !== 'far' || thread !== kind.threads) throw new Error(`the far actor lives on ${node}/${thread}`);
    },
    ...talkingBy({
      tell: value => hit.hit(value),
      tally: () => far.tally(),
      next: value => far.next(value),
      echo: text => far.echo(text),
    }),
    teardown: () => nodes.stop(),
  };
}
