import { pythonInt } from '../python/value.ts';
import { type Access, forbidden, maySee, requirePermission } from '../rest/access.ts';
import type { Call, Route } from '../rest/call.ts';
import { notFound } from '../rest/errors.ts';
import { type Environment, findByClientKey } from '../store/environments.ts';
import { findIdentityById, type Identity } from '../store/identities.ts';
import { findProject, type Project } from '../store/projects.ts';

/** Prefix of the paths below an environment; router lookups match anything but slashes and dots. */
export const ENVIRONMENT = String.raw`environments\/(?<environment>[^/.]+)`;
export const IDENTITY = String.raw`${ENVIRONMENT}\/identities\/(?<identity>[^/.]+)`;
export const PROJECT = String.raw`projects\/(?<project>[^/.]+)`;

/** Routes that are not below another one also accept a format. */
export const OR_JSON = String.raw`(?:\/|\.json\/?)`;

/** A route for users. @param end the end of the path */
export function userRoute(access: Access, path: string, methods: Route['methods'], end = String.raw`\/`): Route {
  return { pattern: new RegExp(`^${path}${end}$`, 'u'), authenticate: async (call) => access.user(call), methods };
}

/** The environment that the route concerns. @throws HttpError 404, 403 */
export async function environmentOf(call: Call): Promise<Environment> {
  const environment = await findByClientKey(call.session.read, call.parameters['environment']!);
  if (environment === undefined) throw notFound('Environment');
  requirePermission(call, environment.organisationId);
  return environment;
}

/** The environment that the route is below. @throws HttpError 403, also where there is none */
export async function outerEnvironmentOf(call: Call): Promise<Environment> {
  const environment = await findByClientKey(call.session.read, call.parameters['environment']!);
  if (environment === undefined) throw forbidden();
  requirePermission(call, environment.organisationId);
  return environment;
}

/** @throws HttpError 403, 404 */
export async function identityOf(call: Call): Promise<Identity> {
  const environment = await outerEnvironmentOf(call);
  const identity = await findIdentityById(call.session.read, idOf(call, 'identity', 'Identity'));
  if (identity === undefined || identity.environmentId !== environment.id) throw notFound('Identity');
  return identity;
}

/** The project that the route concerns. @throws HttpError 404, even if only invisible to the user, 403 */
export async function projectOf(call: Call): Promise<Project> {
  const project = await findProject(call.session.read, idOf(call, 'project', 'Project'));
  if (project === undefined || !maySee(call.user, project.organisationId)) throw notFound('Project');
  requirePermission(call, project.organisationId);
  return project;
}

/** The project that the route is below. @throws HttpError 403, also where there is none */
export async function outerProjectOf(call: Call): Promise<Project> {
  const project = await findProject(call.session.read, idOf(call, 'project', 'Project'));
  if (project === undefined) throw forbidden();
  requirePermission(call, project.organisationId);
  return project;
}

/** The id in the path, as Python parses it. @throws HttpError 404 for an impossible id */
export function idOf(call: Call, name: string, model: string): bigint {
  const id = pythonInt(call.parameters[name] ?? '');
  if (id === undefined) throw notFound();
  if (BigInt.asIntN(32, id) !== id) throw notFound(model);
  return id;
}
