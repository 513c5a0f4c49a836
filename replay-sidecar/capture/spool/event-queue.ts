import type { OutboxEvent } from './outbox.ts';

/** Enough for the array to be cut rarely. */
const SHIFTED_AT_ONCE = 1024;

/** Events in memory, first in, first out; `Array.shift` moves the whole array. */
export class EventQueue {
  private items: OutboxEvent[] = [];
  private head = 0;
  private size = 0;

  get length(): number {
    return this.items.length - this.head;
  }

  /** Characters of all events. */
  get characters(): number {
    return this.size;
  }

  push(event: OutboxEvent): void {
    this.items.push(event);
    this.size += event.json.length;
  }

  shift(): OutboxEvent | undefined {
    const item = this.items[this.head];
    if (item === undefined) return undefined;
    this.head += 1;
    this.size -= item.json.length;
    if (this.head > SHIFTED_AT_ONCE && this.head * 2 > this.items.length) {
      this.items = this.items.slice(this.head);
      this.head = 0;
    }
    return item;
  }

  clear(): void {
    this.items = [];
    this.head = 0;
    this.size = 0;
  }
}
