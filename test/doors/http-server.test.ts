// The HTTP door over real sockets: it shows, it refuses, it never changes anything.

import { request } from 'node:http';
import { connect } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type HttpDoor, type ShownNode, serveHttp } from '../../src/doors/http-server.ts';
import { startNode, TroupeError } from '../../src/index.ts';
import { httpDescribeMs } from '../../src/limits.ts';

const open: HttpDoor[] = [];
afterEach(async () => {
  for (const door of open.splice(0)) await door.close();
});

async function doorOf(node: ShownNode, ...options: Parameters<typeof serveHttp>[1][]): Promise<HttpDoor> {
  const door = await serveHttp(node, ...options);
  open.push(door);
  return door;
}

interface Got {
  readonly status: number | undefined;
  readonly headers: Record<string, unknown>;
  readonly body: string;
}

function ask(door: HttpDoor, path: string, method = 'GET', headers: Record<string, string> = {}): Promise<Got> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: door.host, port: door.port, path, method, headers, agent: false }, response => {
      let body = '';
      response.setEncoding('utf8').on('data', text => {
        body += text;
      });
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body }));
    });
    sent.on('error', reject).end();
  });
}

/** So many requests in one write on one connection; all that comes back. */
async function pipelined(door: HttpDoor, path: string, count: number): Promise<string> {
  const head = `GET ${path} HTTP/1.1\r\nhost: localhost\r\n`;
  const socket = connect(door.port, door.host);
  let requests = '';
  for (let i = 1; i < count; i++) requests += `${head}\r\n`;
  socket.write(`${requests}${head}connection: close\r\n\r\n`);
  let all = '';
  for await (const text of socket.setEncoding('utf8')) all += text;
  return all;
}

const calm: ShownNode = {
  ready: async () => undefined,
  describe: async () => ({ node: 'n1', engine: 'memory', threads: [{ thread: 0, deadLetters: 7 }], restarts: 1 }),
};

