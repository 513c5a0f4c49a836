import { closeSync, mkdirSync, openSync, statSync, utimesSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';

/** Outside the range from which the kernel picks ports for outgoing connections, which would collide with ours. */
const PORTS = { first: 12_000, count: 20_000 };
/** Longer than a run of all tests, because clients of a stopped service keep trying to reach its port. */
const CLAIM_MS = 3_600_000;
/** So many consecutive ports are taken only where nearly all are: then any free one has to do. */
const TRIES = 500;

/**
 * A TCP port on which nothing listens on the loopback interface. No other process of this machine gets it for an
 * hour: a service stopped by a test must find its port free, and its clients must not reach another process's service.
 */
export async function freePort(): Promise<number> {
  for (let tries = 1; ; tries += 1) {
    const port = PORTS.first + Math.floor(Math.random() * PORTS.count);
    if ((claim(port) || tries > TRIES) && (await canListen(port))) return port;
  }
}

/** One file per port, made by the first process to claim it. */
function claim(port: number): boolean {
  const folder = join(tmpdir(), `edge-migration-ports-${userInfo().uid}`);
  const file = join(folder, String(port));
  mkdirSync(folder, { recursive: true });
  try {
    closeSync(openSync(file, 'wx'));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  const now = new Date();
  if (now.getTime() - statSync(file).mtimeMs < CLAIM_MS) return false;
  utimesSync(file, now, now);
  return true;
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
