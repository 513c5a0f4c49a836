import type { IncomingMessage } from 'node:http';

/** A body is not read; `status` is that of the answer. */
export class BodyRefusedError extends Error {
  override readonly name = 'BodyRefusedError';
  readonly status: number;

  constructor(status: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
  }
}

/**
 * The whole body.
 *
 * @throws BodyRefusedError when it is too large, encoded, or ends too early; what is left of it is not read
 */
export async function readBody(request: IncomingMessage, mostBytes: number): Promise<Uint8Array> {
  const encoding = request.headers['content-encoding'] ?? 'identity';
  if (encoding !== 'identity') throw new BodyRefusedError(415, 'a body with Content-Encoding is not read');
  const tooLarge = () => new BodyRefusedError(413, `the body has more than ${mostBytes} bytes`);
  if (Number(request.headers['content-length'] ?? 0) > mostBytes) throw tooLarge();
  const chunks: Buffer[] = [];
  let size = 0;
  return new Promise((resolve, reject) => {
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= mostBytes) return chunks.push(chunk);
      chunks.length = 0;
      reject(tooLarge());
    });
    request.once('end', () => resolve(Buffer.concat(chunks)));
    const broken = (cause?: Error) => reject(new BodyRefusedError(400, 'the body ended too early', { cause }));
    request.once('error', broken);
    request.once('close', () => broken());
    // The stream had failed before a listener was attached.
    if (request.destroyed) broken();
  });
}
