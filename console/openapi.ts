import { z } from 'zod';
import { describeProblem, type ProblemCode, ProblemError, statusOf } from './problem.ts';
import type { ApiRoute, ResponseContent } from './route.ts';
import * as schemas from './schemas.ts';

/** Named in the document, since several operations use them. */
const COMPONENTS: Readonly<Record<string, z.ZodType>> = {
  Problem: schemas.problemSchema,
  Summary: schemas.summarySchema,
  Project: schemas.fullDetailSchema,
  Page: schemas.pageSchema,
  Session: schemas.sessionSchema,
  MigrationStatus: schemas.migrationStatusSchema,
  Change: schemas.changeSchema,
  Series: schemas.seriesSchema,
  Settings: schemas.settingsSchema,
  Start: schemas.startSchema,
  Warning: schemas.warningSchema,
};

type Json = Record<string, unknown>;

/** The OpenAPI 3.1 document of these routes. */
export function describeApi(routes: readonly ApiRoute[], version: string): Json {
  const paths: Record<string, Json> = {};
  for (const route of routes) paths[route.path] = { ...paths[route.path], [route.method]: describeRoute(route) };
  return {
    openapi: '3.1.0',
    info: {
      title: 'Edge migration for Flagsmith',
      version,
      description: 'Migrations of projects from Core to Edge, as the EdgeMigrations of a Kubernetes cluster.',
    },
    paths,
    components: {
      schemas: Object.fromEntries(Object.entries(COMPONENTS).map(([name, schema]) => [name, convert(schema)])),
      securitySchemes: {
        token: {
          type: 'http',
          scheme: 'bearer',
          description: 'A Kubernetes token. Not needed behind a trusted proxy.',
        },
      },
    },
    security: [{ token: [] }],
  };
}

function describeRoute({ operationId, summary, path, query, body, replies, problems }: ApiRoute): Json {
  const answers = Object.entries(replies).map(([status, { description, content }]) => [
    status,
    { description, content: describeContent(content) },
  ]);
  return {
    operationId,
    summary,
    parameters: [...(path.includes('{project_id}') ? [PROJECT_ID] : []), ...describeQuery(query)],
    ...(body && {
      requestBody: { required: false, content: { 'application/json': { schema: refer(body, 'input') } } },
    }),
    responses: { ...Object.fromEntries(answers), ...describeProblems(problems) },
  };
}

const PROJECT_ID = {
  name: 'project_id',
  in: 'path',
  required: true,
  description: "The project's id in Core.",
  schema: { type: 'integer', minimum: 1, maximum: 2_147_483_647 },
};

function describeQuery(query: z.ZodType): Json[] {
  const { properties = {} } = convert(query, 'input') as { properties?: Record<string, Json> };
  const lenient = query instanceof z.ZodObject ? query.shape : {};
  return Object.entries(properties).map(([name, schema]) => {
    // The input type of a preprocessed field cannot be derived from its schema.
    const field = lenient[name] as z.ZodType | undefined;
    const isOpen = Object.keys(schema).length === 0 && field !== undefined;
    return { name, in: 'query', required: false, schema: isOpen ? convert(field, 'output') : schema };
  });
}

function describeProblems(problems: readonly ProblemCode[]): Json {
  const byStatus = Map.groupBy(problems, statusOf);
  const schema = { $ref: '#/components/schemas/Problem' };
  return Object.fromEntries(
    [...byStatus].map(([status, codes]) => {
      const { title } = describeProblem(new ProblemError(codes[0]!, ''));
      return [
        status,
        { description: `${title}: ${codes.join(', ')}`, content: { 'application/problem+json': { schema } } },
      ];
    }),
  );
}

function describeContent(content: ResponseContent): Json {
  return Object.fromEntries(
    Object.entries(content).map(([type, schema]) => [
      type,
      { schema: schema ? refer(schema, 'output') : { type: 'string' } },
    ]),
  );
}

function refer(schema: z.ZodType, io: 'input' | 'output'): Json {
  const [name] = Object.entries(COMPONENTS).find(([, each]) => each === schema) ?? [];
  return name === undefined ? convert(schema, io) : { $ref: `#/components/schemas/${name}` };
}

function convert(schema: z.ZodType, io: 'input' | 'output' = 'output'): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  return rest;
}
