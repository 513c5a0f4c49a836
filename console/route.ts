import type { HttpBindings } from '@hono/node-server';
import type { z } from 'zod';
import type { Caller } from './caller.ts';
import type { ProblemCode } from './problem.ts';

/** An authenticated request whose parameters are valid for the route. */
export interface RouteContext<Query, Body> {
  readonly caller: Caller;
  readonly projectId: number;
  readonly query: Query;
  readonly body: Body;
  /** Aborted when the client is gone. */
  readonly signal: AbortSignal;
  readonly bindings: HttpBindings;
  /** Authenticates the caller once more. */
  readonly reauthenticate: () => Promise<Caller>;
}

export interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** JSON; or a raw body, with its type in the headers. */
  readonly body: object | string | ReadableStream<Uint8Array>;
}

/** One operation of the API, with its OpenAPI description. */
export interface ApiRoute<Query extends z.ZodType = z.ZodType, Body extends z.ZodType = z.ZodType> {
  readonly method: 'get' | 'post';
  /** With `{project_id}`, if it concerns one project. */
  readonly path: string;
  readonly operationId: string;
  readonly summary: string;
  readonly query: Query;
  readonly body?: Body;
  readonly replies: Readonly<Record<number, { readonly description: string; readonly content: ResponseContent }>>;
  readonly problems: readonly ProblemCode[];
  readonly handle: (context: RouteContext<z.output<Query>, z.output<Body>>) => Promise<Reply>;
}

/** By media type; text has no schema. */
export type ResponseContent = Readonly<Record<string, z.ZodType | undefined>>;

/** Preserves the types of a route's parts. */
export const apiRoute = <Query extends z.ZodType, Body extends z.ZodType>(
  definition: ApiRoute<Query, Body>,
): ApiRoute => definition as unknown as ApiRoute;
