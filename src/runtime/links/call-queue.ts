// Calls handlers one after the other, in the order in which things happened, also those that a handler causes itself: it never
// hears of the end of what it has not heard the beginning of. One that throws stops no other.

export class CallQueue {
  private readonly onThrown: (error: unknown) => void;
  private readonly calls: (() => void)[] = [];
  private isCalling = false;

  constructor(onThrown: (error: unknown) => void) {
    this.onThrown = onThrown;
  }

  add(...calls: (() => void)[]): void {
    this.calls.push(...calls);
    if (this.isCalling) return;
    this.isCalling = true;
    for (let call = this.calls.shift(); call !== undefined; call = this.calls.shift()) {
      try {
        call();
      } catch (error) {
        this.onThrown(error);
      }
    }
    this.isCalling = false;
  }
}
