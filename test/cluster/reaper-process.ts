/**
 * Outlives its parent by a moment. The parent writes one JSON line per process group and data folder that it creates or
 * releases, and per container; when the pipe ends for any reason, everything still on the list is killed and
 * deleted.
 * Works the same on every Unix: no parent-death signal, no subreaper.
 */
import { rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { requireEngine } from './engine.ts';
import { keepLogs } from './logs.ts';
import type { ReaperMessage } from './reaper.ts';

/** How long groups with a gentle signal get before SIGKILL. */
const GRACE_MS = 3000;

const groups = new Map<number, NodeJS.Signals>();
/** The folder in which their logs are kept. */
const folders = new Map<string, string | undefined>();
const containers = new Set<string>();

// A Ctrl-C or a closing terminal is handled by the parent; only its end matters here.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);

const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => {
  const message = JSON.parse(line) as ReaperMessage;
  if ('group' in message) {
    if (message.signal === null) groups.delete(message.group);
    else groups.set(message.group, message.signal);
  } else if ('container' in message) {
    if (message.remove) containers.add(message.container);
    else containers.delete(message.container);
  } else if (message.remove) folders.set(message.folder, message.logs);
  else folders.delete(message.folder);
});
lines.on('close', () => {
  reap();
  if (containers.size > 0) void reapContainers();
});

async function reapContainers(): Promise<void> {
  const engine = await requireEngine();
  const removals = [...containers].map((id) => engine.container.getById(id).remove({ force: true, v: true }));
  await Promise.allSettled(removals);
}

function reap() {
  const deadline = Date.now() + GRACE_MS;
  for (const [group, signal] of groups) {
    send(group, signal);
    // A stopped process reacts to no other signal.
    send(group, 'SIGCONT');
  }
  const poll = setInterval(() => {
    const late = Date.now() >= deadline;
    for (const group of groups.keys()) if (!send(group, late ? 'SIGKILL' : 0)) groups.delete(group);
    if (groups.size > 0 && Date.now() < deadline + GRACE_MS) return;
    clearInterval(poll);
    for (const [folder, logs] of folders) {
      if (logs !== undefined) keepLogs(folder, logs);
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    }
  }, 20);
}

/** Whether the group still exists. */
function send(group: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(-group, signal);
    return true;
  } catch {
    return false;
  }
}
