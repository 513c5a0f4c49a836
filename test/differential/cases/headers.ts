import fc from 'fast-check';
import type { Case } from '../case.ts';
import { anyWrite, changed, oddText } from './writes.ts';

/** Headers that servers use for their own variables, or may confuse with others. */
const NAMES = [
  'SCRIPT_NAME',
  'Script-Name',
  'PATH_INFO',
  'Path-Info',
  'REMOTE_USER',
  'REMOTE_ADDR',
  'QUERY_STRING',
  'REQUEST_METHOD',
  'X_Environment_Key',
  'X-Environment_Key',
  'x-environment-key',
  'X-Environment-Key',
  'Content_Type',
  'Content-Type',
  'Content_Length',
  'HTTP_X_ENVIRONMENT_KEY',
  'X-Forwarded-For',
  'X-Forwarded-Proto',
  'X-Forwarded-Protocol',
  'X-Forwarded-Ssl',
  'X-Forwarded-Host',
  'X-Forwarded-Port',
  'X-Forwarded-Prefix',
  'X_Forwarded_Proto',
  'X_Forwarded_For',
  'Forwarded',
  'Forwarder-Headers',
  'X-Script-Name',
  'X-Original-Url',
  'X-Rewrite-Url',
  'X-Http-Method-Override',
  'X-Http-Method',
  'X-Method-Override',
  'Authorization',
  'authorization',
  'Cookie',
  'Host',
  'Connection',
  'Keep-Alive',
  'Upgrade',
  'Te',
  'Trailer',
  'Expect',
  'Content-Encoding',
  'Accept',
  'Accept-Encoding',
  'Range',
  'If-None-Match',
  'X!#$%&Key',
  'Content-Type ',
  ' X-Environment-Key',
  'Content-Type\t',
];

const VALUES = [
  '/x',
  '/api',
  '/api/v1',
  '/api/v1/identities/',
  'client-key',
  'other-key',
  'ser.key',
  'client-key, other-key',
  'application/json',
  'application/x-www-form-urlencoded',
  'multipart/form-data; boundary=b',
  'text/plain',
  'application/json; charset=utf-16',
  '10.0.0.1',
  'https',
  'http',
  'on',
  'for=1.2.3.4;proto=https',
  'DELETE',
  'PUT',
  'GET',
  'Token admin-token',
  'Token  admin-token',
  'token admin-token',
  'Token\tadmin-token',
  'Bearer x',
  'sessionid=staff',
  'close',
  'keep-alive',
  'close, X-Environment-Key',
  'close, Content-Type',
  'close, Authorization, Cookie',
  'close, X-Forwarded-For',
  'Upgrade, HTTP2-Settings',
  'h2c',
  'websocket',
  'trailers',
  '100-continue',
  'gzip',
  'identity',
  'text/html',
  'application/xml',
  '*/*',
  '',
];

const anyField = fc.tuple(
  fc.constantFrom(...NAMES),
  fc.oneof({ weight: 5, arbitrary: fc.constantFrom(...VALUES) }, { weight: 1, arbitrary: oddText }),
);

/** A script name at the beginning of a target, which gunicorn would cut off. */
const prefixed = fc
  .tuple(
    anyWrite,
    fc.constantFrom('/x', '/admin', '/api', '//', '/%78', '/a/b'),
    fc.constantFrom('SCRIPT_NAME', 'Script-Name', 'SCRIPT-NAME', 'script_name', 'X-Forwarded-Prefix'),
  )
  .map(([one, prefix, name]) =>
    changed(one, { target: prefix + one.target, fields: [[name, decodeURIComponent(prefix)], ...one.fields] }),
  );

/** Unexpected fields, before, after or instead of the relevant ones. */
export const headerCases: fc.Arbitrary<Case> = fc.oneof(
  { weight: 1, arbitrary: prefixed },
  {
    weight: 6,
    arbitrary: fc
      .tuple(
        anyWrite,
        fc.array(anyField, { minLength: 1, maxLength: 3 }),
        fc.constantFrom('before', 'behind', 'instead'),
      )
      .map(([one, added, where]) => {
        const kept = where === 'instead' ? one.fields.slice(1) : one.fields;
        return changed(one, { fields: where === 'behind' ? [...kept, ...added] : [...added, ...kept] });
      }),
  },
);
