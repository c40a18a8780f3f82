// The floor: msgpackr with its length before it over bare node:net, all frames of one turn of the event loop in one write (corked). No
// names, no deadlines, no acknowledgements, no checksums, no second try.
//
//     a frame: [ length u32 ][ msgpack of [what, number of the request, argument] ]             little-endian; back: [number, answer]

import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { Packr } from 'msgpackr';
import { type Answer, Counter, type Request, Requests, type ThreadSide, talkingBy } from '../threads/side.ts';
import { FarProcess } from './far-process.ts';

const lengthBytes = 4;

export async function listen(): Promise<string> {
  const counter = new Counter();
  const server = createServer({ noDelay: true }, socket => {
    const frames: Frames<Request, Answer> = new Frames(socket, ([what, id, value]) => {
      if (what === 'hit') counter.hit(value);
      else frames.send([id, what === 'next' ? (value as number) + 1 : what === 'echo' ? value : counter.tally()]);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return String((server.address() as AddressInfo).port);
}

export function netSide(way: string): ThreadSide {
  const far = new FarProcess();
  let frames: Frames<Answer, Request>;
  const requests = new Requests(request => frames.send(request));

  return {
    async setup() {
      const port = Number(await far.start(way, undefined));
      const socket = connect({ host: '127.0.0.1', port, noDelay: true });
      await once(socket, 'connect');
      frames = new Frames(socket, requests.onAnswer);
      await requests.tally();
    },
    ...talkingBy(requests),
    async teardown() {
      frames?.close();
      await far.end();
    },
  };
}

class Frames<In, Out> {
  private readonly socket: Socket;
  private readonly packr = new Packr({ useRecords: false });
  private rest: Buffer = Buffer.alloc(0);
  private corked = false;
  private room: Promise<void> | undefined;

  constructor(socket: Socket, onFrame: (frame: In) => void) {
    this.socket = socket;
    socket.on('error', () => {}); // the other process is killed in the end
    socket.on('data', chunk => {
      const bytes = this.rest.length === 0 ? (chunk as Buffer) : Buffer.concat([this.rest, chunk as Buffer]);
      let at = 0;
      while (at + lengthBytes <= bytes.length) {
        const from = at + lengthBytes;
        const end = from + bytes.readUInt32LE(at);
        if (end > bytes.length) break;
        onFrame(this.packr.unpack(bytes.subarray(from, end)) as In);
        at = end;
      }
      this.rest = bytes.subarray(at);
    });
  }

  /** A promise when the socket is full: of its being empty again. */
  send(frame: Out): Promise<void> | undefined {
    const { socket } = this;
    if (!this.corked) {
      this.corked = true;
      socket.cork();
      process.nextTick(() => {
        this.corked = false;
        socket.uncork();
      });
    }
    const body = this.packr.pack(frame);
    const packet = Buffer.allocUnsafe(lengthBytes + body.length);
    packet.writeUInt32LE(body.length, 0);
    packet.set(body, lengthBytes);
    if (!socket.write(packet)) this.room ??= this.drained();
    return this.room;
  }

  close(): void {
    this.socket.destroy();
  }

  private async drained(): Promise<void> {
    await once(this.socket, 'drain');
    this.room = undefined;
  }
}
