// A network of TCP proxies between nodes on loopback: one port for each ordered pair, and a cut for each direction.
//
//     n1 ──dials──▶ proxy of n1>n2 ──dials──▶ n2           cut('n1', 'n2'): nothing that n1 says reaches n2, on no connection
//
// A cut holds what comes, it does not drop it: that is what a route that is gone looks like to TCP for as long as nobody gives up.
// What was held goes on with heal(), or ends with its connection. reset() breaks connections at once.

import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

interface Flow {
  readonly from: string;
  readonly to: string;
  readonly source: Socket;
}

export class FaultProxy implements AsyncDisposable {
  readonly #servers: Server[] = [];
  readonly #flows = new Set<Flow>();
  readonly #cuts = new Set<string>();

  /** An address that leads `from` to the port of `to`. */
  async way(from: string, to: string, port: number): Promise<string> {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, near => {
      const far = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
      far.pause();
      this.#join({ from, to, source: near }, far);
      this.#join({ from: to, to: from, source: far }, near);
    });
    this.#servers.push(server.listen(0, '127.0.0.1'));
    await once(server, 'listening');
    return `127.0.0.1:${(server.address() as { port: number }).port}`;
  }

  #join(flow: Flow, target: Socket): void {
    const { source } = flow;
    this.#flows.add(flow);
    source.setNoDelay(true);
    source.on('data', bytes => {
      if (!target.write(bytes)) {
        source.pause();
        target.once('drain', () => this.#steer(flow));
      }
    });
    source.on('end', () => target.end());
    source.on('error', () => target.destroy());
    source.on('close', () => this.#flows.delete(flow));
    this.#steer(flow);
  }

  #steer({ from, to, source }: Flow): void {
    if (this.#cuts.has(`${from}>${to}`)) source.pause();
    else source.resume();
  }

  /** One way only; both ways are two cuts. */
  cut(from: string, to: string): void {
    this.#cuts.add(`${from}>${to}`);
    for (const flow of this.#flows) this.#steer(flow);
  }

  heal(): void {
    this.#cuts.clear();
    for (const flow of this.#flows) this.#steer(flow);
  }

  /** All connections there are end as a rebooting router ends them. New ones may be made. */
  reset(): void {
    for (const { source } of this.#flows) source.resetAndDestroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { source } of this.#flows) source.destroy();
    await Promise.all(this.#servers.map(server => once(server.close(), 'close')));
  }
}
