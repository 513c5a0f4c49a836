import type { CoverageGap } from '@edge-migration/contract/reports/coverage.ts';
import type { WriteEvent } from '@edge-migration/contract/write-event.ts';
import { createCapture } from '@edge-migration/replay-sidecar/capture/capture.ts';
import type {
  CallUpstream,
  CaptureOutcome,
  Field,
  RequestHead,
  UpstreamResponse,
} from '@edge-migration/replay-sidecar/capture/proxy/hook.ts';
import { drain, eventOf, openSpool, temporaryFolder } from '@edge-migration/replay-sidecar/capture/spool/testing.ts';
import { Usage } from '@edge-migration/replay-sidecar/capture/usage/usage.ts';
import { pino } from 'pino';
import { bytesOf, type Transcript } from './transcripts.ts';

/** The capture's result for one request. */
export interface Captured {
  readonly events: readonly WriteEvent[];
  readonly gaps: readonly CoverageGap[];
}

/** A capture with its spool, one transcript after another. */
export interface CaptureRun extends AsyncDisposable {
  /** @param outcome the recorded answer by default */
  capture(transcript: Transcript, outcome?: CaptureOutcome): Promise<Captured>;
}

const fieldsOf = (headers: readonly (readonly [string, string])[]): Field[] =>
  headers.map(([name, value]) => ({ name, lower: name.toLowerCase(), value: value.replace(/^[ \t]+|[ \t]+$/g, '') }));

/** Starts with an empty spool for every transcript, so that its gaps are not joined with another one's. */
export function createCaptureRun(): CaptureRun {
  const folder = temporaryFolder();
  let run = 0;

  return {
    async capture(transcript, outcome = answerOf(transcript)) {
      const opened = await openSpool(`${folder.path}/${run++}`, { segmentBytes: 1024 * 1024, memoryCharacters: 1e6 });
      await using _ = opened;
      const { spool, clock } = opened;
      const call = lookupsOf(transcript);
      const logger = pino({ level: 'silent' });
      const begun = createCapture({ spool, usage: new Usage(clock), clock, logger, readWindowMs: 0 }).begin(
        headOf(transcript),
        call,
      );
      await begun?.prepare?.(call);
      const sent = bytesOf(transcript.request.body) ?? Buffer.alloc(0);
      await begun?.intent(begun.needsBody ? sent : undefined, 'whole');
      begun?.finish(outcome);
      // Events are returned once their intent has begun.
      await new Promise((resolve) => setImmediate(resolve));
      const events = (await drain(spool)).map(eventOf);
      return { events, gaps: spool.gaps.list() };
    },
    async [Symbol.asyncDispose]() {
      folder[Symbol.dispose]();
    },
  };
}

function headOf({ request }: Transcript): RequestHead {
  return { method: request.method, target: request.target, version: '1.1', fields: fieldsOf(request.headers) };
}

function answerOf({ request, response }: Transcript): CaptureOutcome {
  const { status, headers, body } = response;
  const truncated = body?.truncated !== undefined;
  const bytes = request.method === 'HEAD' ? undefined : bytesOf(body);
  return { kind: 'responded', status, fields: fieldsOf(headers), body: bytes ?? Buffer.alloc(0), truncated };
}

/** The recorded answers; any other request gets none. */
function lookupsOf({ lookups }: Transcript): CallUpstream {
  return async ({ target }): Promise<UpstreamResponse> => {
    const found = lookups.find((lookup) => lookup.target === target && lookup.body?.truncated === undefined);
    if (found === undefined) throw new Error(`The answer to ${target} was not recorded`);
    return { status: found.status, fields: [], body: bytesOf(found.body) ?? Buffer.alloc(0) };
  };
}
