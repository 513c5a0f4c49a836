import type { OutboxEvent } from '../spool/outbox.ts';

/** Messages under way at once. Bounds memory, and how much is published twice after a reconnect. */
export const MOST_UNDER_WAY = 512;
const MOST_CHARACTERS = 1024 * 1024;

/** Events that are published and not answered yet, and those that failed and are to be sent again. */
export class Flight {
  private messages = 0;
  private characters = 0;
  private failed: OutboxEvent[] = [];
  /** Messages that began under an earlier generation are not waited for: they will come again. */
  private generation = 0;

  hasRoom(mostMessages: number): boolean {
    return this.messages < mostMessages && this.characters < MOST_CHARACTERS;
  }

  /** @returns to be called once it is answered; false when it was no longer waited for */
  begin({ json }: OutboxEvent): () => boolean {
    const begunIn = this.generation;
    this.messages += 1;
    this.characters += json.length;
    return () => {
      if (begunIn !== this.generation) return false;
      this.messages -= 1;
      this.characters -= json.length;
      return true;
    };
  }

  fail(delivery: OutboxEvent): void {
    this.failed.push(delivery);
  }

  /** One that failed; they go first. */
  takeFailed(): OutboxEvent | undefined {
    return this.failed.pop();
  }

  /** Everything comes again from the beginning. */
  forgetAll(): void {
    this.generation += 1;
    this.messages = 0;
    this.characters = 0;
    this.failed = [];
  }
}
