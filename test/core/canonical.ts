/** A DynamoDB attribute value as the low-level API shows it. */
type AttributeValue =
  | { readonly S: string }
  | { readonly N: string }
  | { readonly BOOL: boolean }
  | { readonly NULL: true }
  | { readonly L: readonly AttributeValue[] }
  | { readonly M: Item };

export type Item = { readonly [attribute: string]: AttributeValue };

/**
 * Text that is equal for two identity documents exactly if they mean the same: numbers as plain decimals without
 * needless zeros (DynamoDB does not keep `10.0` apart from `10`), attributes in alphabetical order, multivariate values
 * by id (as readers go through them), and without `identity_uuid`, which Core does not know.
 */
export function canonicalText(document: object): string {
  return JSON.stringify(document, (name, value: unknown) => {
    if (name === 'identity_uuid') return undefined;
    if (name === 'N' && typeof value === 'string') return canonicalNumber(value);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
    if (name === 'multivariate_feature_state_values' && 'L' in value) return { L: (value.L as Values).toSorted(byId) };
    return Object.fromEntries(Object.entries(value).sort(([left], [right]) => (left < right ? -1 : 1)));
  });
}

type Values = readonly { readonly M: { readonly id: { readonly N: string } } }[];
const byId = (left: Values[number], right: Values[number]) => Number(left.M.id.N) - Number(right.M.id.N);

/** `1E+2` -> `100`, `-0.50` -> `-0.5`, `-0` -> `0`; never through a double. Other text is left as it is. */
export function canonicalNumber(text: string): string {
  const match = /^(-?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?$/.exec(text);
  if (match === null) return text;
  const [, sign, whole = '', fraction = '', exponent = '0'] = match;
  const point = whole.length + Number(exponent);
  const digits = (whole + fraction)
    .padEnd(point, '0')
    .padStart(whole.length + fraction.length - Math.min(point, 0), '0');
  const split = Math.max(point, 0);
  const integer = digits.slice(0, split).replace(/^0+/, '') || '0';
  const decimals = digits.slice(split).replace(/0+$/, '');
  const magnitude = decimals === '' ? integer : `${integer}.${decimals}`;
  return magnitude === '0' ? '0' : `${sign}${magnitude}`;
}
