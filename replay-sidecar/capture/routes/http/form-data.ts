import { idFromText, strip } from '../python/text.ts';
import { type Data, isTrueText } from './data.ts';
import type { FormFields, FormValue } from './query.ts';

/** `request.data` of a form: nested as `identity.identifier` and `traits[0]trait_key`. */
export function formData(fields: FormFields): Data {
  const text = (name: string): string | undefined => fields.get(name)?.text;
  return {
    has: (name) => fields.has(name),
    isNull: () => false,
    string: (name) => strip(text(name) ?? '') || undefined,
    text,
    isTrue: (name) => isTrueText(text(name)),
    id: (name) => idFromText(text(name) ?? ''),
    child: (name) => formChild(fields, name),
    items: (name) => formItems(fields, name),
  };
}

/** A `$` in Python's expressions also matches before a line feed at the end, which is thus not part of the name. */
function withoutLineFeed(name: string): string | undefined {
  const end = name.endsWith('\n') ? name.slice(0, -1) : name;
  return end.includes('\n') ? undefined : end;
}

function formChild(fields: FormFields, name: string): Data | undefined {
  const prefix = `${name}.`;
  const child = new Map<string, FormValue>();
  for (const [field, value] of fields) {
    const key = field.startsWith(prefix) ? withoutLineFeed(field.slice(prefix.length)) : undefined;
    if (key) child.set(key, value);
  }
  return child.size > 0 ? formData(child) : undefined;
}

/** Indexes are compared as digits, because Python's integers have no largest one. */
function formItems(fields: FormFields, name: string): readonly Data[] {
  const prefix = `${name}[`;
  const items = new Map<string, Map<string, FormValue>>();
  for (const [field, value] of fields) {
    const rest = field.startsWith(prefix) ? withoutLineFeed(field.slice(prefix.length)) : undefined;
    const match = rest === undefined ? null : /^0*(0|[1-9][0-9]*)\](.*)$/s.exec(rest);
    if (match === null) continue;
    const [, index = '', key = ''] = match;
    const item = items.get(index);
    // Without a key the element is that value and no longer an object, until a field with a key begins it again.
    if (key === '' || item === undefined) items.set(index, key === '' ? new Map() : new Map([[key, value]]));
    else item.set(key, value);
  }
  return [...items.values()].map(formData);
}

/** A request without a body. */
export const NO_DATA: Data = formData(new Map());
