import type { Field } from '../../proxy/hook.ts';

/** A request header as in Django's `request.META`: gunicorn joins duplicates by commas. */
export function metaValue(fields: readonly Field[], lower: string): string | undefined {
  let value: string | undefined;
  for (const field of fields) {
    if (field.lower === lower) value = value === undefined ? field.value : `${value},${field.value}`;
  }
  return value;
}

/** Of several `Content-Type` headers gunicorn keeps the last. */
export function contentType(fields: readonly Field[]): string | undefined {
  return fields.findLast((field) => field.lower === 'content-type')?.value;
}
