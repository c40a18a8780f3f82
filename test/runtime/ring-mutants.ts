// Mistakes one could make in the ring, each a change of one statement in the sources, and a loader that runs the sources with
// the mistake made. The model checker has to find every one of them, or it is not searching what it claims to search.

import { readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import type { RingKit } from './ring-programs.ts';

const sources = ['shared-ring.ts', 'ring-writer.ts', 'ring-reader.ts', 'ring-set.ts'] as const;
type Source = (typeof sources)[number];

export interface Mutant {
  readonly mistake: string;
  readonly file: Source;
  readonly from: string;
  readonly to: string;
}

const ring = 'shared-ring.ts';
const writer = 'ring-writer.ts';
const reader = 'ring-reader.ts';
const set = 'ring-set.ts';

export const mutants: readonly Mutant[] = [
  {
    mistake: 'the tail moves before the header is written',
    file: writer,
    from: 'port.poke(cell, word);',
    to: 'port.store(tailCell, (tail + step) | 0); port.poke(cell, word);',
  },
  {
    mistake: 'the tail moves before the bytes are copied',
    file: writer,
    from: 'this.port.copyIn(this.nextAt(), frame, 0, length);\n      this.publish(length);',
    to: 'const at = this.nextAt(); this.publish(length); this.port.copyIn(at, frame, 0, length);',
  },
  {
    mistake: 'the tail is stored plainly',
    file: writer,
    from: 'port.store(tailCell, this.tail);',
    to: 'port.poke(tailCell, this.tail);',
  },
  {
    mistake: 'the bell is rung before the tail moves',
    file: writer,
    from: 'port.store(tailCell, this.tail);\n    this.reader.ring();',
    to: 'this.reader.ring(); port.store(tailCell, this.tail);',
  },
  {
    mistake: 'nobody rings after a frame',
    file: writer,
    from: 'port.store(tailCell, this.tail);\n    this.reader.ring();',
    to: 'port.store(tailCell, this.tail);',
  },
  {
    mistake: 'the writer never looks where the reader is now',
    file: writer,
    from: 'this.capacity - ((this.tail - this.port.load(headCell)) | 0);',
    to: 'this.room === 0 ? this.capacity : this.room;',
  },
  { mistake: 'the writer forgets what a frame took', file: writer, from: 'this.room -= step;', to: '' },
  {
    mistake: 'the header is not counted as room',
    file: ring,
    from: 'return headerBytes + ((length + 7) & ~7);',
    to: 'return length === 0 ? headerBytes : (length + 7) & ~7;',
  },
  {
    mistake: 'the reader takes a lap for a turn of twice its length',
    file: reader,
    from: 'const at = dataCell * 4 + (head & (this.capacity - 1)) + headerBytes;',
    to: 'const at = dataCell * 4 + (head & (this.capacity * 2 - 1)) + headerBytes;',
  },
  {
    mistake: 'the window is wider than the slack behind the ring',
    file: ring,
    from: 'return capacity / ringWindowShare;',
    to: 'return capacity / 2;',
  },
  {
    mistake: 'the writer does not look again after leaving its note',
    file: writer,
    from: 'this.port.store(waitingCell, 1);\n    if (need <= this.look()) {',
    to: 'const seen = this.look(); this.port.store(waitingCell, 1);\n    if (need <= seen) {',
  },
  {
    mistake: 'the reader looks for the note before it gives room back',
    file: reader,
    from: 'this.port.store(headCell, this.head);\n    if (this.port.load(waitingCell) === 0) return;',
    to: 'const waiting = this.port.load(waitingCell); this.port.store(headCell, this.head);\n    if (waiting === 0) return;',
  },
  {
    mistake: 'room is given back before the frame was handed out',
    file: reader,
    from: 'this.head = (head + step) | 0;',
    to: 'this.head = (head + step) | 0; port.store(headCell, this.head);',
  },
  {
    mistake: 'room is not given back at all',
    file: reader,
    from: 'if (this.released !== this.head) this.release();',
    to: '',
  },
  {
    mistake: 'the writer is woken before its note is taken away',
    file: reader,
    from: 'this.port.store(waitingCell, 0);\n    this.writer.ring();\n  }\n\n  /** The ring is closed',
    to: 'this.writer.ring(); this.port.store(waitingCell, 0);\n  }\n\n  /** The ring is closed',
  },
  {
    mistake: 'the note is taken away and nobody rings',
    file: reader,
    from: 'this.port.store(waitingCell, 0);\n    this.writer.ring();\n  }\n\n  /** The ring is closed',
    to: 'this.port.store(waitingCell, 0);\n  }\n\n  /** The ring is closed',
  },
  {
    mistake: 'a small frame overtakes the pieces of a large one',
    file: writer,
    from: 'if (this.rest !== null && !this.pushRest()) return false;',
    to: '',
  },
  {
    mistake: 'a large frame does not go on when there is room',
    file: writer,
    from: '|| (this.rest !== null && !this.pushRest())) return;',
    to: ') return;',
  },
  {
    mistake: 'a reader about to sleep trusts the tail it remembers',
    file: reader,
    from: '(this.head !== this.tail || this.port.load(tailCell) !== this.head)',
    to: 'this.head !== this.tail',
  },
  {
    mistake: 'a writer about to sleep does not look for room',
    file: writer,
    from: 'if (this.blocked) return this.port.load(waitingCell) === 0;',
    to: 'if (this.blocked) return false;',
  },
  {
    mistake: 'a writer that waits for room keeps its thread awake',
    file: writer,
    from: 'if (this.blocked) return this.port.load(waitingCell) === 0;',
    to: 'if (this.blocked) return true;',
  },
  {
    mistake: 'no second look after parking',
    file: set,
    from: 'if (this.busy() || !this.wait()) {',
    to: 'if (!this.wait()) {',
  },
  {
    mistake: 'the second look comes before parking',
    file: set,
    from: 'this.port.store(this.cell, parked);\n    if (this.busy() || !this.wait()) {',
    to: 'const busy = this.busy(); this.port.store(this.cell, parked);\n    if (busy || !this.wait()) {',
  },
  {
    mistake: 'the second look leaves out the writers',
    file: set,
    from: 'if ((this.writers[i] as RingWriter).restless()) return true;',
    to: '{}',
  },
  {
    mistake: 'the parked flag is taken back after the wait has begun',
    file: set,
    from: 'this.parked = true;\n',
    to: 'this.parked = true; this.port.store(this.cell, awake);\n',
  },
  {
    mistake: 'the notify comes before the bell is turned',
    file: set,
    from: 'if (this.port.load(this.cell) === parked && this.port.cas(this.cell, parked, awake)) this.port.notify(this.cell);',
    to: 'if (this.port.load(this.cell) === parked) { this.port.notify(this.cell); this.port.cas(this.cell, parked, awake); }',
  },
  {
    mistake: 'a wait that is over is still counted on',
    file: set,
    from: 'this.waiting = false;\n      this.stir();',
    to: 'this.stir();',
  },
  {
    mistake: 'the reaper believes what the bell says',
    file: set,
    from: 'this.port.store(this.cell, awake);\n    this.port.notify(this.cell);',
    to: 'this.ring();',
  },
  {
    mistake: 'one who wakes by itself forgets its bell',
    file: set,
    from: 'this.port.store(this.cell, parked);',
    to: 'if (!this.waiting) this.port.store(this.cell, parked);',
  },
];

/** The classes of the ring as written, or with one mistake made. */
export async function loadKit(mutant?: Mutant): Promise<RingKit> {
  const layout = scriptOf(ring, mutant);
  const others = ([writer, reader, set] as const).map(file =>
    scriptOf(file, mutant).replace(urlOf(ring).href, dataUrl(layout)),
  );
  const modules = await Promise.all([layout, ...others].map(script => import(dataUrl(script))));
  return Object.assign({}, ...modules) as RingKit;
}

/** The source as JavaScript with the mistake in it and with absolute imports: it runs from a data: URL, no file is written. */
function scriptOf(file: Source, mutant: Mutant | undefined): string {
  let source = readFileSync(urlOf(file), 'utf8');
  if (mutant?.file === file) {
    const parts = source.split(mutant.from);
    if (parts.length !== 2) throw new Error(`${parts.length - 1} places for the mistake: ${mutant.mistake}`);
    source = parts.join(mutant.to);
  }
  return stripTypeScriptTypes(source).replace(/from '(\.[^']+)'/g, (_, path: string) => `from '${urlOf(path).href}'`);
}

function urlOf(path: string): URL {
  return new URL(path, new URL('../../src/runtime/', import.meta.url));
}

function dataUrl(script: string): string {
  return `data:text/javascript,${encodeURIComponent(script).replaceAll("'", '%27')}`;
}
