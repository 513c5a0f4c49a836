import type { AttributeValue } from '@aws-sdk/client-dynamodb';

/** DynamoDB refuses larger items. In bytes, attribute names included. */
export const MAX_ITEM_BYTES = 409_600;

/**
 * Size of an item by DynamoDB's rules: names and strings in UTF-8; a number one byte per two significant digits and one
 * more, and one for its sign; BOOL and NULL one; lists and maps three, and one per element.
 */
export function itemBytes(item: Readonly<Record<string, AttributeValue>>): number {
  let bytes = 0;
  for (const name in item) bytes += utf8Bytes(name) + valueBytes(item[name] as AttributeValue);
  return bytes;
}

/** Size of one element of a list. */
export function elementBytes(element: AttributeValue): number {
  return valueBytes(element) + 1;
}

/** Character codes of `.`, `0` and `9`. */
const [POINT, ZERO, NINE] = [46, 48, 57] as const;

/** Length of a text in UTF-8. */
export function utf8Bytes(text: string): number {
  return Buffer.byteLength(text, 'utf8');
}

function valueBytes(value: AttributeValue): number {
  if (value.S !== undefined) return utf8Bytes(value.S);
  if (value.N !== undefined) return numberBytes(value.N);
  if (value.BOOL !== undefined || value.NULL !== undefined) return 1;
  if (value.M !== undefined) {
    let bytes = 3;
    for (const name in value.M) bytes += utf8Bytes(name) + valueBytes(value.M[name] as AttributeValue) + 1;
    return bytes;
  }
  if (value.L !== undefined) {
    let bytes = 3;
    for (const element of value.L) bytes += elementBytes(element);
    return bytes;
  }
  if (value.B !== undefined) return value.B.byteLength;
  if (value.SS !== undefined) return value.SS.reduce((bytes, text) => bytes + utf8Bytes(text), 0);
  if (value.NS !== undefined) return value.NS.reduce((bytes, number) => bytes + numberBytes(number), 0);
  return value.BS?.reduce((bytes, binary) => bytes + binary.byteLength, 0) ?? 0;
}

/**
 * DynamoDB keeps a number as digits to base 100, two decimal digits a byte counted from the point, without zeros on
 * either side: `12` takes one byte, `1.2` two. Finds the first and the last non-zero digit in one pass, because there
 * are many numbers.
 */
function numberBytes(number: string): number {
  let digits = 0;
  let point = -1;
  let first = -1;
  let last = -1;
  let exponent = 0;
  for (let index = 0; index < number.length; index++) {
    const code = number.charCodeAt(index);
    if (code === POINT) point = digits;
    else if (code > NINE) {
      exponent = Number(number.slice(index + 1));
      break;
    } else if (code >= ZERO) {
      if (code > ZERO) last = digits;
      if (first < 0) first = last;
      digits++;
    }
  }
  if (first < 0) return 1;
  const ones = (point < 0 ? digits : point) - 1 + exponent;
  const pairs = Math.floor((ones - first) / 2) - Math.floor((ones - last) / 2) + 1;
  return pairs + 1 + (number.startsWith('-') ? 1 : 0);
}
