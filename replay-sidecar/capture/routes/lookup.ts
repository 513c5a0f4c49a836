import type { CallUpstream, Field, RequestHead } from '../proxy/hook.ts';
import { type Lookup, parseJsonBody } from './plan.ts';

/** Fields of one of our own requests. */
export type Passed = readonly Pick<Field, 'name' | 'value'>[];

/** Fields of the caller's request that concern its body, its conditions or the answer's form. */
const NOT_PASSED_ON =
  /^(?:content-.*|transfer-encoding|expect|accept|accept-encoding|range|if-.*|te|trailer|connection|upgrade|origin)$/;

/**
 * Asks the API as the caller, over the same host name. Undefined when it does not answer 200 with JSON, or not at all:
 * the request then does without.
 */
export async function askCore(lookup: Lookup, head: RequestHead, call: CallUpstream): Promise<unknown> {
  try {
    const response = await call({ method: lookup.method, target: lookup.target, fields: fieldsOf(head) });
    return response.status === 200 ? parseJsonBody(response.body) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The status with which the API answers to these fields alone, for a host name that it accepts. Undefined when it does
 * not answer.
 */
export async function askStatus(target: string, fields: Passed, call: CallUpstream): Promise<number | undefined> {
  try {
    return (await call({ method: 'GET', target, fields: [{ name: 'Host', value: 'localhost' }, ...fields] })).status;
  } catch {
    return undefined;
  }
}

function fieldsOf(head: RequestHead): Passed {
  const passed = head.fields.filter((field) => !NOT_PASSED_ON.test(field.lower));
  const host = passed.some((field) => field.lower === 'host') ? [] : [{ name: 'Host', value: 'localhost' }];
  return [...host, ...passed, { name: 'Accept', value: 'application/json' }];
}
