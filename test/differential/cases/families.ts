import type fc from 'fast-check';
import type { Case } from '../case.ts';
import { charsetCases } from './charsets.ts';
import { formCases } from './forms.ts';
import { framingCases } from './framing.ts';
import { headerCases } from './headers.ts';
import { jsonCases } from './json.ts';
import { multipartCases } from './multipart.ts';
import { mutationCases } from './mutations.ts';
import { pathCases, queryCases } from './queries.ts';
import { routeCases } from './routes.ts';
import { sizeCases } from './sizes.ts';
import { targetCases } from './targets.ts';
import { typeCases } from './types.ts';

export interface Family {
  readonly cases: fc.Arbitrary<Case>;
  /** Its share of a run. */
  readonly weight: number;
}

/** The possible oddities of requests. */
export const FAMILIES = {
  headers: { cases: headerCases, weight: 2 },
  targets: { cases: targetCases, weight: 3 },
  charsets: { cases: charsetCases, weight: 3 },
  json: { cases: jsonCases, weight: 4 },
  forms: { cases: formCases, weight: 2 },
  multipart: { cases: multipartCases, weight: 3 },
  routes: { cases: routeCases, weight: 3 },
  queries: { cases: queryCases, weight: 2 },
  paths: { cases: pathCases, weight: 1 },
  mutations: { cases: mutationCases, weight: 3 },
  sizes: { cases: sizeCases, weight: 0.2 },
  types: { cases: typeCases, weight: 1 },
  framing: { cases: framingCases, weight: 1 },
} satisfies Record<string, Family>;

export type FamilyName = keyof typeof FAMILIES;
