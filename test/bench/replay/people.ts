/** As Core tells it; rows without a date of their own get it. */
export const CREATED_DATE = '2024-01-02T03:04:05.678901';

/** What the person of this number has in Core at first. */
export function traitsOf(index: number): readonly { key: string; value: string }[] {
  return ['plan', 'country', 'app_version'].map((key) => ({ key, value: `${key} of ${index}` }));
}
