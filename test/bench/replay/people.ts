/** In Core's format; rows without a date get this one. */
export const CREATED_DATE = '2024-01-02T03:04:05.678901';

/** The initial data in Core of the person of this number. */
export function traitsOf(index: number): readonly { key: string; value: string }[] {
  return ['plan', 'country', 'app_version'].map((key) => ({ key, value: `${key} of ${index}` }));
}
