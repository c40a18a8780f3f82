// For backup.test.ts: an actor that remembers, and that can be reminded.

import { Actor, defineActor } from '../../src/index.ts';

export class Book extends Actor<{ lines: string[] }> {
  override initial() {
    return { lines: [] as string[] };
  }
  write(line: string) {
    return this.state.lines.push(line);
  }
  read() {
    return this.state.lines;
  }
  remindMe(ms: number) {
    return this.self.remind('later', ms);
  }
  override onReminder(name: string) {
    this.state.lines.push(name);
  }
}
export const BookT = defineActor(import.meta.url, Book, { type: 'book', persist: 'snapshot' });
