/** Resources used by this process since its start; part of the summary of a run without Kubernetes. */
export interface Consumption {
  workerCpuSeconds: number;
  /** Peak memory, MiB. */
  rssMb: number;
}

export const measureConsumption = (): Consumption => ({
  workerCpuSeconds: roundSeconds(measureCpuSeconds()),
  rssMb: Math.round(process.resourceUsage().maxRSS / 1024),
});

/** Seconds of CPU that this process has used since its start. */
export function measureCpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

/** To milliseconds. */
export const roundSeconds = (seconds: number) => Math.round(seconds * 1000) / 1000;
