import { randomUUID } from 'node:crypto';
import type { KubernetesClient } from '@edge-migration/kubernetes/client.ts';
import { objectKey } from '@edge-migration/kubernetes/objects.ts';
import type { WarningCode } from '@edge-migration/operator/requests/change.ts';
import { type ReportFormat, readReport } from '@edge-migration/operator/requests/report.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import type { z } from 'zod';
import type { Access } from './access.ts';
import { describeActions, extensionOf, type RequestedAction } from './actions.ts';
import type { Caller } from './caller.ts';
import type { Changes } from './changes.ts';
import type { EventStreams } from './event-streams.ts';
import { listPage } from './listing.ts';
import { type ProblemCode, ProblemError } from './problem.ts';
import type { VisibleProjects } from './projects.ts';
import { type ApiRoute, apiRoute, type Reply, type RouteContext } from './route.ts';
import * as schemas from './schemas.ts';
import type { Series } from './series.ts';
import { completionOf, detail, migrationStatusOf, summarize } from './summary.ts';

export interface RouteParts {
  readonly projects: VisibleProjects;
  readonly access: Access;
  readonly changes: Changes;
  /** On behalf of the caller; undefined if the console acts on behalf of no one. */
  readonly clientFor: (caller: Caller) => Pick<KubernetesClient, 'get'> | undefined;
  readonly series: Series;
  readonly streams: EventStreams;
  readonly clock: Clock;
  readonly session: {
    readonly authentication: 'Token' | 'Proxy';
    readonly readOnly: boolean;
    readonly defaultNamespace: string;
    /** The namespace of reports. */
    readonly operatorNamespace: string;
    readonly version: string;
  };
  /** When this process started to observe, in milliseconds since the epoch. */
  readonly since: number;
}

const API = '/api/v1';
const ONE = `${API}/projects/{project_id}`;
const READING: ProblemCode[] = [
  'invalid',
  'no_token',
  'invalid_token',
  'cross_origin',
  'too_many_requests',
  'unavailable',
];
const READING_ONE: ProblemCode[] = [...READING, 'not_found'];
const CHANGING: ProblemCode[] = [
  ...READING_ONE,
  'forbidden',
  'read_only',
  'not_possible',
  'confirmation_required',
  'changed_meanwhile',
  'too_large',
  'unsupported_media_type',
];

const REPORT_TYPES: Record<ReportFormat, readonly [extension: string, type: string]> = {
  json: ['json', 'application/json'],
  html: ['html', 'text/html; charset=utf-8'],
  markdown: ['md', 'text/markdown; charset=utf-8'],
};

const json = (schema: z.ZodType) => ({ 'application/json': schema });

/** Every operation of the API. */
export function createRoutes(parts: RouteParts): ApiRoute[] {
  return [...readingRoutes(parts), ...eventRoutes(parts), ...changingRoutes(parts)];
}

