// Mistakes one could make in what the simulator runs, each a change of one place in the sources. The scenarios have to find them, or
// their oracles look at less than they claim. A row whose text is gone, or is there twice, says so: adapt the row.
//
// Left out is what changes nothing that anybody could see: a check whose case another one makes impossible (gaps in a stream that
// keeps order), or a duty that others do as well (refuting a suspicion, which the next heartbeat does; speaking to those that are
// down, which seeds and returning links do).

import type { Mistake } from '../../mutate.ts';

/** `file` is below src/. */
export interface Mutant extends Mistake {
  readonly scenario: 'counters' | 'links' | 'membership';
}

const gate = 'runtime/gate.ts';
const outputGate = 'runtime/output-gate.ts';
const persistence = 'runtime/persistence.ts';
const reminders = 'runtime/reminders.ts';
const epochs = 'runtime/epochs.ts';
const answered = 'runtime/answered.ts';
const groups = 'storage/group-commit.ts';
const overlay = 'storage/pending-writes.ts';
const memory = 'storage/memory-store.ts';
const link = 'runtime/links/peer-link.ts';
const inbox = 'runtime/links/peer-inbox.ts';
const remains = 'runtime/links/remains.ts';
const packet = 'runtime/links/packet.ts';
const gossip = 'runtime/membership/gossip.ts';
const watch = 'runtime/membership/member-watch.ts';
const member = 'runtime/membership/member.ts';
const phi = 'runtime/membership/phi-accrual.ts';
const suspicion = 'runtime/membership/suspicion.ts';
const claim = 'runtime/ownership/claim.ts';
const ring = 'runtime/ownership/ring.ts';
const ringPlan = 'runtime/ownership/ring-plan.ts';

