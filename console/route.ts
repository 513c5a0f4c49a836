import type { HttpBindings } from '@hono/node-server';
import type { z } from 'zod';
import type { Caller } from './caller.ts';
import type { ProblemCode } from './problem.ts';

/** One request that has come so far: its caller is known, and what it says is what the route takes. */
export interface RouteContext<Query, Body> {
  readonly caller: Caller;
  readonly projectId: number;
  readonly query: Query;
  readonly body: Body;
  /** Aborted when the client is gone. */
  readonly signal: AbortSignal;
  readonly bindings: HttpBindings;
  /** Who calls, looked up once more. */
  readonly reauthenticate: () => Promise<Caller>;
}

export interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** JSON; or what it is, with its type in the headers. */
  readonly body: object | string | ReadableStream<Uint8Array>;
}

/** One operation of the API, as it is served and as its OpenAPI document says it. */
export interface Route<Query extends z.ZodType = z.ZodType, Body extends z.ZodType = z.ZodType> {
  readonly method: 'get' | 'post';
  /** With `{project_id}`, where it is about one project. */
  readonly path: string;
  readonly operationId: string;
  readonly summary: string;
  readonly query: Query;
  readonly body?: Body;
  readonly replies: Readonly<Record<number, { readonly description: string; readonly content: Content }>>;
  readonly problems: readonly ProblemCode[];
  readonly handle: (context: RouteContext<z.output<Query>, z.output<Body>>) => Promise<Reply>;
}

/** By media type; a text has no schema. */
export type Content = Readonly<Record<string, z.ZodType | undefined>>;

/** Keeps the types of a route's parts together. */
export const route = <Query extends z.ZodType, Body extends z.ZodType>(definition: Route<Query, Body>): Route =>
  definition as unknown as Route;
