import type { AttributeValue } from '@aws-sdk/client-dynamodb';

/** DynamoDB refuses larger items. Bytes, attribute names included. */
export const MAX_ITEM_BYTES = 409_600;

/**
 * Size of an item by DynamoDB's published rules: names and strings in UTF-8; a number one byte per two significant
 * digits and one more, and one for its sign; BOOL and NULL one; lists and maps three, and one per element.
 */
export function itemBytes(item: Readonly<Record<string, AttributeValue>>): number {
  let bytes = 0;
  for (const name in item) bytes += utf8Bytes(name) + valueBytes(item[name] as AttributeValue);
  return bytes;
}

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
    for (const element of value.L) bytes += valueBytes(element) + 1;
    return bytes;
  }
  if (value.B !== undefined) return value.B.byteLength;
  if (value.SS !== undefined) return value.SS.reduce((bytes, text) => bytes + utf8Bytes(text), 0);
  if (value.NS !== undefined) return value.NS.reduce((bytes, number) => bytes + numberBytes(number), 0);
  return value.BS?.reduce((bytes, binary) => bytes + binary.byteLength, 0) ?? 0;
}

/** Counts from the first to the last digit that is not zero, without taking the text apart: there are many numbers. */
function numberBytes(number: string): number {
  let digits = 0;
  let significant = 0;
  for (let index = 0; index < number.length; index++) {
    const digit = number.charCodeAt(index) - 48;
    if (digit > 9) break; // the exponent
    if (digit < 0 || (digit === 0 && digits === 0)) continue; // sign, point, leading zero
    digits++;
    if (digit > 0) significant = digits;
  }
  return Math.ceil(significant / 2) + 1 + (number.startsWith('-') ? 1 : 0);
}
