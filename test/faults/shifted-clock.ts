/**
 * Preloaded into a process (`NODE_OPTIONS=--import …`), it shifts its wall clock by so many milliseconds. The monotonic
 * clock and timers are unchanged, as on a machine whose time is not synchronised.
 */
const ahead = Number(process.env['TEST_CLOCK_AHEAD_MS'] ?? 0);
const SystemDate = Date;

class ShiftedDate extends SystemDate {
  constructor(...parameters: unknown[]) {
    if (parameters.length === 0) super(SystemDate.now() + ahead);
    else super(...(parameters as [number]));
  }

  static override now(): number {
    return SystemDate.now() + ahead;
  }
}

globalThis.Date = ShiftedDate as DateConstructor;
