/**
 * Fails a test file that leaves something open: a socket, a server, a timer, a child process, or an unhandled
 * rejection. Compared with the state before the file, so Vitest's own are not counted.
 */
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { afterAll } from 'vitest';

/** Handles close a little after `close()` has returned. */
const SETTLE_MS = 3000;
const POLL_MS = 20;

/** Resource types of `process.getActiveResourcesInfo()` and their readable names. */
const LEAKS: Readonly<Record<string, string>> = {
  TCPSocketWrap: 'open TCP connection (a client, pool or response that was not closed)',
  TCPServerWrap: 'listening TCP server',
  TLSWrap: 'open TLS connection',
  PipeWrap: 'open pipe (of a child process or a Unix socket)',
  PipeServerWrap: 'listening Unix socket server',
  ProcessWrap: 'running child process',
  Timeout: 'pending timer (setTimeout or setInterval)',
  UDPWRAP: 'open UDP socket',
  FSEventWrap: 'file watcher',
  StatWatcher: 'file watcher',
  SignalWrap: 'signal handler',
  MessagePort: 'worker thread or message port',
};

// They are created on first use, which is not the test's fault.
void process.stdin;
void process.stdout;
void process.stderr;

const before = countResources();
const rejections: unknown[] = [];
const onUnhandledRejection = (reason: unknown) => rejections.push(reason);
process.on('unhandledRejection', onUnhandledRejection);

// Registered before the file's own hooks, hence run after them.
afterAll(async () => {
  let leaks = findLeaks();
  for (const deadline = systemClock.monotonic() + SETTLE_MS; leaks.length > 0; leaks = findLeaks()) {
    if (systemClock.monotonic() > deadline) break;
    await unobtrusiveSleep(POLL_MS);
  }
  process.off('unhandledRejection', onUnhandledRejection);
  const unhandled = rejections.map((reason) => `unhandled rejection: ${describe(reason)}`);
  const problems = [...leaks, ...unhandled];
  if (problems.length > 0)
    throw new Error(`This test file leaves behind:\n${problems.map((p) => `- ${p}`).join('\n')}`);
});

function findLeaks(): string[] {
  const now = countResources();
  return Object.entries(LEAKS).flatMap(([type, meaning]) => {
    const extra = (now.get(type) ?? 0) - (before.get(type) ?? 0);
    return extra > 0 ? [`${extra} × ${type}: ${meaning}`] : [];
  });
}

function countResources(): Map<string, number> {
  const counts = new Map<string, number>();
  for (const type of process.getActiveResourcesInfo()) counts.set(type, (counts.get(type) ?? 0) + 1);
  return counts;
}

/** Its own timer has fired before the next count. */
function unobtrusiveSleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

function describe(reason: unknown): string {
  return reason instanceof Error ? (reason.stack ?? reason.message) : String(reason);
}
