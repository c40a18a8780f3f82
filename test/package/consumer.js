// Counts on many actors over two host threads, kept in ./data; prints the sums and which threads held them.
import { startNode } from 'troupe';
import { CounterT } from './counter.js';

const node = await startNode({ name: 'app', dataDir: './data', threads: 2, actors: [CounterT] });
const counters = Array.from({ length: 64 }, (_, index) => node.ref(CounterT, `key-${index}`));
const sums = await Promise.all(counters.map(counter => counter.add(2)));
const places = await Promise.all(counters.map(counter => node.locate(counter)));
await node.stop();
process.stdout.write(JSON.stringify({ sums, threads: [...new Set(places.map(place => place.thread))] }));
