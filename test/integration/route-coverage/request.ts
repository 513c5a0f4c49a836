import fc from 'fast-check';
import type { Rows } from './rows.ts';

export interface Request {
  readonly method: string;
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

/** A request is chosen once its possible target rows are known. */
export type RequestMaker = (rows: Rows) => Request;

/** Faults of the API that leave a request unanswered, or kill it between two commits. */
const FAULT = fc.option(
  fc.constantFrom('reset-after', 'crash-after', 'crash-after-write=1', 'crash-after-write=2', 'crash-before'),
  { freq: 8, nil: undefined },
);

/** Mostly accepted by Core, or hardly any request would change anything. */
function mostly<T>(good: readonly T[], bad: readonly T[]): fc.Arbitrary<T> {
  return fc.oneof(
    { weight: 9, arbitrary: fc.constantFrom(...good) },
    { weight: 1, arbitrary: fc.constantFrom(...bad) },
  );
}

export const identifier = mostly(
  ['new-1', 'new-2', ' new-3 ', '\u00a0new-4', '\u200bnew-5', 'né 人', "it's", '7', '1.0', '1e+16'],
  ['', ' ', 'x'.repeat(2001), 'a\0b'],
);
/** An identifier in JSON; some exist, some are not identifiers at all. */
export const identifierJson = fc.oneof(
  identifier.map((text) => JSON.stringify(text)),
  mostly(['7', '1.0', '1e16', '123456789012345678901234567890'], ['null', 'true', '["a"]', '"\\ud800"']),
);
export const traitKey = mostly(
  ['"plan"', '"age"', '" vip "', '"new"', '"score"', '7', '1.50'],
  ['""', 'null', `"${'k'.repeat(201)}"`],
);
export const traitValue = mostly(
  ['"gold"', '1', '1.5', 'true', 'null', '[1, {"a": null}]', '""', '2', '"silver"', 'false'],
  ['2147483648', '1e999', '"a\\u0000"', JSON.stringify('x'.repeat(2001))],
);
export const traitJson = fc
  .tuple(traitKey, traitValue, fc.option(fc.constantFrom('true', 'false', '"on"'), { freq: 3, nil: undefined }))
  .map(([key, value, transient]) => {
    return `{"trait_key": ${key}, "trait_value": ${value}${transient === undefined ? '' : `, "transient": ${transient}`}}`;
  });

/** Chooses among rows whose number is unknown in advance. */
export type Pick = <T>(rows: readonly T[]) => T;
const picks = fc.array(fc.nat(), { minLength: 8, maxLength: 8 }).map((numbers): (() => Pick) => () => {
  let next = 0;
  return (rows) => rows[(numbers[next++ % numbers.length] ?? 0) % rows.length] as never;
});

export type Make = (rows: Rows, pick: Pick) => Omit<Request, 'headers'> & { headers?: Record<string, string> };

export function maker(make: fc.Arbitrary<Make>): fc.Arbitrary<RequestMaker> {
  return fc.tuple(make, picks, FAULT).map(([makeRequest, newPick, fault]) => (rows) => {
    const request = makeRequest(rows, newPick());
    const headers = { ...request.headers, ...(fault !== undefined && { 'x-fixture-fault': fault }) };
    return { ...request, headers: { 'content-type': 'application/json', ...headers } };
  });
}
