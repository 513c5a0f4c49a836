import { systemClock } from '@edge-migration/runtime/clock.ts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { wildJson, wildText } from '../testing.ts';
import { type ParsedBody, parseBody } from './body.ts';
import { UnreadableError } from './unreadable.ts';

function readNow(bytes: Buffer, contentType: string | undefined): ParsedBody {
  const body = parseBody(bytes, contentType);
  if (body instanceof Promise) throw new RangeError('The body is too long to be read at once');
  return body;
}

function identifierOf(body: ParsedBody): string | undefined {
  return body.kind === 'object' ? body.data.string('identifier') : body.kind;
}

describe('readBody', () => {
  const json = '{"identifier": "café"}';

  it.each([
    ['application/json', Buffer.from(json), 'café'],
    ['Application/JSON ; charset="UTF-8"', Buffer.from(json), 'café'],
    ['application/json; charset=ISO-8859-1', Buffer.from(json, 'latin1'), 'café'],
    ['application/json; charset=utf-16', Buffer.from(`\ufeff${json}`, 'utf16le'), 'café'],
    ['application/json; charset=utf-16le', Buffer.from(json, 'utf16le'), 'café'],
    ['application/json; charset=utf-16be', Buffer.from(json, 'utf16le').swap16(), 'café'],
    ['application/json; charset=utf-16', Buffer.from(`\ufeff${json}`, 'utf16le').swap16(), 'café'],
    ['application/json', Buffer.concat([Buffer.from(json), Buffer.from([0xe2, 0x82])]), 'café'],
    ['application/*', Buffer.from(json), 'café'],
    ['*/*', Buffer.from(json), 'café'],
    ['application/x-www-form-urlencoded', Buffer.from('identifier=caf%C3%A9'), 'café'],
    ['application/x-www-form-urlencoded; charset=latin1', Buffer.from('identifier=caf%E9'), 'café'],
  ])('reads %s', (type, bytes, identifier) => {
    expect(identifierOf(readNow(bytes, type))).toBe(identifier);
  });

  it.each([
    ['application/json', Buffer.from(json, 'latin1')],
    ['application/json; charset=ascii', Buffer.from(json)],
    ['application/json; charset=utf-16', Buffer.from(json, 'utf16le')],
    ['Multipart/form-data; boundary=x', Buffer.from('--x')],
    ['multipart/form-data; boundary="x "', Buffer.from('--x')],
    ['application/json', Buffer.from(`\ufeff${json}`)],
    ['text/plain', Buffer.from(json)],
    ['application/vnd.api+json', Buffer.from(json)],
    ['', Buffer.from(json)],
    [undefined, Buffer.from(json)],
    ['multipart/form-data', Buffer.from('--x')],
    ['application/json', Buffer.from('{"identifier": Infinity}')],
  ])('recognises that Core refuses %s (%#)', (type, bytes) => {
    expect(readNow(bytes, type).kind).toBe('refused');
  });

  it('does not read a content type that would take longer than a body', () => {
    expect(readNow(Buffer.from(json), `application/json${';'.repeat(10_000)}`).kind).toBe('object');
    expect(readNow(Buffer.from(json), `application/json${';'.repeat(20_000)}`).kind).toBe('unreadable');
  });

  it.each(['utf-7', 'UTF-32', 'cp037', 'hex', 'windows-1252', 'utf8mb4', 'utf-8-sig', 'unicode'])(
    'does not read %s',
    (charset) => {
      expect(readNow(Buffer.from(json), `application/json; charset=${charset}`).kind).toBe('unreadable');
    },
  );

  it('treats an empty body as an empty object, whatever the type', () => {
    expect(identifierOf(readNow(Buffer.alloc(0), 'text/plain'))).toBeUndefined();
    expect(readNow(Buffer.alloc(0), undefined).kind).toBe('object');
  });

  it('accepts any JSON without an exception, in every field', () => {
    const object = fc.tuple(wildJson, wildJson, wildJson).map(([one, two, three]) => {
      return `{"identifier": ${one}, "transient": ${two}, "traits": [${three}, {"trait_key": ${one}}], "identity": ${two}}`;
    });
    fc.assert(
      fc.property(fc.oneof(object, wildJson, fc.string()), (text) => {
        const body = readNow(Buffer.from(text), 'application/json');
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
        const body = readNow(Buffer.from(text), 'application/x-www-form-urlencoded');
        if (body.kind !== 'object') throw new Error(body.kind);
        expect(body.data.child('identity')?.text('identifier')).toBe(identifier.toWellFormed());
        expect(body.data.items('traits').map((item) => item.text('trait_key'))).toEqual([key.toWellFormed()]);
      }),
    );
  });

  it('accepts any bytes as multipart without an exception', () => {
    const piece = fc.oneof(
      fc.uint8Array({ maxLength: 10 }).map((bytes) => Buffer.from(bytes)),
      fc
        .constantFrom('--X', '\r\n', '\r\n\r\n', 'Content-Disposition: form-data; name="identifier"', '--X--')
        .map((text) => Buffer.from(text)),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        expect(readNow(Buffer.concat(pieces), 'multipart/form-data; boundary=X').kind).toMatch(/object|unreadable/);
      }),
    );
  });
});

