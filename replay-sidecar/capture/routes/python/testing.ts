import { spawnSync } from 'node:child_process';

/**
 * Runs a Python program over values, for tests that compare us with Python itself. Undefined, with a message, on a
 * machine without Python.
 *
 * @param program gets the values as the list `values` and prints JSON; `json`, `sys` are imported
 */
export function runPython3(program: string, values: readonly unknown[]): unknown {
  const script = `import json, sys\nvalues = json.loads(sys.stdin.buffer.read())\n${program}`;
  const result = spawnSync('python3', ['-c', script], { input: JSON.stringify(values), maxBuffer: 1 << 28 });
  if (result.error !== undefined) {
    process.stdout.write('python3 is not available: not compared with it\n');
    return undefined;
  }
  if (result.status !== 0) throw new Error(`python3 failed: ${result.stderr.toString()}`);
  return JSON.parse(result.stdout.toString());
}
