/** A `spec.retry` that gives up events that wait aside: `drop`, or `drop-` and any text. */
export function isDropToken(token: string | undefined): boolean {
  return /^drop(?:-|$)/.test(token ?? '');
}
