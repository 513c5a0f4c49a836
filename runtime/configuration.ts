import { z } from 'zod';

/** The prefix of every variable that configures one of the product's processes. */
const PREFIX = 'EDGE_MIGRATION_';

/** Kubernetes adds these to every container for each Service of the namespace; they are never settings. */
const SERVICE_LINK = /_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP)(_(PROTO|PORT|ADDR))?)?)$/;

/** The configuration is wrong; the message names each invalid variable, never a value. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
  readonly disposition = 'misconfigured';
}

/**
 * Parses a process's environment variables once, at start, with its schema.
 *
 * Field `maxConnections` is variable `EDGE_MIGRATION_MAX_CONNECTIONS`. An empty variable counts as unset, as Helm
 * templates write them. A variable with this prefix that the schema does not have is rejected, so that a misspelt
 * setting cannot silently keep its default.
 *
 * @throws ConfigurationError naming every wrong, missing and unknown variable; without values, which may be secrets
 */
export function parseEnvironment<Schema extends z.ZodObject>(
  schema: Schema,
  environment: Readonly<Record<string, string | undefined>>,
): Readonly<z.output<Schema>> {
  const fields = new Map(Object.keys(schema.shape).map((field) => [variableName(field), field]));
  const input: Record<string, string> = {};
  const problems: string[] = [];
  for (const [variable, value] of Object.entries(environment)) {
    if (!variable.startsWith(PREFIX) || value === undefined || value === '') continue;
    const field = fields.get(variable);
    if (field !== undefined) input[field] = value;
    else if (!SERVICE_LINK.test(variable)) problems.push(`${variable} is not a known setting`);
  }
  const result = schema.safeParse(input);
  for (const issue of result.error?.issues ?? []) {
    const field = String(issue.path[0] ?? '');
    const missing = field !== '' && input[field] === undefined;
    problems.push(`${variableName(field)} ${missing ? 'must be set' : `is invalid: ${issue.message}`}`);
  }
  if (problems.length > 0 || !result.success) {
    throw new ConfigurationError(`Invalid configuration: ${problems.join('; ')}`);
  }
  return Object.freeze(result.data);
}

/** `maxConnections` -> `EDGE_MIGRATION_MAX_CONNECTIONS`. */
function variableName(field: string): string {
  return PREFIX + field.replace(/(?<=[a-z0-9])[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
}

/** A setting that is one JSON document. Its problems name the document's fields, and no values. */
export const jsonDocument = <T extends z.ZodType>(schema: T) =>
  z.string().transform((text, context): z.output<T> => {
    const document = parseJson(text);
    const { data, error } = schema.safeParse(document);
    if (error === undefined) return data;
    const problems = error.issues.map(({ path, message }) => [path.join('.'), message].filter(Boolean).join(': '));
    const message = document === undefined ? 'must be a JSON document' : problems.join('; ');
    context.issues.push({ code: 'custom', message, input: text });
    return z.NEVER;
  });

/** Undefined for invalid JSON: JSON.parse's error message quotes the text. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Marks a string setting as secret: {@link redact} never shows it. */
export const secret = () => z.string().min(1).brand<'secret'>().meta({ secret: true });

/**
 * The configuration for logging: secrets are replaced by `[redacted]`, and partly secret settings by the result of
 * `shown` in their `meta`.
 */
export function redact(schema: z.ZodObject, configuration: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(configuration).map(([field, value]) => [
      field,
      value === undefined ? value : show(schema.shape[field], value),
    ]),
  );
}

function show(type: z.core.$ZodType | undefined, value: unknown): unknown {
  for (let inner = type; inner !== undefined; ) {
    const { secret, shown } = z.globalRegistry.get(inner) ?? {};
    if (secret === true) return '[redacted]';
    if (typeof shown === 'function') return shown(value);
    inner = (inner._zod.def as { innerType?: z.core.$ZodType }).innerType;
  }
  return value;
}

/** Settings of every process's log. */
export const logSettings = {
  logLevel: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal']).default('info'),
};
