// Actors with small mailboxes, each full in its own way.

import { Actor } from '../../../src/runtime/actor.ts';
import { type ActorOptions, type ActorType, defineActor } from '../../../src/runtime/define-actor.ts';
import { tell } from '../../../src/runtime/refs.ts';
import { GateT } from './gate.ts';

export class Box extends Actor<{ log: string[] }> {
  override initial(): { log: string[] } {
    return { log: [] };
  }
  /** Holds the actor until the gate opens. */
  async hold(): Promise<void> {
    await this.self.ref(GateT, 'gate').pass('hold');
  }
  /** A timer: control, which no mailbox holds. */
  soon(ms: number): void {
    this.self.after(ms, () => this.state.log.push('timer'));
  }
  put(name: string): string {
    this.state.log.push(name.slice(0, 8));
    return name;
  }
  /** Sends to another box, waiting for room each time, and says when it could go on. */
  async fill(key: string, count: number): Promise<string[]> {
    const target = tell(this.self.ref(WaitT, key));
    for (let n = 0; n < count; n++) {
      await target.put(`${this.self.key}${n}`);
      this.state.log.push(`sent ${n}`);
    }
    return this.state.log;
  }
}
const define = (type: string, mailbox: ActorOptions['mailbox']): ActorType<Box> =>
  defineActor(import.meta.url, Box, { type, mailbox: mailbox as NonNullable<typeof mailbox> });

export const RejectT: ActorType<Box> = define('reject', { capacity: 3 });
export const WaitT: ActorType<Box> = define('wait', { capacity: 3, overflow: 'wait' });
/** Ten units of 64 bytes. */
export const RejectBytesT: ActorType<Box> = define('reject-bytes', { bytes: 640 });
export const WaitBytesT: ActorType<Box> = define('wait-bytes', { bytes: 640, overflow: 'wait' });
export const TinyT: ActorType<Box> = define('tiny', { bytes: 100, overflow: 'wait' });
export const BoxesTypes: ActorType<any>[] = [RejectT, WaitT, RejectBytesT, WaitBytesT, TinyT, GateT];
