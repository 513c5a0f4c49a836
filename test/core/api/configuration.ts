import { secret } from '@edge-migration/runtime/configuration.ts';
import { z } from 'zod';

const seconds = z.coerce.number().nonnegative();

/** Environment variables of the Core API fixture; see main.ts. */
export const configuration = z.object({
  databaseUrl: secret(),
  host: z.string().default('127.0.0.1'),
  port: z.coerce.number().int().min(0).max(65535).default(8000),
  /** Processes, as gunicorn's `--workers`. */
  workers: z.coerce.number().int().min(1).max(16).default(1),
  /** Requests at a time per process, as gunicorn's `--threads`. */
  threads: z.coerce.number().int().min(1).max(64).default(2),
  /** 0 closes the connection after each answer. */
  keepAliveSeconds: seconds.default(2),
  environmentCacheSeconds: seconds.default(60),
  /** Accepted as `Authorization: Token …` and `Api-Key …`. */
  adminToken: secret().optional(),
  /** Accepted in the same way, but read-only. */
  viewerToken: secret().optional(),
  taskDelaySeconds: seconds.default(0),
  /** Faults of every request; see faults.ts. */
  fault: z.string().default(''),
  /** Whether a request may ask for its own faults. */
  acceptFaults: z.stringbool().default(false),
  logLevel: z.enum(['fatal', 'error', 'warn', 'info', 'debug']).default('info'),
});
