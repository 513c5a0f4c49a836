import type { Problem } from './types.ts';

/** A refusal by the console, with its own message for users. */
export class ApiProblemError extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.detail);
    this.name = 'ApiProblemError';
    this.problem = problem;
  }
}

/** Calls the API as the caller whose token it holds; undefined if a trusted proxy identifies the caller. */
export interface Api {
  get<Answer>(path: string, signal?: AbortSignal): Promise<Answer>;
  post<Answer>(path: string, body?: object, signal?: AbortSignal): Promise<Answer>;
  /** The raw response, for streams and downloads. @throws ApiProblemError when it is no success */
  open(path: string, signal?: AbortSignal): Promise<Response>;
}

const ROOT = 'api/v1/';

/**
 * @param token kept in this closure and nowhere else
 * @param refused called for every response that rejects the token
 */
export function createApi(token: string | undefined, refused: () => void = () => undefined): Api {
  async function send(path: string, init: RequestInit): Promise<Response> {
    const headers = new Headers(init.headers);
    if (token !== undefined) headers.set('authorization', `Bearer ${token}`);
    const response = await fetch(`${ROOT}${path}`, { ...init, headers, credentials: 'same-origin', cache: 'no-store' });
    if (response.ok) return response;
    const problem = await readProblem(response);
    if (response.status === 401) refused();
    throw new ApiProblemError(problem);
  }

  return {
    get: async (path, signal) => (await send(path, { signal: signal ?? null })).json(),
    async post(path, body, signal) {
      const headers = body === undefined ? {} : { 'content-type': 'application/json' };
      const text = body === undefined ? null : JSON.stringify(body);
      return (await send(path, { method: 'POST', headers, body: text, signal: signal ?? null })).json();
    },
    open: (path, signal) => send(path, { signal: signal ?? null }),
  };
}

/** A proxy in between may return anything. */
async function readProblem(response: Response): Promise<Problem> {
  const { status, statusText } = response;
  const body: Partial<Problem> | null = await response.json().catch(() => null);
  const text = (value: unknown, otherwise: string) => (typeof value === 'string' && value !== '' ? value : otherwise);
  return {
    title: text(body?.title, statusText),
    status,
    code: text(body?.code, 'unknown'),
    detail: text(body?.detail, `${status} ${statusText}`.trim()),
    ...(Array.isArray(body?.warnings) ? { warnings: body.warnings } : {}),
  };
}
