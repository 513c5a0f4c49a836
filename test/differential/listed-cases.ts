import { type Case, FORM_TYPE, JSON_TYPE, KEY, request, SESSION, TOKEN } from './case.ts';

const multipart = (body: string, boundary = 'b'): Case =>
  request('POST /api/v1/identities/', [KEY, ['Content-Type', `multipart/form-data; boundary=${boundary}`]], body);
const part = (line: string, value = 'ann') => multipart(`--b\r\n${line}\r\n\r\n${value}\r\n--b--\r\n`);
const identify = (target: string, fields: Case['fields'] = []): Case =>
  request(`POST ${target}`, [...fields, KEY, JSON_TYPE], '{"identifier":"ann"}');
const inCharset = (charset: string, body = '{"identifier":"né"}'): Case =>
  request('POST /api/v1/identities/', [KEY, ['Content-Type', `application/json; charset=${charset}`]], body);
const queryIn = (charset: string, query: string): Case =>
  request(`GET /api/v1/identities/?${query}`, [KEY, ['Content-Type', `application/json; charset=${charset}`]]);
const form = (body: string, target = '/api/v1/identities/'): Case => request(`POST ${target}`, [KEY, FORM_TYPE], body);
const admin = (line: string, body = ''): Case => request(line, [TOKEN, JSON_TYPE], body);

