// How long what is written to a link waits until it is read. Pure: it is told positions and times.
//
//     written ────────────────────────────▶
//        mark     mark     mark     mark         one a look at which something new had been written: where, and when
//                  ▲ read up to here             the first mark beyond it says since when the oldest unread byte has waited
//
// What goes in now will wait about as long as what comes out now has waited; that is the forecast, and it needs no rates.
//
// Positions are 32-bit numbers that begin anew; of two of them only the difference counts.

/** Marks kept. With one a ms they reach as far back as anybody who would be refused waits; beyond that the first one counts. */
const marksMax = 256;

export class LinkDelay {
  private readonly marks: { readonly at: number; readonly since: number }[] = [];
  private writtenAt = 0;
  /** Ms that the oldest unread byte has waited, when last looked at. */
  ms = 0;

  look(now: number, readAt: number, unread: number): void {
    const written = (readAt + unread) | 0;
    const { marks } = this;
    let read = 0;
    while (read < marks.length && (((marks[read] as { at: number }).at - readAt) | 0) <= 0) read++;
    if (read > 0) marks.splice(0, read);
    if (written !== this.writtenAt && unread > 0 && marks.length < marksMax) marks.push({ at: written, since: now });
    this.writtenAt = written;
    this.ms = marks.length === 0 ? 0 : now - (marks[0] as { since: number }).since;
  }

  /** The link has been replaced: nothing of the old one is waited for. */
  clear(): void {
    this.marks.length = 0;
    this.ms = 0;
  }
}