export const mutants: readonly Mutant[] = [
  // What leaves an actor, and when.
  {
    name: 'an answer leaves before its write is durable',
    scenario: 'counters',
    file: gate,
    find: 'if (this.isClear) output.send();',
    replace: 'if (this.isClear || this.tickets > 0) output.send();',
  },
  {
    name: 'an answer waits for the write before the last only',
    scenario: 'counters',
    file: gate,
    find: 'after: this.undecided.at(-1) ?? 0, output',
    replace: 'after: (this.undecided.at(-1) ?? 0) - 1, output',
  },
  {
    name: 'what waits behind a refused write is sent',
    scenario: 'counters',
    file: gate,
    find: 'for (const { output } of lost) output.refuse(error);',
    replace: 'for (const { output } of lost) output.send();',
  },
  {
    name: 'a refused write takes along the answers of earlier ones',
    scenario: 'counters',
    file: gate,
    find: 'const first = this.queue.findIndex(({ after }) => after >= ticket);',
    replace: 'const first = Math.min(0, this.queue.length - 1);',
  },
  {
    name: 'only the first state of an activation is stored',
    scenario: 'counters',
    file: outputGate,
    find: 'if (mayHaveChanged) this.savePoint(act, gate);',
    replace: 'if (mayHaveChanged && gate.handedIn === undefined) this.savePoint(act, gate);',
  },
  {
    name: "a 'flushed' actor is stored as 'committed'",
    scenario: 'counters',
    file: persistence,
    find: 'void this.write(act, gate, [this.snapshotOp(act, bytes, gate), ...memo], spec.durability).catch(',
    replace: "void this.write(act, gate, [this.snapshotOp(act, bytes, gate), ...memo], 'committed').catch(",
  },
  {
    name: 'a refused write leaves memory as it was',
    scenario: 'counters',
    file: persistence,
    find: "if (act.hosted.spec.saves === 'explicit') {\n      gate.handedIn = undefined;",
    replace: 'if (act.hosted.persists) {\n      gate.handedIn = undefined;',
  },
  {
    name: 'a write does not wait for the word on the one before it',
    scenario: 'counters',
    file: persistence,
    find: 'const done = last !== null && this.isUnheard(act, last) ? last.done.then(handIn) : handIn();',
    replace:
      'const done = last !== null && this.isUnheard(act, last) && ops.length > 9 ? last.done.then(handIn) : handIn();',
  },
  // Group commit and the disk.
  {
    name: 'a group is done when it joins the line',
    scenario: 'counters',
    file: groups,
    find: 'this.#join({ group: pending });',
    replace: 'this.#join({ group: pending });\n      resolve();',
  },
  {
    name: 'nobody waits for the flush',
    scenario: 'counters',
    file: groups,
    find: "if (group.ack === 'flushed' && this.#seams.flush) this.#seams.flush().then(group.resolve, group.reject);",
    replace:
      "if (group.ack === 'flushed' && this.#seams.flush) void this.#seams.flush().then(group.resolve, group.resolve), group.resolve();",
  },
  {
    name: 'a store that has failed says that nothing under way was done',
    scenario: 'counters',
    file: groups,
    find: "const unknown = new TroupeError('UNKNOWN_OUTCOME',",
    replace: "const unknown = new TroupeError('DISK_FULL',",
  },
  {
    name: 'refused writes are still read',
    scenario: 'counters',
    file: overlay,
    find: 'this.#newest.clear();\n',
    replace: '',
  },
  {
    name: 'the fence takes an equal epoch for a lower one',
    scenario: 'counters',
    file: memory,
    find: 'return seen <= group.epoch ? undefined',
    replace: 'return seen < group.epoch ? undefined',
  },
  {
    name: 'a full disk is noticed after the write',
    scenario: 'counters',
    file: memory,
    find: 'if (why) refused.set(group.owner, why);\n      else this.#write(group);',
    replace: "if (why) refused.set(group.owner, why);\n      if (!why || why.code === 'DISK_FULL') this.#write(group);",
  },
  // Epochs.
  {
    name: 'epochs begin anew with each start of the process',
    scenario: 'counters',
    file: epochs,
    find: 'this.at = (this.memory.base + chunk) * epochsPerChunk;',
    replace: 'this.at = (1 + chunk) * epochsPerChunk;',
  },
  // Operations done once.
  {
    name: 'a second try is done again',
    scenario: 'counters',
    file: answered,
    find: 'if (found !== undefined) return found;',
    replace: 'if (found !== undefined && !found.done) return found;',
  },
  {
    name: 'the answers of an earlier life are not read',
    scenario: 'counters',
    file: persistence,
    find: 'if (stored !== undefined)\n      act.more().answered',
    replace: 'if (stored !== undefined && act.epochNumber < 0)\n      act.more().answered',
  },
  {
    name: 'answers are stored with the save after the next',
    scenario: 'counters',
    file: persistence,
    find: 'if (answered == null || !answered.dirty) return [];\n    answered.dirty = false;',
    replace:
      'if (answered == null || !answered.dirty || act.extras?.gate?.isClear !== false) return [];\n    answered.dirty = false;',
  },
  // Reminders.
  {
    name: 'remind() does not wait until it is stored',
    scenario: 'counters',
    file: reminders,
    find: 'await this.store(stored, act.epochNumber, act.hosted.spec.durability);',
    replace: 'void this.store(stored, act.epochNumber, act.hosted.spec.durability).catch(() => undefined);',
  },
  {
    name: "a reminder of a 'flushed' actor is stored as 'committed'",
    scenario: 'counters',
    file: reminders,
    find: 'await this.store(stored, act.epochNumber, act.hosted.spec.durability);',
    replace: 'await this.store(stored, act.epochNumber);',
  },
  {
    name: 'a reminder is removed before it is delivered',
    scenario: 'counters',
    file: reminders,
    find: 'this.host.stirred++;\n    const sent',
    replace:
      'this.host.stirred++;\n    void this.remove(stored, this.host.epochs.next()).catch(() => undefined);\n    const sent',
  },
  {
    name: 'a reminder whose handler failed is not tried again',
    scenario: 'counters',
    file: reminders,
    find: "'a reminder could not be delivered yet');\n        this.host.arm(wake, this.host.now() + retryMs);",
    replace: "'a reminder could not be delivered yet');\n        this.armed.delete(id);",
  },
  {
    name: 'the reminders of the last partition are not loaded',
    scenario: 'counters',
    file: reminders,
    find: 'else if (!this.armed.has(idOf(stored.type, stored.key, stored.name))) this.arm(stored);',
    replace:
      "else if (!this.armed.has(idOf(stored.type, stored.key, stored.name)) && stored.key !== 'c') this.arm(stored);",
  },
  {
    name: 'a reminder that could not be delivered waits for a time of chance of its own',
    scenario: 'counters',
    file: reminders,
    find: "'a reminder could not be delivered yet');\n        this.host.arm(wake, this.host.now() + retryMs);",
    replace:
      "'a reminder could not be delivered yet');\n        this.host.arm(wake, this.host.now() + retryMs * Math.random());",
  },
  // Links.
  {
    name: 'what a broken stream was given is not sent again',
    scenario: 'links',
    file: link,
    find: 'this.given = 0;\n    this.schedule();\n    return true;',
    replace: 'this.schedule();\n    return true;',
  },
  {
    name: 'an acknowledgement forgets one packet too many',
    scenario: 'links',
    file: link,
    find: 'this.packets.splice(0, count);',
    replace: 'this.packets.splice(0, count + 1);',
  },
  {
    name: 'a new stream does not hear how far the other end has got',
    scenario: 'links',
    file: link,
    find: 'if (this.isEnded || !this.acknowledge(peer)) return false;',
    replace: 'if (this.isEnded || !this.acknowledge({ ...peer, received: this.acked })) return false;',
  },
  {
    name: 'a packet behind one that filled the stream is skipped',
    scenario: 'links',
    file: link,
    find: 'if (!this.stream.write(both ?? packet.bytes)) this.choked = true;',
    replace: 'if (!this.stream.write(both ?? packet.bytes)) this.given++;',
  },
  {
    name: 'a sender does not look at its credit',
    scenario: 'links',
    file: link,
    find: 'return used + need <= Math.min(this.granted, this.ackedBytes + this.bytesMax);',
    replace: 'return used + need <= this.ackedBytes + this.bytesMax;',
  },
  {
    name: 'a frame overtakes the pieces of a large one',
    scenario: 'links',
    file: link,
    find: 'if (!this.isEnded && this.rest === null && this.hasRoom(stepOf(bytes))) return true;',
    replace: 'if (!this.isEnded && this.hasRoom(stepOf(bytes))) return true;',
  },
  {
    name: 'a large frame does not wait for what was sent before it',
    scenario: 'links',
    file: link,
    find: 'this.pieces++;\n    this.seal();',
    replace: 'this.pieces++;',
  },
  {
    name: 'what was never written is told unknown',
    scenario: 'links',
    file: remains,
    find: 'const to = written ? remains.unknown : remains.unsent;',
    replace: 'const to = remains.unknown;',
  },
  {
    name: 'what was written is told unsent',
    scenario: 'links',
    file: remains,
    find: 'const to = written ? remains.unknown : remains.unsent;',
    replace: 'const to = remains.unsent;',
  },
  {
    name: 'the open packet is forgotten at the end of a session',
    scenario: 'links',
    file: link,
    find: 'finish(): Remains {\n    this.seal();',
    replace: 'finish(): Remains {',
  },
  {
    name: 'who waits for room is not woken by an acknowledgement',
    scenario: 'links',
    file: link,
    find: 'if (this.waiters.length > 0 || this.rest !== null) this.schedule();',
    replace: 'if (this.rest !== null) this.schedule();',
  },
  {
    name: 'a resumed reader is not acknowledged',
    scenario: 'links',
    file: link,
    find: 'this.inbox.resume();\n    } finally {\n      this.schedule();',
    replace: 'this.inbox.resume();\n    } finally {\n      this.stream?.write(new Uint8Array(0));',
  },
  {
    name: 'a receiver takes a repeated packet again',
    scenario: 'links',
    file: inbox,
    find: 'if (ahead <= 0) {\n      this.duplicates++;\n      return true;\n    }',
    replace: 'if (ahead <= 0) {\n      this.duplicates++;\n      this.received--;\n    }',
  },
  {
    name: 'held frames keep the bytes of the stream',
    scenario: 'links',
    file: inbox,
    find: 'this.held.push({ kind, bytes: bytes.slice(start, end) });',
    replace: 'this.held.push({ kind, bytes: bytes.subarray(start, end) });',
  },
  {
    name: 'a reader that pauses and goes on within a frame begins anew',
    scenario: 'links',
    file: inbox,
    find: 'if (this.resuming) return;',
    replace: '',
  },
  {
    name: 'a checksum is not compared',
    scenario: 'links',
    file: packet,
    find: 'if (this.crc32(bytes.subarray(at + 12, end)) !== view.getUint32(at + 8, true)) {',
    replace: 'if (this.crc32(bytes.subarray(at + 12, end)) === -1) {',
  },
  {
    name: 'a packet cut in its header goes on from the wrong byte',
    scenario: 'links',
    file: packet,
    find: 'taken += this.take(bytes, at + taken, whole);',
    replace: 'taken += this.take(bytes, at, whole);',
  },
  {
    name: 'a paused reader grants what it only holds',
    scenario: 'links',
    file: inbox,
    find: 'granted: this.consumedBytes + this.bytesMax };',
    replace: 'granted: this.receivedBytes + this.bytesMax };',
  },
  {
    name: 'a stream that has broken is written to',
    scenario: 'links',
    file: link,
    find: 'detach(): void {\n    this.stream = undefined;',
    replace: 'detach(): void {',
  },
  {
    name: 'what is left of a large frame is forgotten at the end of a session',
    scenario: 'links',
    file: 'runtime/links/remains.ts',
    find: 'if (rest !== null) remains.unsent.push(rest);',
    replace: '',
  },
  {
    name: 'a large frame that was cut up is told piece by piece, so not at all',
    scenario: 'links',
    file: link,
    find: 'bytes, last ? rest : undefined);',
    replace: 'bytes, undefined);',
  },
  // Members.
  {
    name: 'the next round of gossip is counted from the clock of the machine',
    scenario: 'membership',
    file: gossip,
    find: 'this.#nextAt = now + this.options.roundMs;',
    replace: 'this.#nextAt = now + this.options.roundMs + (performance.now() % 1);',
  },
  {
    name: 'a heartbeat that was heard before counts again',
    scenario: 'membership',
    file: watch,
    find: 'const lives = isNext || record.heartbeat > before.heartbeat;',
    replace: 'const lives = isNext || record.heartbeat >= before.heartbeat;',
  },
  {
    name: 'a single reporter is enough',
    scenario: 'membership',
    file: suspicion,
    find: 'export const reportersNeeded = 2;',
    replace: 'export const reportersNeeded = 1;',
  },
  {
    name: 'reports never hold long enough for a verdict',
    scenario: 'membership',
    file: suspicion,
    find: '(this.#until?.get(by)?.until ?? 0) > now',
    replace: '(this.#until?.get(by)?.until ?? 0) > now + 60_000',
  },
  {
    name: 'a suspicion is not told',
    scenario: 'membership',
    file: watch,
    find: 'this.become(entry, suspectedBy(entry.record, name, heartbeat), now);',
    replace: 'void suspectedBy(entry.record, name, heartbeat);',
  },
  {
    name: 'whoever was stopped judges the others by its own sleep',
    scenario: 'membership',
    file: phi,
    find: 'if (late > this.#pauseMsMax) {',
    replace: 'if (late > 1_000 * this.#pauseMsMax) {',
  },
  {
    name: 'a pause is not forgiven',
    scenario: 'membership',
    file: phi,
    find: 'this.#lastAt = Math.min(now, this.#lastAt + pauseMs);',
    replace: 'this.#lastAt = Math.min(now, this.#lastAt + 0 * pauseMs);',
  },
  {
    name: 'a later heartbeat does not refute a verdict',
    scenario: 'membership',
    file: member,
    find: 'suspicions: none, down: false };',
    replace: 'suspicions: none, down: record.down };',
  },
  {
    name: 'a verdict stands for every later heartbeat',
    scenario: 'membership',
    file: member,
    find: 'const { suspicions, down } = a.heartbeat > b.heartbeat ? a : b;\n    return { suspicions, down };',
    replace:
      'const { suspicions } = a.heartbeat > b.heartbeat ? a : b;\n    return { suspicions, down: a.down || b.down };',
  },
  {
    name: 'an older life wins over a newer one',
    scenario: 'membership',
    file: member,
    find: 'return ours.incarnation > theirs.incarnation ? ours : theirs;',
    replace: 'return ours.heartbeat > theirs.heartbeat ? ours : theirs;',
  },
  {
    name: 'a removal is not passed on',
    scenario: 'membership',
    file: member,
    find: 'removed: ours.removed || theirs.removed,',
    replace: 'removed: ours.removed && theirs.removed,',
  },
  {
    name: 'there is no quarantine',
    scenario: 'membership',
    file: gossip,
    find: "return now < (known.goneAt ?? now) + this.options.quarantineMs ? 'quarantined' : undefined;",
    replace: 'return undefined;',
  },
  {
    name: 'a quarantine never ends',
    scenario: 'membership',
    file: gossip,
    find: "return now < (known.goneAt ?? now) + this.options.quarantineMs ? 'quarantined' : undefined;",
    replace: "return 'quarantined';",
  },
  {
    name: 'an echo of somebody else brings a member up',
    scenario: 'membership',
    file: gossip,
    find: 'if (entry?.record.incarnation !== incarnation || seq > own || own - seq > echoRounds) return;',
    replace: 'if (entry === undefined || own - seq <= echoRounds) return;',
  },
  {
    name: 'what a member says in its next life passes for a heartbeat',
    scenario: 'membership',
    file: watch,
    find: 'if (lives && !isNext && record.version',
    replace: 'if (lives && record.version',
  },
  // The ring.
  {
    name: 'a claim depends on the order in which members are told',
    scenario: 'membership',
    file: claim,
    find: 'input.members.toSorted((a, b) => compareText(a.name, b.name))',
    replace: 'input.members.toSorted((a, b) => a.weight - b.weight)',
  },
  {
    name: 'of two rings of one epoch everybody keeps its own',
    scenario: 'membership',
    file: ring,
    find: 'return compareText(b.claimant, a.claimant) || compareText(ringHash(b), ringHash(a));',
    replace: 'return compareText(b.claimant, a.claimant) && 1;',
  },
  {
    name: 'a transfer that is complete stays in the ring',
    scenario: 'membership',
    file: ringPlan,
    find: 'const next = ring.next.filter(pending => pending !== known);',
    replace: 'const next = ring.next.filter(pending => pending === known);',
  },
];