function readingRoutes(parts: RouteParts): ApiRoute[] {
  const { projects, access, clientFor, series, clock, session, since } = parts;
  return [
    apiRoute({
      method: 'get',
      path: `${API}/session/`,
      operationId: 'getSession',
      summary: "The caller's name and rights in the default namespace.",
      query: schemas.nothingSchema,
      replies: { 200: { description: 'The session.', content: json(schemas.sessionSchema) } },
      problems: READING,
      async handle({ caller }) {
        const namespace = session.defaultNamespace;
        const [create, patch] = await Promise.all([
          access.may(caller, { verb: 'create', namespace }),
          access.may(caller, { verb: 'patch', namespace }),
        ]);
        const body: z.infer<typeof schemas.sessionSchema> = {
          user: caller.user,
          authentication: session.authentication,
          read_only: session.readOnly,
          default_namespace: namespace,
          may: { create: create && !session.readOnly, patch: patch && !session.readOnly },
          server_time: new Date(clock.now()).toISOString(),
          version: session.version,
        };
        return { status: 200, body };
      },
    }),
    apiRoute({
      method: 'get',
      path: `${API}/projects/`,
      operationId: 'listProjects',
      summary: 'The projects that the caller may list, a page at a time.',
      query: schemas.listQuerySchema,
      replies: { 200: { description: 'A page.', content: json(schemas.pageSchema) } },
      problems: READING,
      async handle({ caller, query }) {
        const listing = listPage((await projects.list(caller)).map(summarize), query);
        const { page, page_size: size } = query;
        const next = page * size < listing.count ? linkTo(query, page + 1) : null;
        const previous = page > 1 ? linkTo(query, page - 1) : null;
        return { status: 200, body: { ...listing, next, previous } satisfies z.infer<typeof schemas.pageSchema> };
      },
    }),
    apiRoute({
      method: 'get',
      path: `${ONE}/`,
      operationId: 'getProject',
      summary: "A project's migration: spec, status, and the actions that are possible now.",
      query: schemas.placeQuerySchema,
      replies: { 200: { description: 'The migration.', content: json(schemas.fullDetailSchema) } },
      problems: READING_ONE,
      async handle({ caller, projectId, query }) {
        const project = await projects.get(caller, projectId, query.namespace);
        const { namespace, name } = project.migration;
        const allowed = !session.readOnly && (await access.may(caller, { verb: 'patch', namespace, name }));
        const now = clock.now();
        return { status: 200, body: { ...detail(project, now), actions: describeActions(project, allowed, now) } };
      },
    }),
    apiRoute({
      method: 'get',
      path: `${ONE}/migration-status/`,
      operationId: 'getMigrationStatus',
      summary: "The state of a migration in Flagsmith's own terms.",
      query: schemas.placeQuerySchema,
      replies: { 200: { description: 'The state.', content: json(schemas.migrationStatusSchema) } },
      problems: [...READING, 'forbidden'],
      handle: (context) => readMigrationStatus(parts, context),
    }),
    apiRoute({
      method: 'get',
      path: `${ONE}/series/`,
      operationId: 'getSeries',
      summary: 'Rate, lag and remaining identities, as observed by this console since it started.',
      query: schemas.placeQuerySchema,
      replies: { 200: { description: 'Samples, oldest first.', content: json(schemas.seriesSchema) } },
      problems: READING_ONE,
      async handle({ caller, projectId, query }) {
        const { migration } = await projects.get(caller, projectId, query.namespace);
        const samples = series.of(objectKey(migration));
        const { namespace } = migration;
        const body = { project_id: projectId, namespace, since: new Date(since).toISOString(), samples };
        return { status: 200, body };
      },
    }),
    apiRoute({
      method: 'get',
      path: `${ONE}/report/`,
      operationId: 'getReport',
      summary: "A report of a project's migration.",
      query: schemas.reportQuerySchema,
      replies: {
        200: {
          description: 'A file.',
          content: { 'text/markdown': undefined, 'text/html': undefined, 'application/json': undefined },
        },
      },
      problems: READING_ONE,
      async handle({ caller, projectId, query, signal }) {
        const project = await projects.get(caller, projectId, query.namespace);
        const source = { client: clientFor(caller), namespace: session.operatorNamespace, signal };
        const { text } = await readReport(source, project.migration, query.format, clock.now());
        const [extension, type] = REPORT_TYPES[query.format];
        const disposition = `attachment; filename="project-${projectId}.${extension}"`;
        return { status: 200, headers: { 'content-type': type, 'content-disposition': disposition }, body: text };
      },
    }),
  ];
}

async function readMigrationStatus(
  { projects, access, session }: RouteParts,
  { caller, projectId, query }: RouteContext<z.output<typeof schemas.placeQuerySchema>, unknown>,
): Promise<Reply> {
  const project = await projects.find(caller, projectId, query.namespace);
  const namespace = project?.migration.namespace ?? query.namespace ?? session.defaultNamespace;
  if (project === undefined && !(await access.may(caller, { verb: 'get', namespace }))) {
    throw new ProblemError('forbidden', `you (${caller.user}) may not read EdgeMigrations in namespace ${namespace}`);
  }
  const { copy } = project?.migration.status ?? {};
  const body: z.infer<typeof schemas.migrationStatusSchema> = {
    project_id: projectId,
    migration_status: project === undefined ? 'MIGRATION_NOT_STARTED' : migrationStatusOf(project.migration),
    namespace,
    migration_start_time: (copy?.dryRun ? undefined : copy?.startTime) ?? null,
    migration_end_time: (project && completionOf(project.migration.status)) ?? null,
    edge_migration: project === undefined ? null : summarize(project),
  };
  return { status: 200, body };
}

const EVENT_STREAM = { 'content-type': 'text/event-stream; charset=utf-8', 'x-accel-buffering': 'no' };

