import { randomUUID } from 'node:crypto';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import { BodyRefusedError } from '@edge-migration/runtime/http/body.ts';
import { isAuthorized, parseEnvelope } from './envelope.ts';
import { isEventRefusal } from './event.ts';
import {
  answerPutEvents,
  CONTENT_TYPE,
  type EntryResult,
  ProtocolError,
  parsePutEvents,
  TARGET,
} from './put-events.ts';
import { type createReplays, ReplaysFullError } from './replays.ts';
import type { Requester } from './requester.ts';
import type { Secrets } from './secrets.ts';
import type { JsonResponse, RequestHandler } from './server.ts';
import { readSignature, SIGNATURE_SECONDS, SignatureError, verifySignature } from './signature.ts';

export interface PutEventsSettings {
  readonly eventBus: string;
  readonly secrets: Secrets;
  readonly request: Requester;
  readonly replays: ReturnType<typeof createReplays<JsonResponse>>;
  readonly clock: Pick<Clock, 'now'>;
}

/** A body may have come in slowly after its signature was found to be valid. */
const MARGIN_MS = 60_000;

/** PutEvents of EventBridge: AWS JSON 1.1, signed by one of the keys. Throws errors that {@link explain} explains. */
export function createPutEvents({ eventBus, secrets, request, replays, clock }: PutEventsSettings): RequestHandler {
  async function act(body: Uint8Array): Promise<JsonResponse> {
    const results: EntryResult[] = [];
    // One after the other: two of one project then result in one migration.
    for (const event of parsePutEvents(body, { eventBus, nextId: randomUUID })) {
      results.push(isEventRefusal(event) ? event : await request(event));
    }
    return { status: 200, headers: { 'content-type': CONTENT_TYPE }, body: answerPutEvents(results) };
  }

  /** A permanent rejection is a response like any other. */
  async function actOrRefuse(body: Uint8Array): Promise<JsonResponse> {
    try {
      return await act(body);
    } catch (error) {
      if (error instanceof ProtocolError && error.status < 500) return explain(error);
      throw error;
    }
  }

  return async ({ head, body }) => {
    const { headers } = head;
    if (headers['x-amz-target']?.join() !== TARGET) {
      throw new ProtocolError('UnknownOperationException', `only ${TARGET} is served`);
    }
    if (headers['content-type']?.join() !== CONTENT_TYPE) {
      throw new ProtocolError('SerializationException', `Content-Type must be ${CONTENT_TYPE}`);
    }
    const signature = readSignature(head, clock.now());
    const key = await secrets.signingKey(signature.accessKeyId);
    if (key === undefined) throw new SignatureError('UnrecognizedClientException', 'unknown access key id');
    const bytes = await body();
    await verifySignature(head, bytes, signature, key);
    const until = signature.signedTime + SIGNATURE_SECONDS * 1000 + MARGIN_MS;
    return replays.answer(signature.signature, until, () => actOrRefuse(bytes));
  };
}

export interface EnvelopeSettings {
  readonly secrets: Secrets;
  /** Lower case. */
  readonly apiKeyHeader: string;
  readonly request: Requester;
}

/**
 * An API destination of EventBridge, authenticated by its key or by Basic authorization. EventBridge retries after 401,
 * 429 and 5xx.
 */
export function createEnvelope({ secrets, apiKeyHeader, request }: EnvelopeSettings): RequestHandler {
  return async ({ head, body }) => {
    const apiKeys = head.headers[apiKeyHeader] ?? [];
    const authorizations = head.headers['authorization'] ?? [];
    if (!isAuthorized({ apiKeys, authorizations }, await secrets.destination())) {
      throw new ProtocolError('Unauthorized', 'neither the API key nor the authorization is valid', { status: 401 });
    }
    const event = parseEnvelope(await body());
    if (event === undefined) {
      throw new ProtocolError(
        'ValidationException',
        "the body is not EventBridge's envelope: send the matched event as it is",
      );
    }
    const result = await request(event);
    if (!isEventRefusal(result)) return { status: 200, body: result };
    const status = result.code === 'InternalFailure' ? 503 : 400;
    throw new ProtocolError(result.code, result.message, { status });
  };
}

/** The response to an error, in the form of AWS JSON 1.1. Unexpected errors are described only in the log. */
export function explain(error: unknown): JsonResponse {
  if (error instanceof ProtocolError) {
    const challenge = error.status === 401 ? { 'www-authenticate': 'Basic realm="edge-migration"' } : {};
    return describe(error.status, error.code, error.message, { members: error.members, headers: challenge });
  }
  if (error instanceof SignatureError) return describe(400, error.code, error.message);
  if (error instanceof BodyRefusedError) return describe(error.status, 'RequestRefused', error.message);
  if (error instanceof ReplaysFullError) return describe(400, 'ThrottlingException', error.message);
  return describe(500, 'InternalException', 'the request failed; the log of the trigger says why');
}

function describe(
  status: number,
  code: string,
  message: string,
  { members = {}, headers = {} }: { members?: object; headers?: Record<string, string> } = {},
): JsonResponse {
  return {
    status,
    headers: { 'content-type': CONTENT_TYPE, 'x-amzn-errortype': code, ...headers },
    body: { __type: code, message, ...members },
  };
}
