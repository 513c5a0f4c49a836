import { HttpRequest } from '@smithy/core/protocols';
import { Hash } from '@smithy/core/serde';
import { SignatureV4 } from '@smithy/signature-v4';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readSignature, type SignedHead, verifySignature } from './signature.ts';

const SECRET = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY';
const BODY = Buffer.from(
  '{"Entries": [{"EventBusName": "flagsmith-identity-migration", "Source": "flagsmith.api.migrate", "DetailType": "Migrate Identities to dynamodb", "Detail": "{\\"project_id\\": 42}"}]}',
);

/** Requests of boto3 with its own signatures, as received by a server. */
const BOTO3 = [
  {
    release: '1.35.95, which Flagsmith 2.265.0 locks',
    date: '20261129T040749Z',
    signature: '446e30a8e7ea24fa24afb701e89d610a80ca1f9f1a633acf7c2c876eff5e7591',
  },
  {
    release: '1.44.8',
    date: '20261129T040747Z',
    signature: 'ee5d8cedb5aa04f540bc457e594e6aa45249a32f4a5c5ed939766362cdd9622d',
  },
];
const [{ date, signature }] = BOTO3 as [(typeof BOTO3)[0]];
const SIGNED_AT = Date.parse('2026-11-29T04:07:49Z');

type Headers = Record<string, readonly string[]>;

const authorize = (
  given: string,
  scope = '20261129/eu-west-2/events',
  signed = 'content-type;host;x-amz-date;x-amz-target',
) =>
  `AWS4-HMAC-SHA256 Credential=FLAGSMITHTRIGGER0001/${scope}/aws4_request, SignedHeaders=${signed}, Signature=${given}`;

const headersOf = (request: { date: string; signature: string }): Headers => ({
  host: ['127.0.0.1:18080'],
  'accept-encoding': ['identity'],
  'x-amz-target': ['AWSEvents.PutEvents'],
  'content-type': ['application/x-amz-json-1.1'],
  'user-agent': ['Boto3/1.35.95 md/Botocore#1.35.99'],
  'x-amz-date': [request.date],
  authorization: [authorize(request.signature)],
  'amz-sdk-request': ['attempt=1'],
  'content-length': [String(BODY.length)],
});

const head = (changes: Record<string, readonly string[] | undefined> = {}): SignedHead => {
  const all = Object.entries({ ...headersOf({ date, signature }), ...changes });
  return { method: 'POST', headers: Object.fromEntries(all.filter(([, values]) => values !== undefined)) as Headers };
};

interface Attempt {
  request?: SignedHead;
  body?: Uint8Array;
  now?: number;
  secret?: string;
}

/** The error's code and message, or `accepted`. */
async function judge({ request = head(), body = BODY, now = SIGNED_AT, secret = SECRET }: Attempt): Promise<string> {
  try {
    await verifySignature(request, body, readSignature(request, now), secret);
    return 'accepted';
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    return `${code}: ${message}`;
  }
}

