import { ConditionalCheckFailedException } from '@aws-sdk/client-dynamodb';
import type { Disposition } from '@edge-migration/runtime/failure.ts';

/** All failures of Edge's tables, classified in one place: every error of the SDK becomes one of these. */

/** The target of a request, for messages that a person can act on. */
export interface TablePlace {
  readonly table: string;
  /** The endpoint's URL where one is configured, else the region. */
  readonly where: string;
}

interface EdgeErrorOptions extends ErrorOptions {
  /** The answer of DynamoDB, or of its stand-in, about the request; undefined: none. */
  readonly answer?: FailureKind | undefined;
}

/** The `name` of each kind is published as the reason of conditions: its class name without `Error`. */
export abstract class EdgeError extends Error {
  abstract readonly disposition: Disposition;
  readonly answer: FailureKind | undefined;

  constructor(message: string, options?: EdgeErrorOptions) {
    super(message, options);
    this.answer = options?.answer;
  }
}

/** DynamoDB asks to slow down. */
export class EdgeThrottledError extends EdgeError {
  override readonly name = 'EdgeThrottled';
  readonly disposition = 'throttled';
}

/** Another region is writing the same item; nothing was done, and the same request has to be sent again. */
export class EdgeConflictError extends EdgeError {
  override readonly name = 'EdgeConflict';
  // Not a conflict in the sense of a disposition: nothing has to be read again.
  readonly disposition = 'transient';
}

/** No answer, or a failure on the server's side. */
export class EdgeUnreachableError extends EdgeError {
  override readonly name = 'EdgeUnreachable';
  readonly disposition = 'transient';
}

/** Credentials are missing, wrong or expired, or they do not permit the operation. */
export class EdgeRefusedError extends EdgeError {
  override readonly name = 'EdgeRefused';
  readonly disposition = 'misconfigured';
}

export class TableMissingError extends EdgeError {
  override readonly name = 'TableMissing';
  readonly disposition = 'misconfigured';
}

/** The table exists, but is not the table that its name promises. */
export class WrongTableError extends EdgeError {
  override readonly name = 'WrongTable';
  readonly disposition = 'misconfigured';
}

/** DynamoDB will never accept this request, usually because of its item. The message is DynamoDB's own. */
export class WriteRejectedError extends EdgeError {
  override readonly name = 'WriteRejected';
  readonly disposition = 'rejected';
}

/** An answer is larger than its caller can hold, and was not read. */
export class ResponseTooLargeError extends EdgeError {
  override readonly name = 'ResponseTooLarge';
  readonly disposition = 'rejected';
}

/** The deadline for sending a request has passed; nothing was sent. */
export class DeadlinePassedError extends Error {
  override readonly name = 'DeadlinePassedError';
  readonly disposition = 'conflict';
}

const THROTTLED = new Set([
  'ProvisionedThroughputExceeded',
  'ThrottlingError',
  'Throttling',
  'RequestLimitExceeded',
  'LimitExceeded',
  'TooManyRequests',
  'TransactionConflict',
  'TransactionInProgress',
]);
const FAILED = new Set([
  'InternalServerError',
  'InternalServer',
  'InternalFailure',
  'InternalServiceFault',
  'ServiceUnavailable',
  'RequestTimeout',
  'PriorRequestNotComplete',
  // The table is being changed.
  'ResourceInUse',
  'TableInUse',
  // From the identity provider, when a web identity is exchanged for credentials.
  'IDPCommunicationError',
]);
/** Another region of a global table writes the item at the same time; nothing was done. */
const CONFLICT = new Set(['ReplicatedWriteConflict']);
const REFUSED = new Set([
  'AccessDenied',
  'UnauthorizedAccess',
  'UnauthorizedOperation',
  'NotAuthorized',
  'AuthFailure',
  'UnrecognizedClient',
  'InvalidClientTokenId',
  'InvalidAccessKeyId',
  'InvalidIdentityToken',
  'InvalidToken',
  'ExpiredToken',
  'InvalidSignature',
  'IncompleteSignature',
  'SignatureDoesNotMatch',
  'MissingAuthenticationToken',
  'OptInRequired',
  'CredentialsProviderError',
  'TokenProviderError',
]);
const INVALID = new Set(['ValidationError', 'Validation', 'Serialization', 'ItemCollectionSizeLimitExceeded']);
const MISSING = new Set(['ResourceNotFound']);
const DUPLICATE = new Set(['DuplicateItem']);

/** `encryption`: the table's key in KMS cannot be used. `other`: unknown to this version. */
export type FailureKind =
  | 'throttled'
  | 'failed'
  | 'conflict'
  | 'invalid'
  | 'missing'
  | 'duplicate'
  | 'refused'
  | 'encryption'
  | 'other';

