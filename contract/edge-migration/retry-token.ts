/** A `spec.retry` that drops parked events: `drop`, or `drop-` and any text. */
export function isDropToken(token: string | undefined): boolean {
  return /^drop(?:-|$)/.test(token ?? '');
}
