import { readFile } from 'node:fs/promises';

/** `/proc/<pid>/stat` counts in hundredths of a second. */
const TICKS_PER_SECOND = 100;

/** CPU time of a process since its start, with all its threads and the kernel's share. */
export async function cpuSeconds(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  // After the name in brackets: field 3 (state) onwards; user and system time are fields 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/**
 * Current memory of a process; `RssAnon` is the part not shared with others of the same image, `VmHWM` the
 * peak so far.
 */
export async function residentMegabytes(pid: number, part: 'VmRSS' | 'RssAnon' | 'VmHWM' = 'VmRSS'): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const [, kilobytes] = new RegExp(`^${part}:\\s+(\\d+) kB$`, 'm').exec(status) ?? [];
  return Math.round(Number(kilobytes) / 102.4) / 10;
}