function eventRoutes({ projects, access, streams, clock }: RouteParts): ApiRoute[] {
  const replies = { 200: { description: 'Server-sent events.', content: { 'text/event-stream': undefined } } };
  const common = ({ caller, bindings, signal, reauthenticate }: RouteContext<unknown, unknown>) => ({
    caller: caller.user,
    cut: () => void bindings.outgoing.destroy(),
    signal,
    async reauthenticate() {
      const { key } = await reauthenticate();
      if (key !== caller.key) throw new ProblemError('invalid_token', 'you are another user now: connect again');
    },
  });
  return [
    apiRoute({
      method: 'get',
      path: `${API}/projects/events/`,
      operationId: 'followProjects',
      summary: 'Sends every change of the projects that the caller may watch.',
      query: schemas.eventsQuerySchema,
      replies,
      problems: READING,
      async handle(context) {
        const { caller, query } = context;
        const wanted = query.project_id && new Set(query.project_id.map(String));
        const body = streams.open({
          ...common(context),
          concerns: (key) => wanted === undefined || wanted.has(/\/project-(\d+)$/.exec(key)?.[1] ?? ''),
          maySee: ({ namespace }) => access.may(caller, { verb: 'watch', namespace }),
          tell: summarize,
        });
        return { status: 200, headers: EVENT_STREAM, body };
      },
    }),
    apiRoute({
      method: 'get',
      path: `${ONE}/events/`,
      operationId: 'followProject',
      summary: 'Sends every change of one project.',
      query: schemas.placeQuerySchema,
      replies,
      problems: READING_ONE,
      async handle(context) {
        const { caller, projectId, query } = context;
        const key = objectKey((await projects.get(caller, projectId, query.namespace)).migration);
        const body = streams.open({
          ...common(context),
          first: key,
          concerns: (each) => each === key,
          maySee: (reference) => access.may(caller, { verb: 'get', ...reference }),
          tell: (project) => detail(project, clock.now()),
        });
        return { status: 200, headers: EVENT_STREAM, body };
      },
    }),
  ];
}

function changingRoutes({ changes }: RouteParts): ApiRoute[] {
  /** @param path below the project; `act` parses the requested action from the body */
  function change<Body extends z.ZodType>(
    path: string,
    operationId: string,
    summary: string,
    body: Body,
    act: (projectId: number, body: z.output<Body>) => RequestedAction,
  ): ApiRoute {
    const content = json(schemas.changeSchema);
    return apiRoute({
      method: 'post',
      path: `${ONE}/${path}/`,
      operationId,
      summary,
      query: schemas.changeQuerySchema,
      body,
      replies: {
        200: { description: 'No change was necessary.', content },
        202: { description: 'Asked for.', content },
      },
      problems: CHANGING,
      async handle({ caller, projectId, query, body: input, signal }) {
        const action = act(projectId, input as z.output<Body>);
        const { confirm = [] } = input as { confirm?: WarningCode[] };
        const { namespace, dry_run: dryRun } = query;
        const reply = await changes.make(caller, { projectId, namespace, action, dryRun, confirm }, signal);
        return { status: reply.result === 'unchanged' ? 200 : 202, body: reply };
      },
    });
  }

  const { settingsSchema, startSchema, nothingSchema, confirmSchema, extendSchema } = schemas;
  const token = (name: string) => `${name}-${randomUUID().slice(0, 8)}`;
  return [
    change(
      'migrate-to-edge',
      'migrateToEdge',
      'Starts a migration, or turns a plan into one.',
      startSchema,
      (projectId, settings) => ({
        name: 'migrate',
        projectId,
        settings: known(settings),
      }),
    ),
    change(
      'plan',
      'planProject',
      'Plans a migration: counts its work without writing to Edge.',
      settingsSchema,
      (projectId, settings) => ({
        name: 'plan',
        projectId,
        settings: known(settings),
      }),
    ),
    change('suspend', 'suspendProject', 'Stops copying and pauses replay.', nothingSchema, () => ({ name: 'suspend' })),
    change('resume', 'resumeProject', 'Resumes after suspend.', nothingSchema, () => ({ name: 'resume' })),
    change('extend', 'extendProject', 'Moves the end of the replay window to later.', extendSchema, (_, input) => ({
      name: 'extend',
      extension: extensionOf(input),
    })),
    change('finish', 'finishProject', 'Closes the replay window in a minute.', confirmSchema, () => ({
      name: 'finish',
    })),
    change('verify', 'verifyProject', 'Compares Core and Edge now.', nothingSchema, () => ({
      name: 'verify',
      token: token('verify'),
    })),
    change('repair', 'repairProject', 'Compares Core and Edge now, and repairs differences.', confirmSchema, () => ({
      name: 'repair',
      token: token('repair'),
    })),
    change('retry', 'retryProject', 'Retries failed work now.', nothingSchema, () => ({
      name: 'retry',
      token: token('retry'),
    })),
  ];
}

/** Without unset values. */
const known = ({ copy, replay }: z.output<typeof schemas.settingsSchema>) => ({
  ...(copy && { copy }),
  ...(replay && { replay }),
});

function linkTo(query: schemas.ListQuery, page: number): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries({ ...query, page })) {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (each !== undefined && each !== '') parameters.append(name, String(each));
    }
  }
  return `${API}/projects/?${parameters}`;
}
