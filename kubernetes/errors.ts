import type { Disposition } from '@edge-migration/runtime/failure.ts';
import { z } from 'zod';

export interface ErrorFacts {
  /** HTTP status, or 0 if there was no response. */
  status: number;
  /** The API's machine-readable reason (`AlreadyExists`, `Expired`), or the client's own. */
  reason: string;
  disposition: Disposition;
  /** How long the API server asks to wait (its Retry-After). */
  retryAfterMs?: number | undefined;
  /** The name in the Status' details: absent from the 404 of a kind that is not served (its CRD is missing). */
  objectName?: string | undefined;
}

/** A call to the API server failed. The message names the call and never contains headers or bodies. */
export class ApiError extends Error {
  override readonly name: string = 'ApiError';
  readonly status: number;
  readonly reason: string;
  readonly disposition: Disposition;
  readonly retryAfterMs: number | undefined;
  readonly objectName: string | undefined;

  constructor(message: string, facts: ErrorFacts, options?: ErrorOptions) {
    super(message, options);
    this.status = facts.status;
    this.reason = facts.reason;
    this.disposition = facts.disposition;
    this.retryAfterMs = facts.retryAfterMs;
    this.objectName = facts.objectName;
  }
}

/** 400: the API server cannot read the request. */
export class BadRequestError extends ApiError {
  override readonly name = 'BadRequestError';
}
/** 401: the credentials are missing, expired or unknown. Transient: they may be rotated meanwhile. */
export class UnauthorizedError extends ApiError {
  override readonly name = 'UnauthorizedError';
}
/** 403: RBAC or an admission plugin denies the call. Transient: rights may be granted meanwhile. */
export class ForbiddenError extends ApiError {
  override readonly name = 'ForbiddenError';
}
/** 404: the object, its namespace or its kind does not exist. Transient: it may be created. */
export class NotFoundError extends ApiError {
  override readonly name = 'NotFoundError';
}
/** 409: the object changed since it was read, another field manager owns a field, or a precondition failed. */
export class ConflictError extends ApiError {
  override readonly name: string = 'ConflictError';
}
/** 409: an object of this name already exists. */
export class AlreadyExistsError extends ConflictError {
  override readonly name = 'AlreadyExistsError';
}
/** 410: the resourceVersion or continue token is too old; list again. */
export class GoneError extends ApiError {
  override readonly name = 'GoneError';
}
/** 422: the object is invalid. */
export class InvalidError extends ApiError {
  override readonly name = 'InvalidError';
}
/** 429: priority and fairness or an eviction limit asks to retry later. */
export class TooManyRequestsError extends ApiError {
  override readonly name = 'TooManyRequestsError';
}
/**
 * No usable response: no connection, no credentials, a timeout, a broken response. The request may have been executed.
 */
export class UnreachableError extends ApiError {
  override readonly name = 'UnreachableError';
}

/** The lease was lost or can no longer be proven: no more writes are allowed. */
export class LeadershipLostError extends Error {
  override readonly name = 'LeadershipLostError';
  readonly disposition = 'rejected';
}

/** Thrown by a reconcile that must not be repeated until its object changes. */
export class TerminalError extends Error {
  override readonly name = 'TerminalError';
  readonly disposition = 'rejected';
}

type ApiErrorConstructor = new (message: string, facts: ErrorFacts, options?: ErrorOptions) => ApiError;

const BY_STATUS: Record<number, [ApiErrorConstructor, Disposition]> = {
  400: [BadRequestError, 'rejected'],
  401: [UnauthorizedError, 'transient'],
  403: [ForbiddenError, 'transient'],
  404: [NotFoundError, 'transient'],
  409: [ConflictError, 'conflict'],
  410: [GoneError, 'transient'],
  422: [InvalidError, 'rejected'],
  429: [TooManyRequestsError, 'throttled'],
};

/** A message of an admission webhook or a validation can be long; a log line and a condition should not be. */
const LONGEST_DETAIL = 500;

/**
 * Maps a failed response to its error.
 *
 * @param call names the call, for example `apply jobs prod/copy-42`
 * @param status HTTP status, or the code of an ERROR frame of a watch
 * @param body the response's body: a `Status` object from the API server, anything from a proxy in between
 */
export function responseError(call: string, status: number, body: unknown, retryAfterMs?: number): ApiError {
  const { reason, message, objectName, fields } = readStatus(body);
  // A custom resource's uid is validated as an immutable field: the error means that another object now has the name.
  const meant = status === 422 && fields?.includes('metadata.uid') ? 409 : status;
  const [Type, disposition] = BY_STATUS[meant] ?? [ApiError, status >= 500 ? 'transient' : 'rejected'];
  const Exact = reason === 'AlreadyExists' ? AlreadyExistsError : Type;
  const detail = message === undefined ? '' : `: ${message.slice(0, LONGEST_DETAIL)}`;
  const facts = { status, reason: reason ?? `HTTP${status}`, disposition, retryAfterMs, objectName };
  return new Exact(`${call}: ${reason ?? 'error'} (${status})${detail}`, facts);
}

const Status = z.object({
  kind: z.literal('Status'),
  reason: z.string().optional(),
  message: z.string().optional(),
  details: z
    .object({ name: z.string().optional(), causes: z.array(z.object({ field: z.string().optional() })).nullish() })
    .nullish(),
});

function readStatus(body: unknown) {
  const { data } = Status.safeParse(body);
  return {
    reason: data?.reason || undefined,
    message: data?.message || undefined,
    objectName: data?.details?.name || undefined,
    fields: data?.details?.causes?.map(({ field }) => field),
  };
}
