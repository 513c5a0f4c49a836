import fc from 'fast-check';
import { type Case, FORM_TYPE, JSON_TYPE, KEY, request } from '../case.ts';

const KIB = 1024;
const times = (count: number, make: (index: number) => string, separator = ',') =>
  Array.from({ length: count }, (_, index) => make(index)).join(separator);

const padding = fc.constantFrom(KIB, 60 * KIB, 1023 * KIB, 1024 * KIB, 1100 * KIB, 2600 * KIB);
const many = fc.constantFrom(10, 99, 101, 999, 1000, 1001, 3000);

const json = (line: string, body: string) => request(line, [KEY, JSON_TYPE], body);
const identify = 'POST /api/v1/identities/';
const trait = (key: string) => `{"trait_key":"${key}","trait_value":1}`;
const bulkItem = (name: string, key: string, value = '1') =>
  `{"identity":{"identifier":"${name}"},"trait_key":"${key}","trait_value":${value}}`;

/** Bodies around the limits of the sidecar, Django and events. */
export const sizeCases: fc.Arbitrary<Case> = fc.oneof(
  padding.map((size) => json(identify, `{"identifier":"ann","x":"${'x'.repeat(size)}"}`)),
  padding.map((size) => json(identify, `${' '.repeat(size)}{"identifier":"ann"}`)),
  padding.map((size) => json(identify, `{"x":[${times(size / 4, () => '[]')}],"identifier":"ann"}`)),
  padding.map((size) => json(identify, `{"x":"${'x'.repeat(size)}","identifier":"ann","identifier":"ben"}`)),
  padding.map((size) => request(identify, [KEY, FORM_TYPE], `x=${'x'.repeat(size)}&identifier=ann`)),
  padding.map((size) => {
    const part = (name: string, value: string) =>
      `--b\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;
    const type = ['Content-Type', 'multipart/form-data; boundary=b'] as const;
    return request(identify, [KEY, type], `${part('x', 'x'.repeat(size))}${part('identifier', 'ann')}--b--\r\n`);
  }),
  many.map((count) =>
    json(identify, `{"identifier":"ann","traits":[${times(count, (index) => trait(`key-${index}`))}]}`),
  ),
  many.map((count) => {
    const [name, key] = ['\\u0001'.repeat(1999), '人'.repeat(190)];
    return json(
      identify,
      `{"identifier":"x${name}","traits":[${times(Math.min(count, 600), (index) => trait(key + index))}]}`,
    );
  }),
  many.map((count) =>
    json('PUT /api/v1/traits/bulk/', `[${times(count, (index) => bulkItem(`ann-${index}`, 'plan'))}]`),
  ),
  many.map((count) =>
    json('PUT /api/v1/traits/bulk/', `[${times(count, (index) => bulkItem('ann', `key-${index}`, 'null'))}]`),
  ),
  many.map((count) =>
    request(identify, [KEY, FORM_TYPE], `${times(count, (index) => `x${index}=1`, '&')}&identifier=ann`),
  ),
  many.map((count) => {
    const traits = times(count, (index) => `traits[${index}]trait_key=k${index}&traits[${index}]trait_value=1`, '&');
    return request(identify, [KEY, FORM_TYPE], `identifier=ann&${traits}`);
  }),
  many.map((count) => {
    const fields = Array.from({ length: Math.min(count, 120) }, (_, index) => [`X-Field-${index}`, 'x'] as const);
    return request(identify, [...fields, KEY, JSON_TYPE], '{"identifier":"ann"}');
  }),
  padding.map((size) => {
    const field = ['X-Long', 'x'.repeat(Math.min(size, 9000))] as const;
    return request(identify, [field, KEY, JSON_TYPE], '{"identifier":"ann"}');
  }),
  padding.map((size) => request(`GET /api/v1/identities/?x=${'x'.repeat(Math.min(size, 5000))}&identifier=ann`, [KEY])),
);