describe('multipart', () => {
  const type = 'multipart/form-data; boundary="a b"';
  const part = (headers: string, value: string) => `--a b\r\n${headers}\r\n\r\n${value}\r\n`;
  const named = 'Content-Disposition: form-data; name="identifier"';
  const read = (text: string) => identifierOf(readNow(Buffer.from(text), type));

  it('takes the last of several fields of a name', () => {
    expect(read(`${part(named, 'alice')}${part(named, 'bob')}--a b--`)).toBe('bob');
  });

  it('leaves out parts without a name and parts without a header', () => {
    const text = `preamble\r\n${part(named, 'alice')}${part('X: y', 'z')}--a b\r\nno header--a b--`;
    expect(read(text)).toBe('alice');
  });

  it('decodes base64, and reads a part that never ends', () => {
    const encoded = Buffer.from('alice').toString('base64');
    expect(read(part(`${named}\r\nContent-Transfer-Encoding: base64`, encoded))).toBe('alice');
    expect(read(`--a b\r\n${named}\r\n\r\nalice`)).toBe('alice');
  });

  it.each([
    ['a file', part(`${named}; filename="x.txt"`, 'bob')],
    ['a name in another character set', part("Content-Disposition: form-data; name*=utf-7''identifier", 'bob')],
    ['a name in pieces', part('Content-Disposition: form-data; name*0=ident; name*1=ifier', 'bob')],
    ['an escape', part('Content-Disposition: form-data; name="identifie\\r"', 'bob')],
    ['a name twice', part('Content-Disposition: form-data; name=x; name=identifier', 'bob')],
    ['a name in brackets', part('Content-Disposition: form-data; name=<identifier>', 'bob')],
    ['a header twice', part(`${named}\r\n${named}`, 'bob')],
    ['a byte order mark before a header', part(`\ufeff${named}`, 'bob')],
    ['U+0085 before a header', part(`\u0085${named}`, 'bob')],
    ['U+001C before a header', part(`\u001c${named}`, 'bob')],
    ['a no-break space around a name', part('Content-Disposition: form-data; name=\u00a0identifier', 'bob')],
    ['base64 without padding', part(`${named}\r\nContent-Transfer-Encoding: base64`, 'Ym9iYQ')],
    ['base64 with other characters', part(`${named}\r\nContent-Transfer-Encoding: base64`, 'Ym-9i')],
    ['a long part without a name, in which Django may go on', part('X: y', 'z'.repeat(2000))],
  ])('does not read %s', (_, text) => {
    expect(readNow(Buffer.from(`${part(named, 'alice')}${text}--a b--`), type).kind).toBe('unreadable');
  });

  it('does not read a header with bytes that are not UTF-8', () => {
    const text = part('Content-Disposition: form-data; name="identifier\xff"', 'bob');
    expect(readNow(Buffer.from(`${text}--a b--`, 'latin1'), type).kind).toBe('unreadable');
  });

  it('does not read UTF-16, in which a name is not what it looks like', () => {
    expect(readNow(Buffer.from(part(named, 'alice')), `${type}; charset=utf-16`).kind).toBe('unreadable');
  });
});