/** Requests that Core once accepted without any event or gap, or understood differently. */
export const LISTED: Readonly<Record<string, Case>> = {
  'a SCRIPT_NAME that the target begins with': identify('/x/api/v1/identities/', [['SCRIPT_NAME', '/x']]),
  'a SCRIPT_NAME of the path above the route': identify('/x/api/v1/identities/', [['Script_Name', '/x/api']]),
  'a SCRIPT_NAME before an ordinary target': identify('/api/v1/identities/', [['SCRIPT_NAME', '/api']]),
  'PATH_INFO as a field': identify('/', [['PATH_INFO', '/api/v1/identities/']]),
  'the key under a name with an underscore': request(
    'POST /api/v1/identities/',
    [['X_Environment_Key', 'client-key'], JSON_TYPE],
    '{"identifier":"ann"}',
  ),
  'the type under a name with an underscore': request(
    'POST /api/v1/identities/',
    [KEY, JSON_TYPE, ['Content_Type', 'application/x-www-form-urlencoded']],
    '{"identifier":"ann"}',
  ),
  'the key named in Connection': identify('/api/v1/identities/', [['Connection', 'close, X-Environment-Key']]),
  'the type named in Connection': identify('/api/v1/identities/', [['Connection', 'close, Content-Type']]),
  'a scheme without an authority': identify('x:/api/v1/identities/'),
  'a scheme in capitals, and a query with another': identify('X:/api/v1/identities/?a=b://c'),
  'a scheme and an empty authority': identify('http:///api/v1/identities/'),
  'a scheme and an escaped slash': identify('x:%2Fapi/v1/identities/'),
  'an escaped first slash': identify('%2fapi/v1/identities/'),
  'an authority of an escaped slash': identify('http://%2F/api/v1/identities/'),
  'two first slashes': identify('//api/v1/identities/'),
  'an escaped letter of the prefix': identify('/%61pi/v1/identities/'),
  'a fragment': request('GET /api/v1/identities/?identifier=ann#&transient=1', [KEY]),
  'increment-value with a format suffix': request(
    'POST /api/v1/traits/increment-value.json',
    [KEY, JSON_TYPE],
    '{"identifier":"ann","trait_key":"age","increment_by":1}',
  ),
  'bulk traits with a format suffix': request(
    'PUT /api/v1/traits/bulk.json',
    [KEY, JSON_TYPE],
    '[{"identity":{"identifier":"ann"},"trait_key":"age","trait_value":1}]',
  ),
  'versioning with a format suffix': admin('POST /api/v1/environments/client-key/enable-v2-versioning.json'),
  'versioning ended with a format suffix': admin('POST /api/v1/environments/client-key/disable-v2-versioning.json/'),
  'utf-7 by a name of its own': inCharset('utf!7', '{"identifier":"+AGEAbgBu-"}'),
  'a name of utf-7 that Python does not know': inCharset('unicode-1-1-utf-7', '{"identifier":"+AGEAbgBu-"}'),
  'code page 437': inCharset('cp437'),
  'ucs-2, which Python does not know': inCharset('ucs-2'),
  'unicode, which Python does not know': inCharset('unicode'),
  'x-cp1252, which Python does not know': inCharset('x-cp1252'),
  ms_kanji: inCharset('ms_kanji', '{"identifier":"人"}'),
  latin9: inCharset('latin9', '{"identifier":"€"}'),
  'a query in code page 437': queryIn('ibm437', 'identifier=%c3%83%c2%a9'),
  'a query in UTF-32': queryIn('UTF-32', 'identifier=%c3%83%c2%a9'),
  'a part with a group separator before its name': part('Content-Disposition: form-data;\x1cname="identifier"'),
  'a part with a unit separator before its name': part('Content-Disposition: form-data;\x1fname="identifier"'),
  'a part with a next-line character before its name': part('Content-Disposition: form-data;\u0085name="identifier"'),
  'a part with a no-break space before its name': part('Content-Disposition: form-data;\u00a0name="identifier"'),
  'a part with its name in UTF-16': part(
    "Content-Disposition: form-data; name*=utf-16''%69%00%64%00%65%00%6e%00%74%00%69%00%66%00%69%00%65%00%72%00",
  ),
  'a part with a transfer encoding in capitals': part(
    'Content-Disposition: form-data; name="identifier"\r\nContent-Transfer-Encoding: BASE64',
  ),
  'a part in base64 without padding': part(
    'Content-Disposition: form-data; name="identifier"\r\nContent-Transfer-Encoding: base64',
    'YW5uYQ',
  ),
  'a part with a byte order mark before its field': part('\ufeffContent-Disposition: form-data; name="identifier"'),
  'a part with a field that is no UTF-8': latin1(part('X: \xff\r\nContent-Disposition: form-data; name="identifier"')),
  'a line feed behind the name of a list field': form(
    'identifier=ann&traits[0]trait_key%0A=plan&traits[0]trait_key=age&traits[0]trait_value=1',
  ),
  'an index beyond the integers of a float': form(
    'identifier=ann&traits[9007199254740993]trait_key=plan&traits[9007199254740993]trait_value=1&traits[9007199254740992]trait_key=age&traits[9007199254740992]trait_value=1',
  ),
  'a write that no route knows': request('PATCH /api/v1/identities/', [KEY, JSON_TYPE], '{"identifier":"ann"}'),
  'a write that no route knows, answered with a page': request(
    'PATCH /api/v1/identities/',
    [KEY, JSON_TYPE, ['Accept', 'text/html']],
    '{"identifier":"ann"}',
  ),
  'an identifier that looks like a format suffix': request('GET /api/v1/identities/.x/', [KEY]),
  'a saved form of the Django admin whose client names the login': request(
    'POST /admin/features/feature/1/change/?_changelist_filters=/admin/login/',
    [SESSION, FORM_TYPE],
    'name=x',
  ),
  'a saved form of the Django admin in a pop-up': request(
    'POST /admin/features/feature/1/change/?_popup=1',
    [SESSION, FORM_TYPE],
    'name=x&_popup=1',
  ),
  'a user who takes organisations along': admin(
    'DELETE /api/v1/auth/users/me/',
    '{"delete_orphan_organisations":true}',
  ),
  'a user by id who takes organisations along': admin(
    'DELETE /api/v1/auth/users/7/',
    '{"delete_orphan_organisations":"on"}',
  ),
  'an override that becomes the environment’s own state': admin(
    'PUT /api/v1/features/featurestates/9001/',
    '{"feature":101,"environment":41,"identity":null}',
  ),
};

/** The same text with each of its characters as one byte. */
function latin1(one: Case): Case {
  return { ...one, body: Buffer.from(one.body, 'latin1').toString('utf8') };
}
