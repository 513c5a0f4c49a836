import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { wildJson, wildText } from '../testing.ts';
import { type Body, readBody } from './body.ts';

function identifierOf(body: Body): string | undefined {
  return body.kind === 'object' ? body.data.string('identifier') : body.kind;
}

describe('readBody', () => {
  const json = '{"identifier": "café"}';

  it.each([
    ['application/json', Buffer.from(json), 'café'],
    ['Application/JSON ; charset="UTF-8"', Buffer.from(json), 'café'],
    ['application/json; charset=utf8mb4', Buffer.from(json), 'café'],
    ['application/json; charset=ISO-8859-1', Buffer.from(json, 'latin1'), 'café'],
    ['application/json; charset=windows-1252', Buffer.from(json, 'latin1'), 'café'],
    ['application/json; charset=utf-16', Buffer.from(`\ufeff${json}`, 'utf16le'), 'café'],
    ['application/json; charset=utf-16le', Buffer.from(json, 'utf16le'), 'café'],
    ['application/json; charset=utf-16be', Buffer.from(json, 'utf16le').swap16(), 'café'],
    ['application/json; charset=utf-8-sig', Buffer.from(`\ufeff${json}`), 'café'],
    ['application/*', Buffer.from(json), 'café'],
    ['*/*', Buffer.from(json), 'café'],
    ['application/x-www-form-urlencoded', Buffer.from('identifier=caf%C3%A9'), 'café'],
    ['application/x-www-form-urlencoded; charset=latin1', Buffer.from('identifier=caf%E9'), 'café'],
  ])('reads %s', (type, bytes, identifier) => {
    expect(identifierOf(readBody(bytes, type))).toBe(identifier);
  });

  it.each([
    ['application/json', Buffer.from(json, 'latin1')],
    ['application/json; charset=ascii', Buffer.from(json)],
    ['application/json', Buffer.from(`\ufeff${json}`)],
    ['text/plain', Buffer.from(json)],
    ['application/vnd.api+json', Buffer.from(json)],
    ['', Buffer.from(json)],
    [undefined, Buffer.from(json)],
    ['multipart/form-data', Buffer.from('--x')],
    ['application/json', Buffer.from('{"identifier": Infinity}')],
  ])('knows that Core refuses %s (%#)', (type, bytes) => {
    expect(readBody(bytes, type).kind).toBe('refused');
  });

  it.each(['utf-7', 'UTF-32', 'cp037', 'unicode_escape', 'hex', 'rot13'])('does not read %s', (charset) => {
    expect(readBody(Buffer.from(json), `application/json; charset=${charset}`).kind).toBe('unreadable');
  });

  it('takes no body for an empty object, whatever the type', () => {
    expect(identifierOf(readBody(Buffer.alloc(0), 'text/plain'))).toBeUndefined();
    expect(readBody(Buffer.alloc(0), undefined).kind).toBe('object');
  });

  it('takes any JSON without an exception, in every field', () => {
    const object = fc.tuple(wildJson, wildJson, wildJson).map(([one, two, three]) => {
      return `{"identifier": ${one}, "transient": ${two}, "traits": [${three}, {"trait_key": ${one}}], "identity": ${two}}`;
    });
    fc.assert(
      fc.property(fc.oneof(object, wildJson, fc.string()), (text) => {
        const body = readBody(Buffer.from(text), 'application/json');
        if (body.kind !== 'object') return;
        const { data } = body;
        for (const name of ['identifier', 'transient', 'traits', 'identity', '__proto__', 'toString']) {
          expect(data.string(name)).not.toBe('');
          expect(typeof data.text(name)).toMatch(/string|undefined/);
          expect(data.id(name) ?? 1).toBeGreaterThan(0);
          for (const item of [...data.items(name), data.child(name)]) item?.text('trait_key');
        }
      }),
    );
  });

  it('reads forms back, however they are nested', () => {
    const encode = (text: string) => encodeURIComponent(text.toWellFormed());
    fc.assert(
      fc.property(wildText, wildText, fc.nat(20), (identifier, key, index) => {
        const text = `identity.identifier=${encode(identifier)}&traits[${index}]trait_key=${encode(key)}`;
        const body = readBody(Buffer.from(text), 'application/x-www-form-urlencoded');
        if (body.kind !== 'object') throw new Error(body.kind);
        expect(body.data.child('identity')?.text('identifier')).toBe(identifier.toWellFormed());
        expect(body.data.items('traits').map((item) => item.text('trait_key'))).toEqual([key.toWellFormed()]);
      }),
    );
  });

  it('takes any bytes for multipart without an exception', () => {
    const piece = fc.oneof(
      fc.uint8Array({ maxLength: 10 }).map((bytes) => Buffer.from(bytes)),
      fc
        .constantFrom('--X', '\r\n', '\r\n\r\n', 'Content-Disposition: form-data; name="identifier"', '--X--')
        .map((text) => Buffer.from(text)),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        expect(readBody(Buffer.concat(pieces), 'multipart/form-data; boundary=X').kind).toBe('object');
      }),
    );
  });
});

describe('multipart', () => {
  const type = 'multipart/form-data; boundary="a b"';
  const part = (headers: string, value: string) => `--a b\r\n${headers}\r\n\r\n${value}\r\n`;
  const named = 'Content-Disposition: form-data; name="identifier"';
  const read = (text: string) => identifierOf(readBody(Buffer.from(text), type));

  it('takes the last of several fields of a name', () => {
    expect(read(`${part(named, 'alice')}${part(named, 'bob')}--a b--`)).toBe('bob');
  });

  it('leaves out files, parts without a name and parts without a header', () => {
    const file = part(`${named}; filename="x.txt"`, 'bob');
    expect(read(`preamble\r\n${part(named, 'alice')}${file}${part('X: y', 'z')}--a b\r\nno header--a b--`)).toBe(
      'alice',
    );
  });

  it('decodes base64, and reads a part that never ends', () => {
    const encoded = Buffer.from('alice').toString('base64');
    expect(read(part(`${named}\r\nContent-Transfer-Encoding: base64`, encoded))).toBe('alice');
    expect(read(`--a b\r\n${named}\r\n\r\nalice`)).toBe('alice');
  });
});
