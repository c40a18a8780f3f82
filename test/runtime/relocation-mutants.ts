// The protocol with one line changed, many times over: each must be caught by the simulator's oracles, or those oracles
// would not notice the mistake in real code either.
//
// A mutant is a change of the source text, not a flag in it: the cores are copied to a directory of their own, one piece of
// text that occurs exactly once is replaced, and the copy is imported. A row whose text is gone says so; adapt the row.

import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Mistake, mutate } from '../mutate.ts';
import type { Cores } from './relocation-cores.ts';

export type Mutant = Mistake;

const directory = 'directory.ts';
const dedupe = 'dedupe-window.ts';
const hold = 'relocation-hold.ts';
const route = 'relocation-route.ts';
const source = 'relocation-source.ts';
const target = 'relocation-target.ts';
const tombstone = 'relocation-tombstone.ts';
const pieces = 'relocation-pieces.ts';

export const mutants: readonly Mutant[] = [
  // Order across the switch.
  {
    name: 'a host sends no marker',
    file: route,
    find: 'const marked = via === nowhere ? [] : this.#mark(via, unit, epoch);',
    replace: 'const marked: HostEffect<P>[] = [];',
  },
  {
    name: 'direct messages are not held',
    file: hold,
    find: 'if (queue === undefined) return',
    replace: 'if (queue !== undefined || true) return',
  },
  {
    name: 'what was held is not released by the marker',
    file: hold,
    find: 'return queue.map(payload => this.#deliver(from, payload, true));',
    replace: 'return [];',
  },
  {
    name: 'what is held is released only after what came later',
    file: hold,
    find: 'return queue.map(payload',
    replace: 'return queue.reverse().map(payload',
  },
  {
    name: 'the tombstone passes the marker on before it forwards what it kept',
    file: route,
    find: "return [{ type: 'retire', unit }, ...late];",
    replace:
      "return [{ type: 'retire', unit }, ...hosts.flatMap(from => tombstone.step({ type: 'marker', from })), ...late];",
  },
  {
    name: 'the tombstone says parted at the first marker',
    file: tombstone,
    find: 'return this.#awaiting.size > 0 ? [passed]',
    replace: 'return this.#awaiting.size < 0 ? [passed]',
  },
  {
    name: 'a host sends its marker and goes on sending to the old owner',
    file: route,
    find: ' || this.#owners.get(unit) !== undefined) this.#learn(',
    replace: ') this.#learn(',
  },
  {
    name: 'the marker goes to the new owner',
    file: route,
    find: "if (via !== this.self) return [this.#send(via, { type: 'marker', unit, epoch })];",
    replace: "if (via !== this.self) return [this.#send(this.#owners.hostOf(unit), { type: 'marker', unit, epoch })];",
  },
  {
    name: 'the new owner trusts the death of a sender instead of the old owner',
    file: hold,
    find: 'return input.host === this.via ? this.becomeSettled(undefined) : [];',
    replace: 'return input.host === this.via ? this.becomeSettled(undefined) : this.#release(input.host);',
  },
  {
    name: 'messages from the future are delivered at once',
    file: route,
    find: 'return epoch > owner.epoch && !isCalm;',
    replace: 'return false;',
  },
  {
    name: 'messages from the future are read again in the wrong order',
    file: 'relocation-motions.ts',
    find: 'motion.parked = [];',
    replace: 'motion.parked = []; parked.reverse();',
  },
  {
    name: 'a unit may move again while its tombstone stands',
    file: directory,
    find: "if (entry.state === 'settling') {",
    replace: "if (entry.state === ('never' as string)) {",
  },
  {
    name: 'the new owner reports settled as soon as it runs',
    file: route,
    find: "return [{ type: 'activate', unit, epoch, how }];",
    replace:
      "return [{ type: 'activate', unit, epoch, how }, this.#tell({ type: 'settled', unit, epoch, stats: undefined })];",
  },
  {
    name: 'a second heir does not wait for the tombstone of the first',
    file: directory,
    find: 'const via = move.via === to ? nowhere : move.via;',
    replace: 'const via = nowhere;',
  },
  {
    name: 'a dead host is still listened to',
    file: route,
    find: "{ type: 'hang-up', host },",
    replace: '',
  },
  // Loss.
  {
    name: 'the tombstone drops what comes',
    file: tombstone,
    find: "return [{ type: 'send', to, message: { type: 'forward', unit, epoch, from, payload } }];",
    replace: 'return [];',
  },
  {
    name: 'what came between pack and switch is not forwarded',
    file: route,
    find: "return [{ type: 'retire', unit }, ...late];",
    replace: "return [{ type: 'retire', unit }];",
  },
  {
    name: 'what came between pack and thaw is not delivered',
    file: source,
    find: "return [{ type: 'thaw', unit, epoch: fresh }, ...kept];",
    replace: "return [{ type: 'thaw', unit, epoch: fresh }];",
  },
  {
    name: 'messages go into the mailbox while it is being packed',
    file: source,
    find: 'this.#packing = true;',
    replace: 'this.#packing = false;',
  },
  {
    name: 'a message that waited for its owner to be found is forgotten',
    file: route,
    find: 'return [...effects, ...waiting.flatMap(payload => this.#onSend(unit, payload, now))];',
    replace: 'return effects;',
  },
  {
    name: 'the tombstone forwards to a dead owner',
    file: route,
    find: 'if (owner === undefined) return true;',
    replace: "if (owner === undefined) return role?.kind !== 'tombstone';",
  },
  {
    name: 'nobody tells the senders of a dead owner',
    file: route,
    find: "...(units.length > 0 ? [{ type: 'lost', host, units } as const] : []),",
    replace: '',
  },
  {
    name: 'nobody tells the senders of a dead tombstone',
    file: directory,
    find: "move?.phase === 'settling' && move.via === host",
    replace: "move?.phase === 'settling' && move.via === host && host < 0",
  },
  // Two owners.
  {
    name: 'the target runs before the switch',
    file: target,
    find: "return [{ type: 'send', to: this.#directory, message: { type: 'installed', unit, epoch } }];",
    replace:
      "return [{ type: 'activate', unit, epoch, how: 'shipped' }, { type: 'send', to: this.#directory, message: { type: 'installed', unit, epoch } }];",
  },
  {
    name: 'the source thaws by itself when it has waited too long',
    file: source,
    find: "return [{ type: 'send', to: this.#directory, message: { type: 'abort', unit, epoch, reason } }];",
    replace:
      "return [{ type: 'thaw', unit, epoch }, { type: 'send', to: this.#directory, message: { type: 'abort', unit, epoch, reason } }];",
  },
  {
    name: 'the source thaws under the epoch of the failed move',
    file: directory,
    find: "{ type: 'thaw', unit, epoch: entry.epoch, aborted: epoch }",
    replace: "{ type: 'thaw', unit, epoch, aborted: epoch }",
  },
  {
    name: 'an abort leaves the epoch as it was',
    file: directory,
    find: 'entry.epoch = this.#spend();\n    const thaw',
    replace: 'const thaw',
  },
  {
    name: 'a grant after a death reuses the epoch',
    file: directory,
    find: 'const epoch = this.#spend();\n    const known = this.#entries.get(unit);',
    replace: 'const known = this.#entries.get(unit);\n    const epoch = known?.epoch ?? this.#spend();',
  },
  {
    name: 'the switch does not look whether the move is still on',
    file: directory,
    find: "return this.#isDue(entry, 'shipping', message.epoch, from) ?",
    replace: 'return entry?.move !== undefined ?',
  },
  {
    name: 'the switch is committed when the room is reserved',
    file: directory,
    find: "return this.#isDue(entry, 'reserving', message.epoch, from) ? this.#becomeShipping(entry, now) : [];",
    replace: "return this.#isDue(entry, 'reserving', message.epoch, from) ? this.#becomeSettling(entry, now) : [];",
  },
  {
    name: 'an abort is honoured after the switch',
    file: directory,
    find: "if (move === undefined || move.phase === 'settling' || move.epoch !== epoch) return false;",
    replace: 'if (move === undefined || move.epoch !== epoch) return false;',
  },
  {
    name: 'the watchdog rolls a committed switch back',
    file: directory,
    find: "if (move.phase !== 'settling') return this.#abort(entry, 'watchdog');",
    replace: "return this.#abort(entry, 'watchdog');",
  },
  {
    name: 'the target gives up although it has said installed',
    file: target,
    find: "this.state = 'installed';\n    this.deadlineAt = Number.POSITIVE_INFINITY;",
    replace: "this.state = 'installing';",
  },
  {
    name: 'the old owner keeps its copy',
    file: route,
    find: "return [{ type: 'retire', unit }, ...late];",
    replace: 'return late;',
  },
  {
    name: 'the target is not told that the move is off',
    file: directory,
    find: "const cancel = this.#send(to, { type: 'cancel', unit, epoch });",
    replace: "const cancel = this.#send(nowhere, { type: 'cancel', unit, epoch });",
  },
  {
    name: 'the target does not listen to a cancel',
    file: target,
    find: "case 'cancel':\n        return this.becomeGone();",
    replace: "case 'cancel':\n        return [];",
  },
  // Standing still.
  {
    name: 'a dead host is waited for',
    file: tombstone,
    find: 'if (host !== this.to) return this.#onMarker(host);',
    replace: 'if (host !== this.to) return [];',
  },
  {
    name: 'the death of the old owner does not end the holding',
    file: hold,
    find: 'return input.host === this.via ? this.becomeSettled(undefined) : [];',
    replace: 'return [];',
  },
  {
    name: 'the watchdog sleeps',
    file: directory,
    find: 'if (now < move.deadlineAt) return [];',
    replace: 'if (now >= 0) return [];',
  },
  {
    name: 'the death of the source is not noticed',
    file: directory,
    find: "if (host === move.from) return [...refused, ...this.#abort(entry, 'source-died')];",
    replace: 'if (host === move.from) return refused;',
  },
  {
    name: 'the proposal in line is forgotten',
    file: directory,
    find: '      : [event, ...answer, ...this.#onPropose(entry.unit, next, entry, now)];',
    replace: '      : [event, ...answer];',
  },
  {
    name: 'only two hosts hear of the switch',
    file: directory,
    find: "how: 'shipped',\n      }),",
    replace:
      "how: 'shipped',\n      }).filter(it => it.type === 'send' && (it.to === move.to || it.to === move.from)),",
  },
  // Links that repeat.
  {
    name: 'a repeated frame is taken again',
    file: dedupe,
    find: "return 'duplicate';",
    replace: "return 'next';",
  },
  {
    name: 'a gap is overlooked',
    file: dedupe,
    find: "return 'gap';",
    replace: "this.#remember(sender, sequence);\n      return 'next';",
  },
  {
    name: 'a damaged piece is taken for whole',
    file: pieces,
    find: ' || this.#checksum(piece.bytes) !== piece.checksum',
    replace: '',
  },
];

