// Actors whose processes are killed, stopped and cut off. Both keep each line they are given with the epoch it was accepted under;
// one as a state, one as events. A file of its own: worker threads import it by URL.

import { Actor, type ActorType, defineActor } from '../../src/index.ts';

/** Who wrote, the number of what it wrote, and the epoch of the actor that took it. */
export type Line = [sender: string, n: number, epoch: number];

export class Book extends Actor<{ lines: Line[] }> {
  override initial(): { lines: Line[] } {
    return { lines: [] };
  }
  write(sender: string, n: number): number {
    this.state.lines.push([sender, n, this.self.epoch]);
    return this.self.epoch;
  }
  read(): Line[] {
    return this.state.lines;
  }
}
export const BookT: ActorType<Book> = defineActor(import.meta.url, Book, { type: 'book', persist: 'snapshot' });

export class Diary extends Book {
  override onEvent(line: Line): void {
    this.state.lines.push(line);
  }
  override write(sender: string, n: number): number {
    this.append([sender, n, this.self.epoch]);
    return this.self.epoch;
  }
}
export const DiaryT: ActorType<Diary> = defineActor(import.meta.url, Diary, { type: 'diary', persist: 'journal' });
