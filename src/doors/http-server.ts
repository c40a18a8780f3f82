// An HTTP door for probes, scrapers and people: it shows a node and changes nothing.
//
//   /livez      200 while this process turns its event loop
//   /readyz     200 while the node serves, 503 while it joins others, when they refuse it, and when it is stopping
//   /metrics    counters in the Prometheus text format
//   /describe   everything, as JSON
//
// It knows no passwords, so it answers on a loopback address only, unless somebody writes out `insecure: true`. On a loopback
// address it also refuses requests addressed to another host name: a web page in a browser of this machine could otherwise
// read it through a name of its own that points here (DNS rebinding).
//
// Invariant: read only. However many ask at once, the threads are asked to describe themselves once at a time.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, isIP } from 'node:net';
import { type Node, TroupeError } from '../index.ts';
import { httpConnectionsMax, httpDescribeMs, httpHeadersMs } from '../limits.ts';
import { unavailable } from '../runtime/links/tcp-wire.ts';
import { checkOptionNames } from '../runtime/option-names.ts';
import { show as shown } from '../runtime/show.ts';
import { metricsOf, metricsType } from './prometheus.ts';

export interface HttpOptions {
  /** 0 (default): any free one; the door says which. */
  readonly port?: number;
  /** Default '127.0.0.1'. Another than a loopback address needs `insecure: true`. */
  readonly host?: string;
  /** Whoever can reach the port can read everything it shows. */
  readonly insecure?: boolean;
}

export interface HttpDoor extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  readonly url: string;
  close(): Promise<void>;
}

/** The part of a node this door needs. */
export type ShownNode = Pick<Node, 'ready' | 'describe'>;

interface Page {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

const text = 'text/plain; charset=utf-8';
const known = ['port', 'host', 'insecure'];
const paths = ['/livez', '/readyz', '/metrics', '/describe'];

/** Rejects with BAD_OPTION for a wrong option, and when the port is taken or the address is not this machine's. */
export async function serveHttp(node: ShownNode, options: HttpOptions = {}): Promise<HttpDoor> {
  const { ready, describe } = (node ?? {}) as Partial<ShownNode>;
  if (typeof ready !== 'function' || typeof describe !== 'function')
    throw bad(`serveHttp(node, options) needs the node that startNode() gave, not ${shown(node)}`);
  const { port, host, insecure } = checkOptions(options);
  const show = pages(node);
  const server = createServer({ headersTimeout: httpHeadersMs, requestTimeout: httpHeadersMs }, (request, response) => {
    void answer(request, response, insecure, show);
  });
  server.maxConnections = httpConnectionsMax;
  const named = isIP(host) === 6 ? `[${host}]` : host;
  await listening(server, port, host).catch(error => {
    throw unavailable(`${named}:${port}`, error, 'port');
  });
  const bound = (server.address() as AddressInfo).port;
  const close = (): Promise<void> => closed(server);
  return { host, port: bound, url: `http://${named}:${bound}`, close, [Symbol.asyncDispose]: close };
}

function checkOptions(options: HttpOptions): Required<HttpOptions> {
  checkOptionNames('serveHttp()', options, known);
  const { port = 0, host = '127.0.0.1', insecure = false } = options;
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw bad(`port must be from 0 to 65535, not ${shown(port)}`);
  if (typeof host !== 'string' || host === '') throw bad(`host must be an address, not ${String(host)}`);
  if (typeof insecure !== 'boolean') throw bad(`insecure must be true or false, not ${String(insecure)}`);
  if (!isLoopback(host) && !insecure) {
    throw bad(
      `${host} is not a loopback address, and this door asks nobody who he is. Listen on 127.0.0.1 behind something that does, or write insecure: true`,
    );
  }
  return { port, host, insecure };
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

function listening(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function closed(server: Server): Promise<void> {
  return new Promise(resolve => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

// ---- a request ----

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  insecure: boolean,
  show: (path: string) => Promise<Page>,
): Promise<void> {
  const { status, type, body } = await route(request, insecure, show);
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...(status === 405 ? { allow: 'GET, HEAD' } : {}),
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

async function route(
  request: IncomingMessage,
  insecure: boolean,
  show: (path: string) => Promise<Page>,
): Promise<Page> {
  if (!insecure && !isLoopback(hostOf(request.headers.host))) {
    return plain(
      421,
      `this door answers to a loopback address or to localhost, not to '${request.headers.host ?? ''}'`,
    );
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') return plain(405, 'this door only shows: GET or HEAD');
  return show((request.url ?? '/').split('?', 1)[0] as string);
}

/** The name in a Host header, without its port. */
function hostOf(header: string | undefined): string {
  return (header ?? '')
    .toLowerCase()
    .replace(/:\d+$/, '')
    .replace(/^\[(.*)\]$/, '$1');
}

// ---- the pages ----

function pages(node: ShownNode): (path: string) => Promise<Page> {
  const describe = oneAtATime(() => withinMs(node.describe(), httpDescribeMs));
  return async path => {
    switch (path) {
      case '/livez':
        return plain(200, 'ok');
      case '/readyz':
        return orUnavailable(async () => {
          const isReady = await Promise.race([node.ready().then(() => true), soon()]);
          return isReady
            ? plain(200, 'ok')
            : plain(503, 'the node waits for others to let it in; /describe shows how far it is');
        });
      case '/metrics':
        return orUnavailable(async () => ({ status: 200, type: metricsType, body: metricsOf(await describe()) }));
      case '/describe':
        return orUnavailable(async () => ({ status: 200, type: 'application/json', body: json(await describe()) }));
      default:
        return plain(404, `nothing here; there are ${paths.join(' ')}`);
    }
  };
}

async function orUnavailable(page: () => Promise<Page>): Promise<Page> {
  try {
    return await page();
  } catch (error) {
    return plain(503, error instanceof Error ? error.message : 'the node cannot answer');
  }
}

function plain(status: number, body: string): Page {
  return { status, type: text, body: `${body}\n` };
}

function json(value: unknown): string {
  return `${JSON.stringify(value, (_, each) => (typeof each === 'bigint' ? each.toString() : each))}\n`;
}

/** Callers that come while one call is under way get its result. */
function oneAtATime<T>(make: () => Promise<T>): () => Promise<T> {
  let underWay: Promise<T> | undefined;
  return () => {
    underWay ??= make().finally(() => {
      underWay = undefined;
    });
    return underWay;
  };
}

/** A probe that waits as long as the node does would only learn that it has waited. */
function soon(): Promise<false> {
  return new Promise(resolve => setImmediate(() => resolve(false)));
}

function withinMs<T>(work: Promise<T>, ms: number): Promise<T> {
  let late: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    late = setTimeout(() => reject(new Error(`the node did not describe itself within ${ms} ms`)), ms);
  });
  return Promise.race([work, timeout]).finally(() => clearTimeout(late));
}

function bad(message: string): TroupeError {
  return new TroupeError('BAD_OPTION', message);
}
