import type { Status } from '@edge-migration/contract/edge-migration/api.ts';
import { recordedCondition } from '../conditions.ts';
import type { ObservedReadiness, PlaceFact } from './facts.ts';

/** What Edge lacks, with the first item as a reason for programs. */
export interface Missing {
  reason: 'DynamoDBNotEnabled' | 'EnvironmentsMissing' | 'ServerKeysMissing' | 'MetaRowsMissing' | 'MetaRowsNotKept';
  message: string;
}

/** Environments that a message names; the others are counted. */
const MOST_NAMED = 3;

const WRITER =
  "Flagsmith's own code writes these: set handover.mode to Run, or follow docs/cutover.md to let Flagsmith do it by hand";

/** Says what is missing, and, unless a hand-over explains more, who writes it. */
export function describeMissing(readiness: ObservedReadiness, projectId: number, withWriter: boolean): Missing {
  const { enabled, keepsMeta, missing, tables } = readiness;
  const found: Missing[] = [];
  const add = (reason: Missing['reason'], message: string) => found.push({ reason, message });
  if (!enabled) add('DynamoDBNotEnabled', `enable_dynamo_db of project ${projectId} is not set in Core`);
  if (missing.documents.length > 0) {
    add('EnvironmentsMissing', `table ${tables.environments} has no document of ${namePlaces(missing.documents)}`);
  }
  if (missing.serverKeys.length > 0) {
    const count = missing.serverKeys.length;
    add(
      'ServerKeysMissing',
      `table ${tables.serverKeys} lacks ${count} server keys of ${namePlaces(missing.serverKeys)}`,
    );
  }
  if (missing.metaRows.length > 0) {
    add('MetaRowsMissing', `table ${tables.environmentsV2} has no _META row of ${namePlaces(missing.metaRows)}`);
  }
  if (keepsMeta === false) {
    const column = 'identity_overrides_v2_migration_status';
    add(
      'MetaRowsNotKept',
      `Flagsmith does not keep the _META rows up to date before ${column} of the project is COMPLETE`,
    );
  }
  const [first] = found;
  const message = `Edge cannot serve the project yet: ${found.map((each) => each.message).join('; ')}`;
  return { reason: first?.reason ?? 'DynamoDBNotEnabled', message: withWriter ? `${message}. ${WRITER}` : message };
}

/** Override rows that were not shown to exist, and how to write them. */
export function describeOverrides({ tables }: ObservedReadiness, { conditions }: Status): string {
  const isClosed = recordedCondition(conditions, 'Succeeded')?.reason === 'WindowClosed';
  // At the end of the window Edge is the authority: a repair leaves rows unchanged.
  const cure = isClosed
    ? 'delete the EdgeMigration and apply it again: the copy writes the rows that are missing'
    : 'set spec.retry to repair-1 or another new repair-…: the comparison writes the rows that are missing';
  return `Edge cannot serve the project yet: table ${tables.environmentsV2} may lack rows of identity overrides: it was not the configured table during all of the copy, or not all the time since. To have them written, ${cure}`;
}

/** What was found when nothing is missing. */
export function describeComplete({ environments, serverKeys, tables }: ObservedReadiness): string {
  const parts = [
    ...(tables.environments === undefined ? [] : [`the documents of ${environments} environments`]),
    ...(tables.serverKeys === undefined ? [] : [`${serverKeys} server keys`]),
    ...(tables.environmentsV2 === undefined ? [] : ['their _META rows']),
  ];
  return `Edge has ${parts.join(', ')}, and enable_dynamo_db is set in Core`;
}

function namePlaces(places: readonly PlaceFact[]): string {
  const unique = [...new Map(places.map((place) => [place.id, place])).values()];
  const named = unique.slice(0, MOST_NAMED).map(({ id, name }) => `${name} (id ${id})`);
  const more = unique.length - named.length;
  return `environment${unique.length === 1 ? '' : 's'} ${named.join(', ')}${more === 0 ? '' : ` and ${more} more`}`;
}
