import type { WriteScope } from '@edge-migration/contract/write-scope.ts';
import { type DraftEvent, EventTooLargeError, encodeLine } from './draft.ts';
import { scopeOf } from './scope.ts';

export interface DraftEncoderOptions {
  readonly instance: string;
  /** Unique start of this process's event ids. */
  readonly eventIdPrefix: string;
  /** An event of this scope is left out. */
  onTooLarge(scope: readonly WriteScope[], beganTime: number): void;
}

/** Gives drafts their ids, and writes them out. */
export class DraftEncoder {
  private readonly options: DraftEncoderOptions;
  private nextEventId = 1;

  constructor(options: DraftEncoderOptions) {
    this.options = options;
  }

  /** A line for each draft that is not too large. */
  encode(drafts: readonly DraftEvent[], beganTime: number): string[] {
    const { eventIdPrefix, instance, onTooLarge } = this.options;
    const lines: string[] = [];
    for (const draft of drafts) {
      try {
        lines.push(encodeLine(`${eventIdPrefix}${(this.nextEventId++).toString(36)}`, instance, draft));
      } catch (error) {
        if (!(error instanceof EventTooLargeError)) throw error;
        onTooLarge(scopeOf([draft]), beganTime);
      }
    }
    return lines;
  }
}
