import { hash, timingSafeEqual } from 'node:crypto';
import { HttpRequest } from '@smithy/core/protocols';
import { Hash } from '@smithy/core/serde';
import { SignatureV4 } from '@smithy/signature-v4';

/** Maximum error of a signer's clock, and validity of a signature. */
export const SIGNATURE_SECONDS = 300;

const SERVICE = 'events';
const AUTHORIZATION =
  /^AWS4-HMAC-SHA256 Credential=(?<accessKeyId>\w{1,128})\/(?<date>\d{8})\/(?<region>[a-z0-9-]{1,64})\/(?<service>[a-z0-9-]{1,64})\/aws4_request, ?SignedHeaders=(?<signedHeaders>[a-z0-9;_-]{1,1024}), ?Signature=(?<signature>[0-9a-f]{64})$/;
const LONG_DATE = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/;

/** A request is not signed correctly. `code` is AWS's name of the error. */
export class SignatureError extends Error {
  override readonly name = 'SignatureError';
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** A request's head, in which each header occurs once. */
export interface SignedHead {
  readonly method: string;
  /** Lower-case names, each with all of its values. */
  readonly headers: Readonly<Record<string, readonly string[]>>;
}

/** The information about a request's signature. */
export interface Signature {
  readonly accessKeyId: string;
  readonly region: string;
  /** Milliseconds. */
  readonly signedTime: number;
  readonly signedHeaders: readonly string[];
  /** Hexadecimal. */
  readonly signature: string;
}

/**
 * Parses the signature of a request for `/` (AWS Signature Version 4, in the Authorization header), and rejects
 * requests that no body could make valid, so that the body need not be read.
 *
 * @param now milliseconds
 * @throws SignatureError
 */
export function readSignature(head: SignedHead, now: number): Signature {
  const authorization = only(head, 'authorization');
  if (authorization === undefined)
    throw new SignatureError('MissingAuthenticationTokenException', 'the request is not signed');
  const {
    accessKeyId = '',
    date,
    region = '',
    service,
    signedHeaders = '',
    signature = '',
  } = AUTHORIZATION.exec(authorization)?.groups ?? {};
  if (accessKeyId === '') throw incomplete('the Authorization header is none of AWS4-HMAC-SHA256');
  if (service !== SERVICE) throw invalid(`the credential must be scoped to service "${SERVICE}"`);
  const longDate = only(head, 'x-amz-date') ?? '';
  const signedTime = parseDate(longDate);
  if (signedTime === undefined) throw incomplete('header X-Amz-Date must be there, as YYYYMMDDTHHMMSSZ');
  if (!longDate.startsWith(date ?? ' '))
    throw invalid('the credential is scoped to another day than that of X-Amz-Date');
  const ageMs = now - signedTime;
  if (Math.abs(ageMs) > SIGNATURE_SECONDS * 1000) {
    const seconds = Math.round(ageMs / 1000);
    const where = seconds > 0 ? `${seconds} s ago: it has expired` : `${-seconds} s in the future`;
    throw invalid(`signed ${where}; a signature holds for ${SIGNATURE_SECONDS} s, by the clock of this server`);
  }
  return { accessKeyId, region, signedTime, signature, signedHeaders: checkSigned(head, signedHeaders.split(';')) };
}

/** All headers that identify the request and the server must be signed, and occur once. */
function checkSigned(head: SignedHead, signedHeaders: readonly string[]): readonly string[] {
  const present = Object.keys(head.headers).filter((name) => name.startsWith('x-amz-') || name === 'content-type');
  for (const name of ['host', ...present]) {
    if (!signedHeaders.includes(name)) throw invalid(`header ${name} must be signed`);
  }
  for (const name of signedHeaders) {
    if (only(head, name) === undefined) throw invalid(`header ${name} is signed and not there`);
  }
  return signedHeaders;
}

/**
 * Computes the expected signature of the request and compares the two, in constant time.
 *
 * @throws SignatureError unless the holder of the key has signed this body and these headers
 */
export async function verifySignature(
  head: SignedHead,
  body: Uint8Array,
  { accessKeyId, region, signedTime, signedHeaders, signature }: Signature,
  secretAccessKey: string,
): Promise<void> {
  // The signer trusts this header for the body's hash.
  const claimed = only(head, 'x-amz-content-sha256');
  if (claimed !== undefined && claimed !== hash('sha256', body))
    throw invalid('X-Amz-Content-Sha256 is not that of the body');
  const signer = new SignatureV4({
    credentials: { accessKeyId, secretAccessKey },
    region,
    service: SERVICE,
    sha256: Sha256,
    applyChecksum: false,
  });
  const headers = Object.fromEntries(signedHeaders.map((name) => [name, only(head, name) ?? '']));
  const request = new HttpRequest({ method: head.method, path: '/', headers, body });
  const options = { signingDate: new Date(signedTime), signableHeaders: new Set(signedHeaders) };
  const { authorization = '' } = (await signer.sign(request, options)).headers;
  const expected = AUTHORIZATION.exec(authorization)?.groups ?? {};
  const isSame = timingSafeEqual(
    Buffer.from(signature),
    Buffer.from((expected['signature'] ?? '').padEnd(signature.length)),
  );
  if (!isSame) {
    throw invalid(
      'the signature is not that of this request with this key: check the secret access key, and that no proxy changes Host',
    );
  }
}

class Sha256 extends Hash {
  constructor(secret?: ConstructorParameters<typeof Hash>[1]) {
    super('sha256', secret);
  }
}

const incomplete = (message: string) => new SignatureError('IncompleteSignatureException', message);
const invalid = (message: string) => new SignatureError('InvalidSignatureException', message);

/** @throws SignatureError if it occurs twice, since a proxy may have used the other one */
function only({ headers }: SignedHead, name: string): string | undefined {
  const values = headers[name] ?? [];
  if (values.length > 1) throw incomplete(`header ${name} must be there once`);
  return values[0];
}

function parseDate(text: string): number | undefined {
  if (!LONG_DATE.test(text)) return undefined;
  const time = Date.parse(text.replace(LONG_DATE, '$1-$2-$3T$4:$5:$6Z'));
  return Number.isNaN(time) ? undefined : time;
}
