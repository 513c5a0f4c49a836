import type { Call } from '../rest/call.ts';
import { notFound } from '../rest/errors.ts';
import { type Environment, findByClientKey } from '../store/environments.ts';
import { findIdentityById, type Identity } from '../store/identities.ts';

/** Start of the paths below an environment; router lookups take anything but slashes and dots. */
export const ENVIRONMENT = String.raw`environments\/(?<environment>[^/.]+)`;
export const IDENTITY = String.raw`${ENVIRONMENT}\/identities\/(?<identity>[^/.]+)`;

/** @throws HttpError 404 */
export async function environmentOf(call: Call): Promise<Environment> {
  const environment = await findByClientKey(call.session.read, call.parameters['environment']!);
  if (environment === undefined) throw notFound();
  return environment;
}

/** @throws HttpError 404 */
export async function identityOf(call: Call): Promise<Identity> {
  const environment = await environmentOf(call);
  const identity = await findIdentityById(call.session.read, environment.id, idOf(call, 'identity'));
  if (identity === undefined) throw notFound();
  return identity;
}

/** The id in the path. @throws HttpError 404 for what can be no id */
export function idOf(call: Call, name: string): bigint {
  const text = call.parameters[name] ?? '';
  const id = /^\d{1,10}$/.test(text) ? BigInt(text) : undefined;
  if (id === undefined || BigInt.asIntN(32, id) !== id) throw notFound();
  return id;
}
