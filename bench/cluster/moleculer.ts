// Moleculer 0.15 with its own TCP transporter and its default serializer (JSON): an ask is a call, a tell an emitted event. The near
// broker knows the address of the far one; the far one learns of the near one from its first word.

import { ServiceBroker } from 'moleculer';
import { Counter, type Tally, type ThreadSide, text1k } from '../threads/side.ts';
import { tellByCalls } from '../threads/tell-by-calls.ts';
import { FarProcess } from './far-process.ts';

interface Params {
  readonly value: number | string;
}

/** Seconds; the transporter takes no less. */
const gossipPeriod = 1;

/** `urls`: whom it knows from the beginning, or nobody. */
function broker(nodeID: string, urls: string): ServiceBroker {
  const options = { udpDiscovery: false, useHostname: false, gossipPeriod, urls };
  return new ServiceBroker({ nodeID, logger: false, transporter: { type: 'TCP', options } });
}

export async function listen(): Promise<string> {
  const counter = new Counter();
  const far = broker('far', '');
  far.createService({
    name: 'far',
    actions: {
      next: ({ params }: { params: Params }) => (params.value as number) + 1,
      echo: ({ params }: { params: Params }) => params.value,
      tally: () => counter.tally(),
    },
    events: { 'far.hit': ({ params }: { params: Params }) => counter.hit(params.value) },
  });
  await far.start();
  const { port } = (far.registry as { nodes: { localNode: { port: number } } }).nodes.localNode;
  return `127.0.0.1:${port}`;
}

export function moleculerSide(way: string): ThreadSide {
  const far = new FarProcess();
  let near: ServiceBroker;

  const call = <Reply>(what: 'next' | 'echo' | 'tally', value: number | string): Promise<Reply> =>
    near.call(`far.${what}`, { value } satisfies Params);
  const tell = (value: number | string): Promise<unknown> => near.emit('far.hit', { value } satisfies Params);
  const tally = (): Promise<Tally> => call('tally', 0);

  return {
    async setup() {
      near = broker('near', `${await far.start(way, undefined)}/far`);
      await near.start();
      await near.waitForServices('far', 20_000, 20);
      await tally();
    },
    tellNumbers: n => tellByCalls(n, tell, tally),
    tellTexts: n => tellByCalls(n, () => tell(text1k), tally),
    askNumber: value => call('next', value),
    askText: text => call('echo', text),
    async teardown() {
      await near?.stop();
      await far.end();
    },
  };
}
