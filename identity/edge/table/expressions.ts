import type { AttributeValue } from '@aws-sdk/client-dynamodb';

/** Placeholders for attribute names (`#0`), which may be reserved words, and for values (`:0`). */
export function createNames() {
  const placeholders = new Map<string, string>();
  return {
    add(name: string): string {
      const placeholder = placeholders.get(name) ?? `#${placeholders.size}`;
      placeholders.set(name, placeholder);
      return placeholder;
    },
    attributes: () => ({
      ExpressionAttributeNames: Object.fromEntries([...placeholders].map(([name, placeholder]) => [placeholder, name])),
    }),
  };
}

export function createValues() {
  const values: Record<string, AttributeValue> = {};
  let count = 0;
  return {
    add(value: AttributeValue): string {
      const placeholder = `:${count++}`;
      values[placeholder] = value;
      return placeholder;
    },
    /** DynamoDB refuses an empty map of values. */
    attributes: () => (count > 0 ? { ExpressionAttributeValues: values } : {}),
  };
}

/** Every attribute has the given value; `undefined`: it does not exist. */
export function createCondition(
  names: ReturnType<typeof createNames>,
  values: ReturnType<typeof createValues>,
  expected: Readonly<Record<string, AttributeValue | undefined>>,
): string {
  return Object.entries(expected)
    .map(([name, value]) =>
      value === undefined ? `attribute_not_exists(${names.add(name)})` : `${names.add(name)} = ${values.add(value)}`,
    )
    .join(' AND ');
}
