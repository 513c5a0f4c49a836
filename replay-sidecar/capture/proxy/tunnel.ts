import type { ClientConnection, ClientHandler } from './client.ts';
import type { UpstreamConnection, UpstreamHandler } from './upstream.ts';

/** Both connections after a 101: bytes either way, each end on its own, until both are gone. */
export class Tunnel implements ClientHandler, UpstreamHandler {
  private readonly client: ClientConnection;
  private readonly upstream: UpstreamConnection;
  private blocked = false;

  constructor(client: ClientConnection, upstream: UpstreamConnection) {
    this.client = client;
    this.upstream = upstream;
  }

  start(): void {
    this.upstream.handler = this;
    this.client.handOver(this);
    this.onClientData();
    if (this.client.ended) this.onClientEnd();
  }

  stop(): void {
    this.upstream.destroy();
    this.client.destroy();
  }

  get stalled(): boolean {
    return this.blocked;
  }

  /** Silence is nothing unusual in another protocol. */
  get waitsForClient(): boolean {
    return false;
  }

  onClientData(): void {
    const { input } = this.client;
    if (this.blocked || input.length === 0) return;
    const bytes = input.view();
    input.consume(bytes.length);
    this.blocked = !this.upstream.write('', bytes);
    this.client.adjustFlow();
  }

  onClientDrain(): void {
    this.upstream.resume();
  }

  onClientEnd(): void {
    if (this.client.input.length === 0) this.upstream.end();
  }

  onClientGone(): void {
    if (this.client.ended) this.upstream.finish();
    else this.upstream.reset();
    this.client.next(false);
  }

  onUpstreamConnect(): void {}

  onUpstreamData(bytes: Buffer): void {
    if (!this.client.write('', bytes)) this.upstream.pause();
  }

  onUpstreamDrain(): void {
    this.blocked = false;
    this.onClientData();
    if (this.client.ended) this.onClientEnd();
    this.client.adjustFlow();
  }

  onUpstreamEnd(): void {
    this.client.end();
  }

  onUpstreamClose(error: Error | undefined): void {
    if (error === undefined) this.client.close();
    else this.client.reset();
  }
}