describe('a signature', () => {
  it.each(BOTO3)('of boto3 $release is accepted', async (recorded) => {
    expect(await judge({ request: { method: 'POST', headers: headersOf(recorded) } })).toBe('accepted');
  });

  it('is valid for five minutes by our clock, in both directions', async () => {
    expect(await judge({ now: SIGNED_AT + 300_000 })).toBe('accepted');
    expect(await judge({ now: SIGNED_AT - 300_000 })).toBe('accepted');
    expect(await judge({ now: SIGNED_AT + 301_000 })).toMatch(
      /^InvalidSignatureException: signed 301 s ago: it has expired/,
    );
    expect(await judge({ now: SIGNED_AT - 301_000 })).toMatch(/^InvalidSignatureException: signed 301 s in the future/);
  });

  it.each<[string, Attempt]>([
    ['another key', { secret: `${SECRET}x` }],
    ['another body', { body: Buffer.from(BODY.toString().replace('42', '43')) }],
    ['no body', { body: new Uint8Array() }],
    ['another method', { request: { ...head(), method: 'PUT' } }],
    ['another host', { request: head({ host: ['events.eu-west-2.amazonaws.com'] }) }],
    ['another operation', { request: head({ 'x-amz-target': ['AWSEvents.PutRule'] }) }],
    ['another second', { request: head({ 'x-amz-date': ['20261129T040750Z'] }) }],
    ['another region', { request: head({ authorization: [authorize(signature, '20261129/us-east-1/events')] }) }],
    ['other digits', { request: head({ authorization: [authorize('0'.repeat(64))] }) }],
  ])('is refused for %s', async (_, attempt) => {
    expect(await judge(attempt)).toMatch(/^InvalidSignatureException: the signature is not that of this request/);
  });

  it.each<[string, Record<string, readonly string[] | undefined>, RegExp]>([
    ['is not there', { authorization: undefined }, /^MissingAuthenticationTokenException/],
    ['is of another kind', { authorization: ['Basic dXNlcjp3b3Jk'] }, /^IncompleteSignatureException/],
    ['is cut off', { authorization: [authorize(signature.slice(1))] }, /^IncompleteSignatureException/],
    [
      'is there twice',
      { authorization: [authorize(signature), authorize(signature)] },
      /authorization must be there once/,
    ],
    ['has no time', { 'x-amz-date': undefined }, /^IncompleteSignatureException: header X-Amz-Date/],
    ['has a time that does not exist', { 'x-amz-date': ['20261340T999999Z'] }, /^IncompleteSignatureException/],
    ['has two times', { 'x-amz-date': [date, date] }, /x-amz-date must be there once/],
    [
      'is for another service',
      { authorization: [authorize(signature, '20261129/eu-west-2/dynamodb')] },
      /service "events"/,
    ],
    ['is for another day', { authorization: [authorize(signature, '20261128/eu-west-2/events')] }, /another day/],
    [
      'leaves the host out',
      { authorization: [authorize(signature, undefined, 'content-type;x-amz-date;x-amz-target')] },
      /host must be signed/,
    ],
    [
      'leaves the operation out',
      { authorization: [authorize(signature, undefined, 'content-type;host;x-amz-date')] },
      /x-amz-target must be signed/,
    ],
    [
      'leaves a header of AWS out that was added',
      { 'x-amz-security-token': ['token'] },
      /x-amz-security-token must be signed/,
    ],
    ['names a header that is not there', { 'content-type': undefined }, /content-type is signed and not there/],
    ['has a second host', { host: ['127.0.0.1:18080', 'other'] }, /host must be there once/],
  ])('is refused if it %s', async (_, changes, message) => {
    expect(await judge({ request: head(changes) })).toMatch(message);
  });

  it('is refused if the signed hash is not that of the received body', async () => {
    const signed = await signHere({ ...plain, 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' }, BODY);
    expect(await judge({ request: signed, now: SIGNED_AT })).toMatch(/X-Amz-Content-Sha256 is not that of the body/);
    const { createHash } = await import('node:crypto');
    const right = await signHere(
      { ...plain, 'x-amz-content-sha256': createHash('sha256').update(BODY).digest('hex') },
      BODY,
    );
    expect(await judge({ request: right, now: SIGNED_AT })).toBe('accepted');
  });

  it('is accepted for any headers and body that the SDK signs, and for none that differ by one byte', async () => {
    const value = fc.stringMatching(/^[ -~]{0,40}$/);
    await fc.assert(
      fc.asyncProperty(value, fc.uint8Array({ minLength: 1, maxLength: 200 }), fc.nat(), async (text, body, where) => {
        const request = await signHere({ ...plain, 'x-amz-meta': text }, body);
        expect(await judge({ request, body })).toBe('accepted');
        const other = body.slice();
        other[where % body.length]! ^= 1;
        expect(await judge({ request, body: other })).toMatch(/the signature is not that/);
      }),
      { numRuns: 50 },
    );
  });
});

const plain = { host: 'trigger', 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': 'AWSEvents.PutEvents' };

/** Signs like AWS's SDK for JavaScript. */
async function signHere(headers: Record<string, string>, body: Uint8Array): Promise<SignedHead> {
  const signer = new SignatureV4({
    credentials: { accessKeyId: 'FLAGSMITHTRIGGER0001', secretAccessKey: SECRET },
    region: 'eu-west-2',
    service: 'events',
    sha256: Hash.bind(null, 'sha256') as never,
    applyChecksum: false,
  });
  const request = new HttpRequest({ method: 'POST', path: '/', headers, body });
  const signed = await signer.sign(request, { signingDate: new Date(SIGNED_AT) });
  return {
    method: 'POST',
    headers: Object.fromEntries(Object.entries(signed.headers).map(([name, value]) => [name, [value]])),
  };
}