/**
 * Classifies a DynamoDB error code. Statements of a batch report codes without the suffix that whole calls carry
 * (`DuplicateItem`, `DuplicateItemException`), and servers differ in it, so the suffix is ignored.
 */
export function readAnswer(code: string): FailureKind {
  const stem = code.replace(/Exception$/, '');
  // From DynamoDB itself, from KMS under its name, from STS: `KMSThrottling`, `RequestThrottled`, …
  if (THROTTLED.has(stem) || /Throttl|SlowDown|BandwidthLimit/.test(stem)) return 'throttled';
  if (FAILED.has(stem)) return 'failed';
  if (CONFLICT.has(stem)) return 'conflict';
  if (INVALID.has(stem)) return 'invalid';
  if (MISSING.has(stem)) return 'missing';
  if (DUPLICATE.has(stem)) return 'duplicate';
  if (REFUSED.has(stem)) return 'refused';
  if (/^KMS|Encryption/.test(stem)) return /Internal|Timeout|Unavailable/.test(stem) ? 'failed' : 'encryption';
  return 'other';
}

/** The parts of an SDK error that identify the failure; network errors only have a `code`. */
interface SdkError {
  name?: string;
  message?: string;
  code?: string;
  $metadata?: { httpStatusCode?: number; clockSkewCorrected?: boolean };
  $response?: { statusCode?: number };
}

/** The server, or a proxy in front of it, reports that the outcome of the request is unknown. */
export function isServerFailure(error: unknown): boolean {
  const { $metadata, $response } = error as SdkError;
  return ($metadata?.httpStatusCode ?? $response?.statusCode ?? 0) >= 500;
}

/** DynamoDB, or its stand-in, has answered, and the answer is about the request. */
function isAnswered({ $metadata, $response }: SdkError): boolean {
  const status = $metadata?.httpStatusCode ?? $response?.statusCode ?? 0;
  return status >= 400 && status < 500 && status !== 429 && $metadata?.clockSkewCorrected !== true;
}

/**
 * Converts an error of the SDK into a typed error with the original as its `cause`. Our own errors pass through, and so
 * does `ConditionalCheckFailedException`, which is an answer.
 */
export function describeFailure(error: unknown, { table, where }: TablePlace): Error {
  if (error instanceof EdgeError || error instanceof DeadlinePassedError) return error;
  const { name = 'Error', message = '', code, $metadata, $response } = error as SdkError;
  const status = $metadata?.httpStatusCode ?? $response?.statusCode;
  if (error instanceof ConditionalCheckFailedException) return error;
  const kind = readAnswer(name);
  const options = { cause: error, answer: isAnswered(error as SdkError) ? kind : undefined };
  switch (kind) {
    case 'throttled':
      return new EdgeThrottledError(
        `DynamoDB throttles table ${table} at ${where}: lower the write rate or raise the capacity`,
        options,
      );
    case 'missing':
      return new TableMissingError(
        `Table ${table} does not exist at ${where}: create it, or correct the table name, the region or the endpoint`,
        options,
      );
    case 'invalid':
      return new WriteRejectedError(message, options);
    case 'conflict':
      return new EdgeConflictError(
        `Other regions write the same items of table ${table} at ${where} continuously: try again later`,
        options,
      );
    case 'failed':
      return new EdgeUnreachableError(`DynamoDB at ${where} failed on table ${table}: ${name}`, options);
    case 'encryption':
      return new EdgeRefusedError(
        `DynamoDB at ${where} cannot use the key that encrypts table ${table} (${name}): check the key's state and policy in KMS`,
        options,
      );
    case 'refused':
      if ($metadata?.clockSkewCorrected !== true) return refused(/Provider/.test(name) ? message : name);
  }
  if (status === undefined || status >= 500 || status === 429 || $metadata?.clockSkewCorrected === true) {
    return new EdgeUnreachableError(
      `DynamoDB at ${where} did not answer for table ${table} (${status ?? code ?? `${name}: ${message}`}): check the endpoint, the region and the network policy`,
      options,
    );
  }
  if (status === 401 || status === 403) return refused(name);
  // It need not be permanent, and a guess would mislead people.
  return new EdgeUnreachableError(
    `DynamoDB at ${where} answered a request for table ${table} with ${name} (${status}), which is retried`,
    options,
  );

  function refused(why: string): EdgeRefusedError {
    return new EdgeRefusedError(
      `DynamoDB at ${where} refused access to table ${table} (${why}): check the credentials and the permissions of this process's role`,
      options,
    );
  }
}
