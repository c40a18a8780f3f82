// The simulator's all-seeing eye: where each message is, what became of it, and under which epoch each unit ever ran.
//
// Because it follows every message from place to place it knows which host's death excuses which loss. A loss without such
// an excuse is a violation, and so is one that the sender's host was never told of.

export class Violation extends Error {}

/** A counter actor's state: how many messages it took, and the last one of each sender. */
export interface Counter {
  count: number;
  readonly last: Record<string, number>;
}

export interface Disk {
  epoch: number;
  readonly state: Counter;
}

export interface Message {
  readonly sender: string;
  readonly host: number;
  readonly sequence: number;
  readonly unit: string;
  fate: 'under-way' | 'processed' | 'refused';
  /** The host that has it; onLink while no host has. */
  at: number;
  /** A host died with it, so nobody can say. */
  excused: boolean;
  /** The epoch its sender's host believed in when it left, and whether that host was told that it may be lost. */
  epoch: number;
  reported: boolean;
}

export const onLink = -1;

export class Ledger {
  readonly messages: Message[] = [];
  readonly #disks = new Map<string, Disk>();
  /** Highest epoch under which each unit ever ran, and highest the directory ever named for it. */
  readonly #ranUnder = new Map<string, number>();
  readonly #named = new Map<string, number>();
  readonly #packs = new Map<string, readonly number[]>();
  /** Alive, and taken for alive. */
  readonly #isUp: (host: number) => boolean;

  constructor(isUp: (host: number) => boolean) {
    this.#isUp = isUp;
  }

  // Messages

  write(host: number, unit: string, sequence: number): number {
    const sender = `${host}>${unit}`;
    const excused = !this.#isUp(host);
    const fresh = { fate: 'under-way', at: host, excused, epoch: 0, reported: false } as const;
    return this.messages.push({ sender, host, sequence, unit, ...fresh }) - 1;
  }

  leaves(id: number, from: number, to: number, epoch: number | undefined) {
    const message = this.#message(id);
    message.at = onLink;
    if (epoch !== undefined) message.epoch = epoch;
    if (!this.#isUp(to) || !this.#isUp(from)) message.excused = true;
  }

  reaches(id: number, host: number) {
    const message = this.#message(id);
    message.at = host;
    if (!this.#isUp(host)) message.excused = true;
  }

  refused(id: number) {
    const message = this.#message(id);
    if (message.fate !== 'under-way') violation(`message ${id} was ${message.fate} and is refused`);
    message.fate = 'refused';
  }

  /** A turn has ended and is committed to the unit's disk. */
  processed(id: number, epoch: number) {
    const message = this.#message(id);
    const { sender, sequence, unit, fate } = message;
    if (fate !== 'under-way') violation(`message ${id} of ${sender} was ${fate} and is processed`);
    const disk = this.diskOf(unit);
    const last = disk.state.last[sender] ?? 0;
    if (sequence <= last) violation(`${sender} #${sequence} is processed after #${last}`);
    message.fate = 'processed';
    disk.epoch = epoch;
    count(disk.state, message);
  }

  /** The host is gone with all it had, and with what was on its links. */
  excuse(host: number, onItsLinks: Iterable<number>) {
    for (const message of this.messages) if (message.at === host) message.excused = true;
    for (const id of onItsLinks) if (this.#message(id).at === onLink) this.#message(id).excused = true;
  }

  /** A runtime ends the asks and reports the tells that this host sent and that are still open. */
  report(host: number, concerns: (message: Message) => boolean) {
    for (const message of this.messages) {
      if (message.host === host && message.at !== host && concerns(message)) message.reported = true;
    }
  }

  // Moves

  packed(unit: string, epoch: number, ids: readonly number[]) {
    this.#packs.set(`${unit} ${epoch}`, [...ids]);
  }

  /** From here on what was packed belongs to the new owner, whatever the old one still remembers. */
  committed(unit: string, epoch: number, to: number) {
    for (const id of this.#packs.get(`${unit} ${epoch}`) ?? []) this.reaches(id, to);
    this.#packs.delete(`${unit} ${epoch}`);
  }

  /** The directory gives the unit an epoch, be it for a move, after an abort or after a death. */
  names(unit: string, epoch: number) {
    const highest = this.#named.get(unit) ?? 0;
    if (epoch <= highest) violation(`epoch ${epoch} of ${unit} is named again, ${highest} was reached`);
    this.#named.set(unit, epoch);
  }

  namedLast(unit: string): number {
    return this.#named.get(unit) ?? 0;
  }

  runs(unit: string, epoch: number) {
    const before = this.#ranUnder.get(unit) ?? 0;
    if (epoch <= before) violation(`${unit} runs under ${epoch} after ${before}`);
    this.#ranUnder.set(unit, epoch);
  }

  diskOf(unit: string): Disk {
    let disk = this.#disks.get(unit);
    if (disk === undefined) {
      disk = { epoch: 0, state: { count: 0, last: {} } };
      this.#disks.set(unit, disk);
    }
    return disk;
  }

  /** Order and doubles were checked on the way. Nothing may be lost in the last round, in which nobody dies. */
  verdict(firstOfLastRound: number) {
    this.messages.forEach(({ fate, excused, reported, sender, host, at }, id) => {
      if (fate !== 'under-way') return;
      if (!excused) violation(`message ${id} of ${sender} is lost, last seen on ${at}`);
      if (!reported && this.#isUp(host)) violation(`message ${id} of ${sender} is gone and nobody said so`);
      if (id >= firstOfLastRound) violation(`message ${id} of the last round is lost`);
    });
  }

  #message(id: number): Message {
    return this.messages[id] as Message;
  }
}

export function count(state: Counter, { sender, sequence }: Message) {
  state.count++;
  state.last[sender] = sequence;
}

export function violation(what: string): never {
  throw new Violation(what);
}
