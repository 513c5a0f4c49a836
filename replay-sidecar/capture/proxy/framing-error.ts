/** Why a message was refused; also the metric's label. */
export type FramingReason =
  | 'requestLine'
  | 'statusLine'
  | 'version'
  | 'method'
  | 'target'
  | 'headTooLarge'
  | 'lineEnding'
  | 'foldedField'
  | 'fieldName'
  | 'fieldValue'
  | 'contentLength'
  | 'transferEncoding'
  | 'lengthAndEncoding'
  | 'chunk'
  | 'trailer';

/** A message that two HTTP implementations could read differently (RFC 9112, sections 2.2, 5.1, 5.2, 6.3, 7.1, 11.2). */
export class FramingError extends Error {
  override readonly name = 'FramingError';
  readonly reason: FramingReason;

  constructor(reason: FramingReason) {
    super(`Refused message: ${reason}`);
    this.reason = reason;
  }
}