describe('forms', () => {
  const read = (text: string) => {
    const body = readNow(Buffer.from(text), 'application/x-www-form-urlencoded');
    if (body.kind !== 'object') throw new Error(body.kind);
    return body.data;
  };
  const keys = (text: string) =>
    read(text)
      .items('traits')
      .map((item) => item.text('trait_key'));

  it('ignore a line feed at the end of a nested name', () => {
    expect(keys('traits[0]trait_key%0A=plan')).toEqual(['plan']);
    expect(read('identity.identifier%0A=alice').child('identity')?.text('identifier')).toBe('alice');
    expect(keys('traits[0]trait_key%0A%0A=plan')).toEqual([]);
    expect(read('identifier%0A=alice').text('identifier')).toBeUndefined();
  });

  it('distinguish indexes that exceed the integers of JavaScript', () => {
    expect(keys('traits[9007199254740992]trait_key=a&traits[9007199254740993]trait_key=b')).toEqual(['a', 'b']);
    expect(keys('traits[01]trait_key=a&traits[1]trait_key=b')).toEqual(['b']);
  });

  it('begin an element again after a value without a key', () => {
    expect(keys('traits[0]trait_key=a&traits[0]=x&traits[0]y=z')).toEqual([undefined]);
  });
});

describe('text that is an object', () => {
  const read = (json: string) => {
    const body = readNow(Buffer.from(json), 'application/json');
    if (body.kind !== 'list') throw new Error(body.kind);
    return body.items.map((item) => item.text('key'));
  };

  it('is spelled as Python does it', () => {
    expect(read('[{"key": {"2": 1.0, "1": null}}, {"key": 7}, {"key": [true]}]')).toEqual([
      "{'2': 1.0, '1': None}",
      '7',
      '[True]',
    ]);
  });

  it('is unreadable if it is long', () => {
    expect(() => read(`[${`{"key":[${'1,'.repeat(3000)}1]},`.repeat(8)}{}]`)).toThrow(UnreadableError);
  });
});

describe('a long body', () => {
  const clock = (times: readonly number[]) => {
    const left = [...times];
    return { ...systemClock, monotonic: () => left.shift() ?? 0 };
  };
  const long = Buffer.from(JSON.stringify({ padding: 'x'.repeat(600_000), identifier: 'alice' }));

  it('is read in slices, and between them the event loop goes round', async () => {
    let rounds = 0;
    const count = () => {
      rounds += 1;
      immediate = setImmediate(count);
    };
    let immediate = setImmediate(count);
    const many = Buffer.from(
      JSON.stringify({ list: Array.from({ length: 100_000 }, () => 12345), identifier: 'alice' }),
    );
    const body = await parseBody(many, 'application/json', clock([]));
    clearImmediate(immediate);
    expect(identifierOf(body)).toBe('alice');
    expect(rounds).toBeGreaterThanOrEqual(4);
  });

  it('is unreadable when others take all the time', async () => {
    expect((await parseBody(long, 'application/json', clock([0, 50_000]))).kind).toBe('unreadable');
    expect(identifierOf(await parseBody(long, 'application/json', clock([0, 100, 9_000])))).toBe('alice');
  });

  it('is refused for an error at its end', async () => {
    const broken = Buffer.concat([long, Buffer.from('}')]);
    expect((await parseBody(broken, 'application/json')).kind).toBe('refused');
  });
});
