import {
  ApiError,
  BadRequestError,
  ConflictError,
  ForbiddenError,
  InvalidError,
  NotFoundError,
  TooManyRequestsError,
  UnauthorizedError,
} from '@edge-migration/kubernetes/errors.ts';
import { DeletedMeanwhileError } from '@edge-migration/operator/requests/edit.ts';
import { type ProblemCode, ProblemError } from './problem.ts';

const CODES: [new (...parameters: never[]) => Error, ProblemCode][] = [
  [BadRequestError, 'invalid'],
  [InvalidError, 'invalid'],
  [UnauthorizedError, 'invalid_token'],
  [ForbiddenError, 'forbidden'],
  [NotFoundError, 'not_found'],
  [DeletedMeanwhileError, 'changed_meanwhile'],
  [ConflictError, 'changed_meanwhile'],
];

/** A response of the API server to a request on behalf of the caller, who may read it. */
export function explainToCaller(error: unknown): unknown {
  const [, code] = CODES.find(([type]) => error instanceof type) ?? [];
  if (code === undefined) return error;
  const advice = code === 'changed_meanwhile' ? ': reload it' : '';
  return new ProblemError(code, `Kubernetes refuses it: ${(error as Error).message}${advice}`, { cause: error });
}

/** The caller cannot cause failures between console and API server, so their messages are only logged. */
export function explainToAnyone(error: unknown): ProblemError {
  if (error instanceof ProblemError) return error;
  if (error instanceof ApiError) {
    const seconds = error instanceof TooManyRequestsError ? Math.ceil((error.retryAfterMs ?? 1000) / 1000) : 5;
    return new ProblemError(
      'unavailable',
      "Kubernetes does not respond correctly: try again; the console's log has the reason",
      {
        cause: error,
        headers: { 'retry-after': String(seconds) },
      },
    );
  }
  return new ProblemError('internal', 'the console failed; its log has the reason', { cause: error });
}