describe('the HTTP door', () => {
  it('says that a process lives and a node is ready, and that one which stops is not', async () => {
    const door = await doorOf(calm);
    expect([await ask(door, '/livez'), await ask(door, '/readyz')].map(({ status, body }) => [status, body])).toEqual([
      [200, 'ok\n'],
      [200, 'ok\n'],
    ]);
    const stopping = await doorOf({
      ...calm,
      ready: async () => {
        throw new TroupeError('STOPPED', 'node n1 is stopping');
      },
    });
    expect((await ask(stopping, '/livez')).status).toBe(200);
    expect(await ask(stopping, '/readyz')).toMatchObject({ status: 503, body: 'node n1 is stopping\n' });
  });

  it('shows a real node: its counters for a scraper, and everything as JSON', async () => {
    await using node = await startNode({ name: 'shown', threads: 1 });
    const store = await node.store('things');
    await store.put('a', 1);
    const door = await doorOf(node);
    const metrics = await ask(door, '/metrics');
    expect(metrics.headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(metrics.body).toContain('troupe_node_info{node="shown",engine="memory"} 1\n');
    expect(metrics.body).toMatch(/^troupe_messages_handled_total\{thread="1",type="vnode"\} [1-9]/m);
    expect(metrics.body).toContain('troupe_relocation_messages_shipped_total{thread="1"} 0\n');
    const described = JSON.parse((await ask(door, '/describe?pretty')).body);
    expect(described).toMatchObject({ node: 'shown', engine: 'memory', stores: [{ name: 'things' }] });
    await node.stop();
    expect((await ask(door, '/readyz')).status).toBe(503);
  });

  it('listens on 127.0.0.1, on a port of its own choice, and says where', async () => {
    const door = await doorOf(calm);
    expect(door).toMatchObject({ host: '127.0.0.1', url: `http://127.0.0.1:${door.port}` });
    expect(door.port).toBeGreaterThan(0);
    await door.close();
    await expect(ask(door, '/livez')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  it.each(['0.0.0.0', '::', '10.0.0.1', 'example.org'])('refuses to listen on %s', async host => {
    await expect(serveHttp(calm, { host })).rejects.toMatchObject({ code: 'BAD_OPTION' });
  });

  it.each([[null], [undefined], [{}], ['n1']])('needs a node: %j', async none => {
    await expect(serveHttp(none as never)).rejects.toMatchObject({
      code: 'BAD_OPTION',
      message: expect.stringMatching(/needs the node that startNode\(\) gave/),
    });
  });

  it('names the address that is taken, and what to do', async () => {
    const { port } = await doorOf(calm);
    await expect(serveHttp(calm, { port })).rejects.toMatchObject({
      code: 'BAD_OPTION',
      message: `cannot listen on 127.0.0.1:${port}: another process listens there; choose another port, or 0 for any`,
      details: { option: 'port', code: 'EADDRINUSE' },
    });
  });

  it('answers at once while the node waits for others to let it in', async () => {
    const door = await doorOf({ ...calm, ready: () => new Promise(() => {}) });
    expect(await ask(door, '/readyz')).toMatchObject({ status: 503, body: expect.stringMatching(/waits for others/) });
  });

  it('listens elsewhere when insecure: true is written out', async () => {
    const door = await doorOf(calm, { host: '0.0.0.0', insecure: true });
    const elsewhere = { ...door, host: '127.0.0.1' };
    expect((await ask(elsewhere, '/livez', 'GET', { host: 'any.example' })).status).toBe(200);
  });

  it.each([{ prot: 1 }, { port: -1 }, { port: 1.5 }, { port: 65_536 }, { host: '' }, { insecure: 'yes' }])(
    'refuses the options %j',
    async options => {
      await expect(serveHttp(calm, options as never)).rejects.toMatchObject({ code: 'BAD_OPTION' });
    },
  );

  it('refuses a request that was addressed to another host name, as a rebound one is', async () => {
    const door = await doorOf(calm);
    const status = async (host: string): Promise<number | undefined> =>
      (await ask(door, '/describe', 'GET', { host })).status;
    expect(await status('evil.example')).toBe(421);
    expect(await status(`evil.example:${door.port}`)).toBe(421);
    expect(await status('127.0.0.1.evil.example')).toBe(421);
    expect(await status(`localhost:${door.port}`)).toBe(200);
    expect(await status('LOCALHOST')).toBe(200);
    expect(await status('[::1]:80')).toBe(200);
  });

  it.each(['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'])('refuses to %s', async method => {
    const answer = await ask(await doorOf(calm), '/describe', method);
    expect([answer.status, answer.headers.allow]).toEqual([405, 'GET, HEAD']);
  });

  it('answers HEAD without a body, and what it does not have with where to look', async () => {
    const door = await doorOf(calm);
    const head = await ask(door, '/metrics', 'HEAD');
    expect([head.status, head.body, Number(head.headers['content-length']) > 0]).toEqual([200, '', true]);
    const nothing = await ask(door, '/constructor');
    expect([nothing.status, nothing.body]).toEqual([
      404,
      'nothing here; there are /livez /readyz /metrics /describe\n',
    ]);
  });

  it('asks the node once for all who ask meanwhile, and again for the next', async () => {
    let asked = 0;
    let begun: (() => void) | undefined;
    let answer: (() => void) | undefined;
    const door = await doorOf({
      ...calm,
      describe: () => {
        asked++;
        begun?.();
        return new Promise(resolve => {
          answer = () => resolve({ node: `answer ${asked}` });
        });
      },
    });
    const five = pipelined(door, '/describe', 5);
    await new Promise<void>(resolve => {
      begun = resolve;
    });
    // The five came in one piece: once the event loop has turned, all of them wait.
    await new Promise(resolve => setImmediate(resolve));
    answer?.();
    expect((await five).match(/\{.*\}/g)).toEqual(Array(5).fill('{"node":"answer 1"}'));
    const next = ask(door, '/describe');
    await new Promise<void>(resolve => {
      begun = resolve;
    });
    answer?.();
    expect((await next).body).toBe('{"node":"answer 2"}\n');
    expect(asked).toBe(2);
  });

  it('says so when the node cannot describe itself, or not in time', async () => {
    const failing = await doorOf({ ...calm, describe: () => Promise.reject(new Error('no')) });
    expect(await ask(failing, '/metrics')).toMatchObject({ status: 503, body: 'no\n' });
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      let asked: (() => void) | undefined;
      const begun = new Promise<void>(resolve => {
        asked = resolve;
      });
      const hung = await doorOf({
        ...calm,
        describe: () => {
          asked?.();
          return new Promise(() => undefined);
        },
      });
      const answer = ask(hung, '/describe');
      await begun;
      vi.advanceTimersByTime(httpDescribeMs);
      expect(await answer).toMatchObject({
        status: 503,
        body: `the node did not describe itself within ${httpDescribeMs} ms\n`,
      });
    } finally {
      vi.useRealTimers();
    }
  });
});
