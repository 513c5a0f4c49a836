import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { findPython, providePackages } from '../../differential/python.ts';

/** False without Python; on CI that must not look as if boto3 had been tested. */
export const canRunBoto3 = findPython() !== undefined || process.env['CI'] !== undefined;
if (!canRunBoto3) process.stdout.write('No Python 3 with venv and ensurepip: boto3 is not tried\n');

/** One entry of PutEvents. */
export type Entry = Readonly<Record<string, string>>;

/** The entry that Flagsmith sends (its `send_migration_event`). */
export const pressButton = (projectId: number, eventBus: string): Entry => ({
  EventBusName: eventBus,
  Source: 'flagsmith.api.migrate',
  DetailType: 'Migrate Identities to dynamodb',
  Detail: JSON.stringify({ project_id: projectId }),
});

export interface Call {
  readonly entries: readonly Entry[];
  /** Writes `triggered_at` afterwards, as Flagsmith does. */
  readonly mark?: { readonly table_name: string; readonly project_id: number };
}

export interface Reply {
  readonly answer?: {
    readonly FailedEntryCount: number;
    readonly Entries: readonly { EventId?: string; ErrorCode?: string; ErrorMessage?: string }[];
  };
  readonly error?: { readonly code: string; readonly message: string; readonly status: number };
}

export const provideBoto3 = (signal?: AbortSignal): Promise<string> =>
  providePackages({
    name: 'boto3',
    title: 'boto3',
    requirements: new URL('requirements.txt', import.meta.url),
    signal,
  });

/**
 * Runs boto3 as Flagsmith does, with only this environment.
 *
 * @throws Error with Python's error output when it fails
 */
export async function callFlagsmith(
  python: string,
  environment: Readonly<Record<string, string>>,
  call: Call,
): Promise<Reply> {
  const child = spawn(python, [new URL('flagsmith.py', import.meta.url).pathname], { env: environment });
  const ended = new Promise<number | null>((resolve, reject) => child.once('error', reject).once('close', resolve));
  child.stdin.end(JSON.stringify(call));
  const [output, errors, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  if (code !== 0) throw new Error(`boto3 ended with ${code}: ${errors}`);
  return JSON.parse(output);
}
