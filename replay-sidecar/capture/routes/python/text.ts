/** Whether `str.isspace()` is true; unlike JavaScript it has U+001C-1F and U+0085 and lacks U+FEFF. */
function isSpace(unit: number): boolean {
  if (unit < 0x80) return unit === 0x20 || (unit >= 0x09 && unit <= 0x0d) || (unit >= 0x1c && unit <= 0x1f);
  switch (unit) {
    case 0x85:
    case 0xa0:
    case 0x1680:
    case 0x2028:
    case 0x2029:
    case 0x202f:
    case 0x205f:
    case 0x3000:
      return true;
    default:
      return unit >= 0x2000 && unit <= 0x200a;
  }
}

/** Python's `str.strip()`, which Django REST framework applies to the strings of a serializer. Linear in time. */
export function strip(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isSpace(text.charCodeAt(start))) start++;
  while (end > start && isSpace(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

/** Python's `str(float)`: the shortest digits that read back as the same float, exponents from 1e16 and below 1e-4. */
export function floatText(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  if (value < 0 || Object.is(value, -0)) return `-${floatText(-value)}`;
  const [mantissa = '', power] = value.toExponential().split('e');
  const digits = mantissa.replace('.', '');
  const exponent = Number(power);
  if (exponent < -4 || exponent >= 16) return scientific(digits, exponent);
  if (exponent < 0) return `0.${'0'.repeat(-exponent - 1)}${digits}`;
  return `${digits.slice(0, exponent + 1).padEnd(exponent + 1, '0')}.${digits.slice(exponent + 1) || '0'}`;
}

function scientific(digits: string, exponent: number): string {
  const fraction = digits.length > 1 ? `.${digits.slice(1)}` : '';
  const power = String(Math.abs(exponent)).padStart(2, '0');
  return `${digits[0]}${fraction}e${exponent < 0 ? '-' : '+'}${power}`;
}

/** Python's `int(str)` for an id: undefined where Python raises, or where no row of Core can have it (int4, from 1). */
export function idFromText(text: string): number | undefined {
  const stripped = strip(text);
  if (!/^[+-]?[0-9]+(?:_[0-9]+)*$/.test(stripped)) return undefined;
  return idFromNumber(Number(stripped.replaceAll('_', '')));
}

/** Python's `int(float)` for an id, which drops the fraction. */
export function idFromNumber(value: number): number | undefined {
  const id = Math.trunc(value);
  return id >= 1 && id <= 0x7fff_ffff ? id : undefined;
}

/**
 * The form that Postgres keeps of a text in a `varchar(limit)` column: blanks beyond the limit are dropped.
 * Undefined when no row can hold it: too long (in code points), a NUL, a lone surrogate.
 */
export function storable(text: string, limit: number): string | undefined {
  if (text.includes('\0') || !text.isWellFormed()) return undefined;
  if (text.length <= limit) return text;
  let end = 0;
  for (let points = 0; points < limit && end < text.length; points++) {
    end += (text.codePointAt(end) ?? 0) > 0xffff ? 2 : 1;
  }
  for (let at = end; at < text.length; at++) if (text.charCodeAt(at) !== 0x20) return undefined;
  return text.slice(0, end);
}
