import { z } from 'zod';
import { boundedText, count, listOf, reportName, time } from './fields.ts';

const perDay = { writesPerDay: count.exactOptional(), readsPerDay: count.exactOptional() };

const stillOnCoreSchema = z
  .object({
    state: z
      .enum(['Unknown', 'Writing', 'Reading', 'Quiet', 'Gone'])
      .describe(
        'Writing: identities were written through Core today or yesterday. Reading: they were only read. ' +
          'Quiet: neither, since countedSince. Gone: the deadline has passed and there was no request for a week, so that ' +
          'Core can be switched off for this project. Unknown: not every sidecar counts, or not for long enough to tell.',
      ),
    message: boundedText(512).describe('The state in words, and the effect of the deadline.'),
    countedSince: time.describe('Time since which every request has been counted.').exactOptional(),
    countedUntil: time.describe('Time of the counts shown here.').exactOptional(),
    writesPerDay: count.describe('Requests of a day that wrote identities through Core.').exactOptional(),
    readsPerDay: count.describe('Requests of a day that read identities from Core.').exactOptional(),
    identities: count
      .describe(
        'Lower estimate of the number of different identities written through Core since identitiesSince; absent if ' +
          'some sidecar did not count them.',
      )
      .exactOptional(),
    identitiesSince: z.iso
      .date()
      .describe(
        'UTC date, one of the last seven, such as 2026-11-27: the first one for which the number of written ' +
          'identities is known.',
      )
      .exactOptional(),
    lastWrite: time.exactOptional(),
    lastRead: time.exactOptional(),
    // The API server stores no empty lists of this kind.
    environments: listOf(20, z.object({ id: z.int32().min(1).describe('Id of the environment in Core.'), ...perDay }))
      .describe('The environments with the most requests, most writes first.')
      .exactOptional(),
    clients: listOf(
      20,
      z.object({ name: boundedText(64).describe('SDK and version, such as flagsmith-js-sdk/9.3.1.'), ...perDay }),
    )
      .describe('The clients with the most requests, most writes first.')
      .exactOptional(),
    reportName: reportName.describe("ConfigMap, in the operator's namespace, with the daily series.").exactOptional(),
  })
  .describe(
    "Which clients still call Core for this project's identities, as counted by the sidecars; absent while nothing " +
      'is counted. Days are UTC. A daily number is that of the last whole day, or of today so far if that is ' +
      'greater; an uncounted number is absent, never zero.',
  );

export const replayStatusSchema = z
  .object({
    deadline: time,
    progressTime: time,
    lag: boundedText(32).describe('Age of the oldest event that has not been applied, in human-readable form.'),
    lagSeconds: count,
    lastAppliedTime: time,
    eventsApplied: count.describe('Events that were applied, whether they changed Edge or not.'),
    eventsUnchanged: count.describe('Of these, events that required no change.'),
    eventsDropped: count.describe('Events after the deadline.'),
    eventsParked: count.describe('Events that are parked now.'),
    eventsUnresolved: count.describe(
      'Parked events that may belong to the project: their project is unknown, or they cannot be read.',
    ),
    stillOnCore: stillOnCoreSchema,
  })
  .partial();

export const gapStatusSchema = z.object({
  from: time,
  until: time.describe('Absent while the gap lasts.').exactOptional(),
  reason: boundedText(64),
  podName: boundedText(253).describe('Pod of the sidecar that missed them.').exactOptional(),
});

export type ReplayStatus = z.infer<typeof replayStatusSchema>;
export type StillOnCore = z.infer<typeof stillOnCoreSchema>;
export type GapStatus = z.infer<typeof gapStatusSchema>;
