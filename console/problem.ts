import type { Warning } from '@edge-migration/operator/requests/change.ts';

/**
 * The response to a request that cannot be served, as in RFC 9457; `detail` is also the field that Flagsmith's own API
 * uses.
 */
export interface ProblemDocument {
  readonly type: 'about:blank';
  readonly title: string;
  readonly status: number;
  /** For programs. */
  readonly code: ProblemCode;
  /** For users: the problem and its remedy. */
  readonly detail: string;
  /** With `confirmation_required`: the irreversible effects. */
  readonly warnings?: readonly Warning[];
}

const PROBLEMS = {
  invalid: [400, 'Bad Request'],
  no_token: [401, 'Unauthorized'],
  invalid_token: [401, 'Unauthorized'],
  forbidden: [403, 'Forbidden'],
  cross_origin: [403, 'Forbidden'],
  read_only: [403, 'Forbidden'],
  not_found: [404, 'Not Found'],
  method_not_allowed: [405, 'Method Not Allowed'],
  not_possible: [409, 'Conflict'],
  confirmation_required: [409, 'Conflict'],
  changed_meanwhile: [409, 'Conflict'],
  too_large: [413, 'Content Too Large'],
  unsupported_media_type: [415, 'Unsupported Media Type'],
  too_many_requests: [429, 'Too Many Requests'],
  internal: [500, 'Internal Server Error'],
  unavailable: [503, 'Service Unavailable'],
} as const;

export type ProblemCode = keyof typeof PROBLEMS;

export const PROBLEM_CODES = Object.keys(PROBLEMS) as ProblemCode[];

export interface ProblemOptions extends ErrorOptions {
  readonly warnings?: readonly Warning[];
  readonly headers?: Readonly<Record<string, string>>;
}

/** A request cannot be served; the caller reads the message. */
export class ProblemError extends Error {
  override readonly name = 'ProblemError';
  readonly code: ProblemCode;
  readonly warnings: readonly Warning[] | undefined;
  /** HTTP status of the response. */
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: ProblemCode, detail: string, { warnings, headers = {}, ...options }: ProblemOptions = {}) {
    super(detail, options);
    this.code = code;
    this.warnings = warnings;
    this.headers = headers;
  }

  get status(): number {
    return statusOf(this.code);
  }
}

export const statusOf = (code: ProblemCode): number => PROBLEMS[code][0];

export function describeProblem({ code, message, warnings }: ProblemError): ProblemDocument {
  const [status, title] = PROBLEMS[code];
  return { type: 'about:blank', title, status, code, detail: message, ...(warnings !== undefined && { warnings }) };
}
