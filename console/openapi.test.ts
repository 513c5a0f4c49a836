import { expect, test } from 'vitest';
import { describeApi } from './openapi.ts';
import { createRoutes, type RouteParts } from './routes.ts';

interface Operation {
  readonly operationId: string;
  readonly parameters: readonly { readonly name: string }[];
  readonly responses: Readonly<Record<string, { readonly description: string }>>;
}

const routes = createRoutes({ session: {} } as RouteParts);
const document = JSON.parse(JSON.stringify(describeApi(routes, '1.2.3')));
const operations = Object.values(document.paths as Record<string, Record<string, Operation>>).flatMap((path) =>
  Object.values(path),
);

test('the document has each operation once, with a unique name', () => {
  expect(operations).toHaveLength(routes.length);
  expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(routes.length);
});

test('every reference in the document can be resolved', () => {
  const names = [...JSON.stringify(document).matchAll(/"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => name);
  expect(names.length).toBeGreaterThan(20);
  for (const name of new Set(names)) expect(document.components.schemas).toHaveProperty(name!);
});

test('the document describes all query parameters, and that callers must identify themselves', () => {
  const list = operations.find(({ operationId }) => operationId === 'listProjects')!;
  const names = ['page', 'page_size', 'search', 'phase', 'outcome', 'namespace', 'ordering'];
  expect(list.parameters.map((parameter) => parameter.name)).toEqual(names);
  expect(document.security).toEqual([{ token: [] }]);
  for (const { responses } of operations) expect(responses).toHaveProperty('401');
});
