/**
 * Why an identity has no document. The rest of the project is migrated without it; once its row in Core is repaired,
 * the next run includes it.
 */
export const SKIP_REASONS = {
  EnvironmentKeyEmpty: 'The environment has an empty key, which Edge cannot index. Give it a key in Core.',
  IdentifierEmpty: 'Edge looks identities up by identifier and cannot index an empty one. Delete it in Core.',
  IdentifierTooLong: 'The identifier is longer than 1,024 bytes in UTF-8, the most that Edge can index. Rename it.',
  KeyTooLong: 'Environment key and identifier together are longer than 2,048 bytes. Rename the identity.',
  CreatedDateOutOfRange: 'The creation date is before the year 1 or after 9999. Correct it in Core.',
  NumberNotFinite: 'A number is infinite or not a number, which Edge cannot hold. Set or delete the trait.',
  NumberOutOfRange: 'A number is beyond 1E-130 to 9.99E+125, all that Edge can hold. Set or delete the trait.',
  NumberTooPrecise:
    'A number has more than 38 significant digits, which Edge cannot hold. Shorten or delete the trait.',
  TextTooLong: 'A text is longer than Edge reads: 2,000 characters of a trait, 20,000 of a flag value. Shorten it.',
  SystemTraitUnsupported: 'A system trait is neither text, number nor boolean. Correct the system traits in Core.',
  AllocationInvalid:
    'Multivariate percentages are outside 0 to 100 or, as readers add them, more than 100. Correct the override.',
  KeyTakenByAnother:
    'Edge has a document of another identity under the same key: one environment key continues the other, as a and a_b. Rename one of the two identities or keys.',
  DocumentTooLarge: 'The document would exceed 400 KB, the most that Edge can hold. Delete traits or overrides.',
} as const;

export type SkipReason = keyof typeof SKIP_REASONS;

/** Thrown and caught inside the encoder. The detail names ids and limits, never a value, identifier or key. */
export class UnstorableError extends Error {
  override readonly name = 'UnstorableError';
  readonly reason: SkipReason;

  constructor(reason: SkipReason, detail: string) {
    super(detail);
    this.reason = reason;
  }
}
