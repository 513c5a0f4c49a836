import type { AddressInfo } from 'node:net';
import { SIDECAR_TICK_MS } from '@edge-migration/runtime/policies.ts';
import { drainSpool } from './drain.ts';
import { createParts, type PartsOptions, type SidecarParts } from './parts.ts';

export type SidecarOptions = Omit<PartsOptions, 'isReady' | 'faults'>;

/** How long the start waits for a disk: one that hangs must not keep the API from being served. */
const OPEN_MS = 2000;
const CLOSE_MS = 1000;

/** The capture sidecar from its start to its end. */
export class Sidecar {
  private readonly options: SidecarOptions;
  private readonly parts: SidecarParts;
  private readonly faults = { spool: 0, process: 0 };
  private readonly stopping = new AbortController();
  private ready = false;
  private running: Promise<unknown> = Promise.resolve();
  /** Work that waits for the disk. */
  private keepingHouse: Promise<unknown> = Promise.resolve();

  constructor(options: SidecarOptions) {
    this.options = options;
    this.parts = createParts({ ...options, isReady: () => this.ready, faults: this.faults });
  }

  /**
   * Accepts requests, whether or not NATS and the spool's disk are there.
   *
   * @throws when an address cannot be listened on
   */
  async start(): Promise<{ proxy: AddressInfo; health: AddressInfo }> {
    const { configuration, clock, logger } = this.options;
    const { health, spool, memory, proxy } = this.parts;
    const healthAddress = await health.listen(configuration.healthAddress);
    await Promise.race([spool.open(), clock.sleep(OPEN_MS, this.stopping.signal)]);
    this.runLoops(this.stopping.signal);
    // Loading leaves more garbage than code, and a heap that grew to hold it.
    memory.collect();
    const proxyAddress = await proxy.listen(configuration.listenAddress);
    this.ready = true;
    logger.info({ listen: proxyAddress, health: healthAddress }, 'the sidecar takes requests');
    return { proxy: proxyAddress, health: healthAddress };
  }

  /**
   * Lets requests end, sends what is left and says goodbye; takes at most `shutdownSeconds`, plus a second for the
   * disk. False if calls to the disk are still under way then.
   */
  async stop(): Promise<boolean> {
    const { configuration, clock, logger } = this.options;
    const { proxy, capture, spool, heartbeat, health } = this.parts;
    const deadline = clock.monotonic() + configuration.shutdownSeconds * 1000;
    this.ready = false;
    // Half of the time for requests under way, the rest for sending their events.
    await proxy.stop(configuration.shutdownSeconds * 500);
    capture.flush();
    await drainSpool(spool, clock, deadline);
    const goodbye = await heartbeat.sayGoodbye();
    logger.info({ goodbye, ...spool.facts() }, goodbye ? 'all is sent' : 'unsent events remain in the spool');
    this.stopping.abort();
    await this.running;
    // Calls to a disk that hangs may never come back; the spool is then as after a crash.
    const isClosed = await Promise.race([this.closeSpool(), clock.sleep(CLOSE_MS).then(() => false)]);
    if (!isClosed) logger.error("the spool's disk does not respond; ending without it");
    await health.close();
    return isClosed;
  }

  /** An uncaught error: requests go on, and a gap reports that one may have been missed. */
  survive(error: unknown): void {
    const { clock, logger } = this.options;
    this.faults.process += 1;
    this.parts.spool.gaps.mark('captureFailed', clock.now(), clock.now());
    logger.error({ err: error }, 'uncaught error');
  }

  /** Separate loops, so that a disk that hangs holds up nothing else. They end when the signal aborts. */
  private runLoops(signal: AbortSignal): void {
    const { publisher, heartbeat, capture, memory, spool } = this.parts;
    this.running = Promise.allSettled([
      publisher.run(signal),
      heartbeat.run(signal),
      this.every(SIDECAR_TICK_MS, capture.tick, signal),
      this.every(SIDECAR_TICK_MS, memory.tick, signal),
    ]);
    this.keepingHouse = Promise.allSettled([spool.recover(), this.every(SIDECAR_TICK_MS, spool.tick, signal)]);
  }

  private async every(milliseconds: number, work: () => void | Promise<void>, signal: AbortSignal): Promise<never> {
    for (;;) {
      await this.options.clock.sleep(milliseconds, signal);
      await work();
    }
  }

  private async closeSpool(): Promise<boolean> {
    await this.keepingHouse;
    await this.parts.spool.close();
    return true;
  }
}
