// Plain HTTP/1.1 with JSON: fastify at the far end, undici's pool with connections that are kept. It knows no tell: each is a request
// whose answer is only awaited in the end.

import fastify from 'fastify';
import { Pool } from 'undici';
import { Counter, type Tally, type ThreadSide, text1k } from '../threads/side.ts';
import { tellByCalls } from '../threads/tell-by-calls.ts';
import { FarProcess } from './far-process.ts';

/** One request at a time on each; what is beyond waits in the pool. */
const connections = 64;

type What = 'hit' | 'next' | 'echo' | 'tally';
interface Body {
  readonly value: number | string;
}

export async function listen(): Promise<string> {
  const counter = new Counter();
  const server = fastify();
  server.post<{ Body: Body }>('/hit', async ({ body }) => {
    counter.hit(body.value);
    return {};
  });
  server.post<{ Body: Body }>('/next', async ({ body }) => ({ value: (body.value as number) + 1 }));
  server.post<{ Body: Body }>('/echo', async ({ body }) => ({ value: body.value }));
  server.post('/tally', async () => ({ value: counter.tally() }));
  return server.listen({ host: '127.0.0.1', port: 0 });
}

export function httpSide(way: string): ThreadSide {
  const far = new FarProcess();
  let pool: Pool;

  const call = async <Reply>(what: What, value: number | string): Promise<Reply> => {
    const { statusCode, body } = await pool.request({
      method: 'POST',
      path: `/${what}`,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ value } satisfies Body),
    });
    const answer = (await body.json()) as { value: Reply };
    if (statusCode !== 200) throw new Error(`/${what} answered ${statusCode}`);
    return answer.value;
  };
  const tally = (): Promise<Tally> => call('tally', 0);

  return {
    async setup() {
      pool = new Pool(await far.start(way, undefined), { connections });
      await tally();
    },
    tellNumbers: n => tellByCalls(n, index => call('hit', index), tally),
    tellTexts: n => tellByCalls(n, () => call('hit', text1k), tally),
    askNumber: value => call('next', value),
    askText: text => call('echo', text),
    async teardown() {
      await pool?.destroy();
      await far.end();
    },
  };
}
