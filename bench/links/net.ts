// What one would write without us: frames with their length before them over node:net. Each frame is a write of its own; or all of one
// turn of the event loop leave together (corked), which is the most that can be had from a socket.

import { connect, createServer, type Socket } from 'node:net';
import type { OnFrame, Pipe, Way } from './side.ts';

export function netWay(corked: boolean): Way {
  return {
    async listen(onFrame) {
      const { promise: pipe, resolve } = Promise.withResolvers<Pipe>();
      const server = createServer({ noDelay: true }, socket => {
        server.close();
        resolve(pipeOver(socket, onFrame, corked));
      });
      const { promise: listening, resolve: go } = Promise.withResolvers<void>();
      server.listen(0, '127.0.0.1', go);
      await listening;
      return { address: String((server.address() as { port: number }).port), pipe };
    },
    async dial(address, onFrame) {
      const socket = connect({ host: '127.0.0.1', port: Number(address), noDelay: true });
      await new Promise<void>((resolve, reject) => {
        socket.once('connect', resolve);
        socket.once('error', reject);
      });
      return pipeOver(socket, onFrame, corked);
    },
  };
}

function pipeOver(socket: Socket, onFrame: OnFrame, corked: boolean): Pipe {
  let rest: Buffer = Buffer.alloc(0);
  let isFull = false;
  let isCorked = false;
  socket.on('data', chunk => {
    const bytes = rest.length === 0 ? (chunk as Buffer) : Buffer.concat([rest, chunk as Buffer]);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    let at = 0;
    while (at + 4 <= bytes.length) {
      const end = at + 4 + view.getUint32(at, true);
      if (end > bytes.length) break;
      onFrame(bytes, view, at + 4, end);
      at = end;
    }
    rest = bytes.subarray(at);
  });
  socket.on('error', () => {});
  socket.on('drain', () => {
    isFull = false;
  });
  return {
    send(frame) {
      if (isFull) return false;
      if (corked && !isCorked) {
        isCorked = true;
        socket.cork();
        setImmediate(() => {
          isCorked = false;
          socket.uncork();
        });
      }
      const packet = Buffer.allocUnsafe(4 + frame.length);
      packet.writeUInt32LE(frame.length, 0);
      packet.set(frame, 4);
      isFull = !socket.write(packet);
      return true;
    },
    onWritable: fn => void socket.once('drain', fn),
    async close() {
      socket.destroy();
    },
  };
}
