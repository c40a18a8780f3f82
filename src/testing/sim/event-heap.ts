// A binary heap of what happens when: earliest first, then by a tie-break that belongs to the process, then in the order in
// which it was planned. So at one moment the processes run in an order of chance, and each keeps its own.

export interface Ordered {
  readonly at: number;
  readonly tie: number;
  readonly order: number;
}

export class EventHeap<E extends Ordered> {
  readonly #items: E[] = [];

  get size(): number {
    return this.#items.length;
  }

  peek(): E | undefined {
    return this.#items[0];
  }

  push(event: E): void {
    const items = this.#items;
    let index = items.length;
    items.push(event);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = items[parent] as E;
      if (!isBefore(event, above)) break;
      items[index] = above;
      index = parent;
    }
    items[index] = event;
  }

  pop(): E | undefined {
    const items = this.#items;
    const first = items[0];
    const last = items.pop();
    if (last === undefined || items.length === 0) return first;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= items.length) break;
      if (child + 1 < items.length && isBefore(items[child + 1] as E, items[child] as E)) child++;
      const below = items[child] as E;
      if (!isBefore(below, last)) break;
      items[index] = below;
      index = child;
    }
    items[index] = last;
    return first;
  }
}

function isBefore(a: Ordered, b: Ordered): boolean {
  if (a.at !== b.at) return a.at < b.at;
  if (a.tie !== b.tie) return a.tie < b.tie;
  return a.order < b.order;
}
