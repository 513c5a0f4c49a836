import { codePoints, pythonInt, str, strip, typeName, type Value } from '../python/value.ts';
import { Form, type Input } from './body.ts';
import { type Messages, ValidationError } from './errors.ts';

/** Marks a field that was not sent. */
const ABSENT = Symbol('absent');

/** One field of a serializer: extracts its raw value from the data and converts it to the view's value. */
export interface Field<T> {
  readonly required: boolean;
  readonly allowNull: boolean;
  /** Value of an absent field; without a default the field stays absent. */
  readonly fallback?: T;
  pick(source: Source, name: string): Input | readonly Input[] | typeof ABSENT;
  /** @throws ValidationError */
  parse(input: Input | readonly Input[]): T;
}

type Source = Map<string, Value> | URLSearchParams;
type Shape = Readonly<Record<string, Field<unknown>>>;
/** By its type every field may be absent or null; required ones never are. */
export type Validated<S extends Shape> = { [K in keyof S]?: S[K] extends Field<infer T> ? T : never };

interface Options {
  readonly required?: boolean;
  readonly allowNull?: boolean;
  readonly allowBlank?: boolean;
  readonly maxLength?: number;
}

/** Text: numbers are stringified, surrounding whitespace in Python's sense is removed. */
export function charField(options: Options = {}): Field<string> {
  const { allowBlank = false, maxLength } = options;
  return scalar(options, (input) => {
    if (!['string', 'bigint', 'number'].includes(typeof input)) fail('Not a valid string.');
    const text = strip(str(input));
    if (text === '' && !allowBlank) fail('This field may not be blank.');
    if (text.includes('\0')) fail('Null characters are not allowed.');
    const surrogate = /\p{Surrogate}/u.exec(text)?.[0].charCodeAt(0).toString(16).toUpperCase();
    if (surrogate !== undefined) fail(`Surrogate characters are not allowed: U+${surrogate}.`);
    if (maxLength !== undefined && codePoints(text) > maxLength) {
      fail(`Ensure this field has no more than ${maxLength} characters.`);
    }
    return text;
  });
}

/** An SDK's trait value: scalars unchanged, anything else as Python prints it. */
export function traitValueField(options: Options = {}): Field<Value> {
  return scalar(options, (input) => {
    const value = Array.isArray(input) || input instanceof Map ? str(input) : input;
    if (typeof value === 'string' && codePoints(value) > 2000) {
      fail('Value string is too long. Must be less than 2000 character');
    }
    return value;
  });
}

export function booleanField(options: Options & { fallback?: boolean } = {}): Field<boolean> {
  const { fallback } = options;
  const field = scalar(options, (input) => {
    const text = typeof input === 'string' ? input.toLowerCase() : String(input);
    if (['t', 'y', 'yes', 'true', 'on', '1'].includes(text)) return true;
    if (['f', 'n', 'no', 'false', 'off', '0'].includes(text)) return false;
    if (['n', 'null', 'none', ''].includes(text) && !options.allowNull) fail('This field may not be null.');
    return fail('Must be a valid boolean.');
  });
  return fallback === undefined ? field : { ...field, required: false, fallback };
}

/** Python's `int()` of the text, with signs, underscores and whitespace; a fraction of zeros is dropped. */
export function integerField(options: Options & { range?: 'int32' } = {}): Field<bigint> {
  return scalar(options, (input) => {
    const text = strip(str(input)).replace(/\.0*$/, '');
    if (!/^[+-]?\d+(_\d+)*$/.test(text)) fail('A valid integer is required.');
    const value = BigInt(text.replaceAll(/[+_]/g, ''));
    if (options.range === 'int32') requireRange(value, -(2n ** 31n), 2n ** 31n - 1n);
    return value;
  });
}

/** Python's `float()`, with infinity and `nan`; the latter passes every check of a range. */
export function floatField(options: Options & { range?: 'percentage' } = {}): Field<number> {
  return scalar(options, (input) => {
    const value = typeof input === 'boolean' ? undefined : parseFloatText(strip(str(input)));
    if (value === undefined) return fail('A valid number is required.');
    if (options.range === 'percentage') requireRange(value, 0, 100);
    return value;
  });
}

function parseFloatText(text: string): number | undefined {
  if (/^[+-]?(inf|infinity)$/i.test(text)) return text.startsWith('-') ? -Infinity : Infinity;
  if (/^[+-]?nan$/i.test(text)) return Number.NaN;
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : undefined;
}

function requireRange<T extends number | bigint>(value: T, least: T, most: T): void {
  if (value < least) fail(`Ensure this value is greater than or equal to ${least}.`);
  if (value > most) fail(`Ensure this value is less than or equal to ${most}.`);
}

/** One of a few texts, or another scalar that reads like one. */
export function choiceField<T extends string>(choices: readonly T[], options: Options = {}): Field<T> {
  return scalar(options, (input) => {
    const choice = choices.find((one) => one === str(input));
    return choice ?? fail(`"${str(input)}" is not a valid choice.`);
  });
}

/** The id of a row, whose existence the view has to check. */
export function primaryKeyField(options: Options = {}): Field<bigint> {
  return scalar(options, (input) => {
    const id = typeof input === 'boolean' ? undefined : pythonInt(str(input));
    return id ?? fail(`Incorrect type. Expected pk value, received ${typeName(input)}.`);
  });
}

