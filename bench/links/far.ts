// The far process of every way: counts, sends back. Its parent first says what its end is made of, and is told where it listens.

import { once } from 'node:events';
import { headBytes, type Pipe, whatEcho, whatHit } from './side.ts';
import { loadWay } from './ways.ts';

let [count, sum] = [0, 0];
let pipe: Pipe | undefined;
/** Answers that found the pipe full. */
const late: Uint8Array[] = [];

const answer = (frame: Uint8Array): void => {
  if (late.length > 0 || pipe?.send(frame) !== true) late.push(frame);
  if (late.length === 1) pipe?.onWritable(catchUp);
};
const catchUp = (): void => {
  while (late.length > 0 && pipe?.send(late[0] as Uint8Array) === true) late.shift();
  if (late.length > 0) pipe?.onWritable(catchUp);
};

const [{ far }] = (await once(process, 'message')) as [{ far: unknown }];
const way = await loadWay(process.argv[2] as string, far);
const { address, pipe: opened } = await way.listen((bytes, view, start, end) => {
  if (bytes[start] === whatHit) {
    count++;
    sum = (sum + view.getUint32(start + 4, true) + end - start) >>> 0;
    return;
  }
  const reply = new Uint8Array(bytes.subarray(start, end));
  if (bytes[start] !== whatEcho) {
    const numbers = new DataView(reply.buffer);
    numbers.setFloat64(headBytes, count, true);
    numbers.setUint32(headBytes + 8, sum, true);
  }
  answer(reply);
});
process.send?.(address);
pipe = await opened;