const sourceRoot = new URL('../../src/', import.meta.url);
const copied = [
  directory,
  'directory-entry.ts',
  dedupe,
  'owner-table.ts',
  hold,
  'relocation-messages.ts',
  'relocation-motions.ts',
  pieces,
  route,
  source,
  target,
  tombstone,
];

/** The cores with the mutation applied; without one, a plain copy. */
export async function load(folder: string, mutant: Mutant | undefined): Promise<Cores> {
  const runtime = join(folder, 'runtime');
  mkdirSync(runtime, { recursive: true });
  for (const file of ['limits.ts', 'limits-cluster.ts']) cpSync(new URL(file, sourceRoot), join(folder, file));
  for (const file of copied) {
    const text = readFileSync(new URL(`runtime/${file}`, sourceRoot), 'utf8');
    writeFileSync(join(runtime, file), mutant?.file === file ? mutate(text, mutant) : text);
  }
  const module = (file: string) => import(/* @vite-ignore */ pathToFileURL(join(runtime, file)).href);
  const [{ Directory }, { Route }, { DedupeWindow }, { isForDirectory }, { cutPieces, joinPieces }] = await Promise.all(
    [directory, route, dedupe, 'relocation-messages.ts', pieces].map(module),
  );
  return { Directory, Route, DedupeWindow, isForDirectory, cutPieces, joinPieces };
}