/** A timestamp; Postgres checks the rest. */
export function dateTimeField(options: Options = {}): Field<string> {
  return scalar(options, (input) =>
    typeof input === 'string' && /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d/.test(input)
      ? input
      : fail(
          'Datetime has wrong format. Use one of these formats instead: YYYY-MM-DDThh:mm[:ss[.uuuuuu]][+HH:MM|-HH:MM|Z].',
        ),
  );
}

/** An object within the object; in forms `name.field`. */
export function nested<S extends Shape>(shape: S, options: Options = {}): Field<Validated<S>> {
  return {
    ...defaults(options),
    pick: (source, name) => (source instanceof URLSearchParams ? formDict(source, name) : pickValue(source, name)),
    parse: (input) => validate(shape, input as Input),
  };
}

/** A list of objects; in forms `name[0]field`. */
export function many<S extends Shape>(shape: S, options: Options = {}): Field<Validated<S>[]> {
  return {
    ...defaults(options),
    pick: (source, name) => (source instanceof URLSearchParams ? formList(source, name) : pickValue(source, name)),
    parse: (input) => validateMany(shape, input),
  };
}

/**
 * The serializer's validated data.
 *
 * @throws ValidationError with the messages of every invalid field
 */
export function validate<S extends Shape>(shape: S, input: Input, mode: { partial?: boolean } = {}): Validated<S> {
  if (input === null) throw new ValidationError({ non_field_errors: ['No data provided'] });
  if (!(input instanceof Map || input instanceof URLSearchParams)) {
    const message = `Invalid data. Expected a dictionary, but got ${typeName(input)}.`;
    throw new ValidationError({ non_field_errors: [message] });
  }
  const output: Record<string, unknown> = {};
  const messages: Record<string, Messages> = {};
  for (const [name, field] of Object.entries(shape)) {
    try {
      const value = validateField(field, field.pick(input, name), mode.partial ?? false);
      if (value !== ABSENT) output[name] = value;
    } catch (error) {
      if (!(error instanceof ValidationError)) throw error;
      messages[name] = error.messages;
    }
  }
  if (Object.keys(messages).length > 0) throw new ValidationError(messages);
  return output as Validated<S>;
}

/** The serializer with `many=True`. @throws ValidationError with one entry per item */
export function validateMany<S extends Shape>(shape: S, input: Input | readonly Input[]): Validated<S>[] {
  if (!Array.isArray(input)) {
    const type = input instanceof URLSearchParams ? 'QueryDict' : typeName(input as Value);
    throw new ValidationError({ non_field_errors: [`Expected a list of items but got type "${type}".`] });
  }
  const results = input.map((item: Input) => {
    try {
      return { output: validate(shape, item), messages: {} };
    } catch (error) {
      if (error instanceof ValidationError) return { messages: error.messages };
      throw error;
    }
  });
  if (results.some(({ output }) => output === undefined)) throw new ValidationError(results.map((r) => r.messages));
  return results.map(({ output }) => output!);
}

function validateField<T>(field: Field<T>, raw: Input | readonly Input[] | typeof ABSENT, partial: boolean) {
  if (raw === ABSENT) {
    if (partial) return ABSENT;
    if (field.required) fail('This field is required.');
    return 'fallback' in field ? field.fallback : ABSENT;
  }
  if (raw !== null) return field.parse(raw);
  return field.allowNull ? null : fail('This field may not be null.');
}

function defaults({ required = true, allowNull = false }: Options) {
  return { required, allowNull };
}

function scalar<T>(options: Options, parse: (input: Value) => T): Field<T> {
  const { required, allowNull } = defaults(options);
  const pick = (source: Source, name: string) => {
    if (source instanceof Map) return pickValue(source, name);
    // A file in place of a text is a value of another type.
    if (source instanceof Form && source.files.has(name)) return new Map();
    const value = source.getAll(name).at(-1);
    if (value !== '' || (!allowNull && required)) return value ?? ABSENT;
    if (options.allowBlank) return '';
    return allowNull ? null : ABSENT;
  };
  return { required, allowNull, pick, parse: (input) => parse(input as Value) };
}

function pickValue(source: Map<string, Value>, name: string): Value | typeof ABSENT {
  return source.has(name) ? source.get(name)! : ABSENT;
}

function formDict(source: URLSearchParams, name: string): URLSearchParams | typeof ABSENT {
  const prefix = `${name}.`;
  const fields = [...source].filter(([field]) => field.startsWith(prefix) && field.length > prefix.length);
  return fields.length === 0
    ? ABSENT
    : new URLSearchParams(fields.map(([field, value]): [string, string] => [field.slice(prefix.length), value]));
}

function formList(source: URLSearchParams, name: string): Input[] | typeof ABSENT {
  const items = new Map<number, URLSearchParams | string>();
  for (const [field, value] of source) {
    const [, index, key] = /^\[(\d+)\](.*)$/s.exec(field.startsWith(name) ? field.slice(name.length) : '') ?? [];
    if (index === undefined) continue;
    const item = items.get(Number(index));
    if (!key) items.set(Number(index), value);
    else if (item instanceof URLSearchParams) item.set(key, value);
    else items.set(Number(index), new URLSearchParams([[key, value]]));
  }
  return items.size === 0 ? ABSENT : [...items].sort(([left], [right]) => left - right).map(([, item]) => item);
}

function fail(message: string): never {
  throw new ValidationError([message]);
}
