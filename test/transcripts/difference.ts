import { canonical, canonicalRows, type Json, namesOf } from './canonical-rows.ts';
import type { Replayed } from './recorded-core.ts';
import type { Transcript } from './transcripts.ts';

/** A difference in behaviour between our own Core API and the real one. */
export interface Difference {
  readonly part: 'status' | 'header' | 'answer' | 'rows';
  /** Name of the header, path of the field, or table and row. */
  readonly where: string;
  /** Undefined if absent. */
  readonly theirs: unknown;
  readonly ours: unknown;
}

/** The headers that concern the request; the others are the server's own. */
const HEADERS = ['allow', 'location', 'x-flagsmith-document-updated-at'];

export function differencesOf(transcript: Transcript, ours: Replayed): Difference[] {
  const { response, changes, background } = transcript;
  const recorded = { changes, background: background?.changes ?? {} };
  if (response.status !== ours.status) {
    const status = { part: 'status', where: '', theirs: response.status, ours: ours.status } as const;
    return [status, ...rowDifferences(recorded, ours)];
  }
  return [
    ...headerDifferences(transcript, ours),
    ...answerDifferences(transcript, ours),
    ...rowDifferences(recorded, ours),
  ];
}

function headerDifferences({ response }: Transcript, ours: Replayed): Difference[] {
  const theirs = new Map(response.headers.map(([name, value]) => [name.toLowerCase(), value]));
  return HEADERS.flatMap((name) => {
    const [left, right] = [theirs.get(name), ours.headers[name]].map((value) => inOrder(value?.toString()));
    return left === undefined || left === right ? [] : [{ part: 'header', where: name, theirs: left, ours: right }];
  });
}

/** Django's own views list their methods in another order. */
const inOrder = (value: string | undefined) => value?.split(', ').sort().join(', ');

/** Pages and truncated data are not compared. */
function answerDifferences({ request, response, ...transcript }: Transcript, ours: Replayed): Difference[] {
  const { body } = response;
  if (body === null || !('text' in body) || body.truncated !== undefined) return [];
  if (['HEAD', 'OPTIONS'].includes(request.method)) return [];
  const theirs = parsed(body.text);
  if (theirs === undefined) return [];
  const mine = parsed(ours.body);
  if (mine === undefined) return [{ part: 'answer', where: '', theirs, ours: ours.body }];
  const names = namesOf(transcript.changes, transcript.background?.changes ?? {});
  return compare('', canonical(theirs, names), canonical(mine, namesOf(ours.changes, ours.background)));
}

function parsed(text: string): Json | undefined {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function compare(where: string, theirs: Json | undefined, ours: Json | undefined): Difference[] {
  if (isObject(theirs) && isObject(ours)) {
    const keys = [...new Set([...Object.keys(theirs), ...Object.keys(ours)])];
    return keys.flatMap((key) => compare(`${where}.${key}`, theirs[key], ours[key]));
  }
  if (Array.isArray(theirs) && Array.isArray(ours) && theirs.length === ours.length) {
    return theirs.flatMap((item, index) => compare(`${where}[]`, item, ours[index]));
  }
  return JSON.stringify(theirs) === JSON.stringify(ours) ? [] : [{ part: 'answer', where, theirs, ours }];
}

const isObject = (value: Json | undefined): value is { [key: string]: Json } =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function rowDifferences(theirs: Parameters<typeof canonicalRows>[0], ours: Parameters<typeof canonicalRows>[0]) {
  const [left, right] = [canonicalRows(theirs), canonicalRows(ours)];
  return [...new Set([...left.keys(), ...right.keys()])].flatMap((where): Difference[] => {
    const [their, our] = [left.get(where), right.get(where)];
    return their === our ? [] : [{ part: 'rows', where, theirs: their, ours: our }];
  });
}
