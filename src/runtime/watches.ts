// watch(): who wants to know when an actor ends, told exactly once. The watcher's host keeps the entry; when the watched
// actor lives on another thread, that thread is asked to report, and its death is reported for it.

import type { Activation } from './activation.ts';
import type { Departure } from './actor.ts';
import { dead, failed } from './flags.ts';
import type { Host } from './host.ts';
import { ACT, type BaseRef, KEY, TYPE } from './refs.ts';

interface Watch {
  readonly watcher: Activation;
  readonly tell: (departure: Departure) => unknown;
  /** unwatch() was called; the news may be on its way already. */
  over: boolean;
}

export class Watches {
  private readonly host: Host;
  /** Watched address -> those here who watch it. */
  private readonly watching = new Map<string, Set<Watch>>();
  /** Watched address (awake here) -> threads that want to hear of its end. */
  private readonly reportTo = new Map<string, Set<number>>();

  constructor(host: Host) {
    this.host = host;
  }

  watch(watcher: Activation, ref: BaseRef, tell: (departure: Departure) => unknown): () => void {
    const id = ref.toString();
    const entry: Watch = { watcher, tell, over: false };
    let set = this.watching.get(id);
    if (set === undefined) {
      set = new Set();
      this.watching.set(id, set);
    }
    set.add(entry);
    watcher.more().watches++;
    const owner = this.host.router.ownerOf(ref[TYPE], ref[KEY]);
    if (owner !== this.host.thread) this.host.router.control(owner, 'watch', { id, thread: this.host.thread });
    else if (this.isGoneChild(ref)) {
      const reason = ((ref[ACT]?.flags ?? 0) & failed) === 0 ? 'stopped' : 'failed';
      this.host.world.clock.micro(() => this.fire(id, reason));
    }
    return () => {
      entry.over = true;
      this.remove(id, entry);
    };
  }

  private isGoneChild(ref: BaseRef): boolean {
    if (ref[KEY] !== '' && ref[KEY].charCodeAt(0) !== 0) return false;
    try {
      return this.host.find(ref) === null;
    } catch {
      return true;
    }
  }

  private remove(id: string, entry: Watch): void {
    const set = this.watching.get(id);
    if (set?.delete(entry) !== true) return;
    if (entry.watcher.extras !== null) entry.watcher.extras.watches--;
    if (set.size === 0) this.watching.delete(id);
  }

  dropWatcher(watcher: Activation): void {
    if ((watcher.extras?.watches ?? 0) === 0) return;
    for (const [id, set] of this.watching)
      for (const entry of set) if (entry.watcher === watcher) this.remove(id, entry);
  }

  /** An actor on this host has ended for good. */
  ended(act: Activation, reason: Departure['reason']): void {
    if (this.watching.size === 0 && this.reportTo.size === 0) return;
    const id = act.id;
    this.fire(id, reason);
    for (const thread of this.reportTo.get(id) ?? []) this.host.router.control(thread, 'departed', { id, reason });
    this.reportTo.delete(id);
  }

  fire(id: string, reason: Departure['reason']): void {
    const set = this.watching.get(id);
    if (set === undefined) return;
    this.watching.delete(id);
    for (const entry of set) {
      const { watcher } = entry;
      if (watcher.extras !== null) watcher.extras.watches--;
      if ((watcher.flags & dead) === 0)
        watcher.work('departure', () => (entry.over ? undefined : entry.tell({ id, reason })));
    }
  }

  /** Another thread watches an actor here. `isLate`: it was asked for before that was known; if it lives here no more its end has been missed. */
  report(id: string, thread: number, isLate = false): void {
    if (isLate && !this.isAwake(id)) {
      this.host.router.control(thread, 'departed', { id, reason: 'thread-lost' });
      return;
    }
    if (id.charCodeAt(id.indexOf('/') + 1) === 0 && this.isGoneChild(this.host.refById(id))) {
      this.host.router.control(thread, 'departed', { id, reason: 'stopped' });
      return;
    }
    let set = this.reportTo.get(id);
    if (set === undefined) {
      set = new Set();
      this.reportTo.set(id, set);
    }
    set.add(thread);
  }

  private isAwake(id: string): boolean {
    const { hosted, key } = this.host.split(id);
    return hosted?.live.has(key) === true;
  }

  /** Does anybody here watch it? */
  isWatched(id: string): boolean {
    return this.watching.has(id);
  }

  /** Addresses that somebody here watches. */
  watched(): string[] {
    return [...this.watching.keys()];
  }

  /** Addresses of which others want to hear from here. */
  reported(): string[] {
    return [...this.reportTo.keys()];
  }

  reportsOf(id: string): number[] {
    return [...(this.reportTo.get(id) ?? [])];
  }

  /** Who watches it from elsewhere moves along with an actor. */
  takeReports(id: string): number[] {
    const set = this.reportTo.get(id);
    this.reportTo.delete(id);
    return set === undefined ? [] : [...set];
  }

  /** A thread has died: whatever lived there is gone. `lived` says whether an address was routed there. */
  threadLost(lived: (id: string) => boolean, thread: number): void {
    for (const id of [...this.watching.keys()]) if (lived(id)) this.fire(id, 'thread-lost');
    for (const [id, threads] of this.reportTo) {
      threads.delete(thread);
      if (threads.size === 0) this.reportTo.delete(id);
    }
  }
}
