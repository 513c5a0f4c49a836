import { describe, expect, it } from 'vitest';

import { capture, events } from './testing.ts';

const TRAITS = [
  { trait_key: 'plan', trait_value: 'gold' },
  { trait_key: ' age ', trait_value: 42 },
];

describe('POST identities/', () => {
  const request = 'POST identities/';

  it('touches the identity and its traits, trimmed as Python trims', () => {
    const body = { identifier: '\u00a0alice\u001f', traits: TRAITS };
    expect(events({ request, body })).toEqual(['identity alice traits=plan,age']);
  });

  it('touches a trait that is deleted by null', () => {
    const body = { identifier: 'alice', traits: [{ trait_key: 'plan', trait_value: null }] };
    expect(events({ request, body })).toEqual(['identity alice traits=plan']);
  });

  it('touches the identity when it has no traits', () => {
    expect(events({ request, body: { identifier: 'alice' } })).toEqual(['identity alice']);
  });

  it.for([undefined, null, '', ' \u3000', true, ['a'], { a: 1 }])(
    'stores nothing under the identifier %j',
    (identifier) => {
      expect(events({ request, body: { identifier, traits: TRAITS } })).toEqual([]);
    },
  );

  it.each([true, 'true', 'TRUE', 1, '1', 'on', 'Y', 't'])('stores nothing when transient is %j', (transient) => {
    expect(events({ request, body: { identifier: 'alice', transient, traits: TRAITS } })).toEqual([]);
  });

  it.each([false, 'false', 0, '0', null, '', 'off', 2])('treats %j as not transient', (transient) => {
    expect(events({ request, body: { identifier: 'alice', transient } })).toEqual(['identity alice']);
  });

  it('leaves a transient trait alone, even with null', () => {
    const traits = [{ trait_key: 'plan', trait_value: null, transient: true }, TRAITS[1]];
    expect(events({ request, body: { identifier: 'alice', traits } })).toEqual(['identity alice traits=age']);
  });

  it('spells numbers as Python does', () => {
    const body = '{"identifier": 1e16, "traits": [{"trait_key": 1.0, "trait_value": 1}]}';
    expect(events({ request, body })).toEqual(['identity 1e+16 traits=1.0']);
    expect(events({ request, body: '{"identifier": 12345678901234567890123}' })).toEqual([
      'identity 12345678901234567890123',
    ]);
  });

  it('lets the last of duplicate keys win', () => {
    expect(events({ request, body: '{"identifier": "alice", "identifier": "bob"}' })).toEqual(['identity bob']);
  });

  it('reads forms and multipart', () => {
    const form = 'identifier=al+ice&traits%5B0%5Dtrait_key=plan&traits[0]trait_value=x&traits[1]trait_key=age';
    const type = 'application/x-www-form-urlencoded';
    expect(events({ request, type, body: form })).toEqual(['identity al ice traits=plan,age']);
    const part = (name: string, value: string) =>
      `--XX\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;
    const body = `${part('identifier', 'alice')}${part('traits[0]trait_key', 'plan')}--XX--\r\n`;
    expect(events({ request, type: 'multipart/form-data; boundary=XX', body })).toEqual(['identity alice traits=plan']);
  });

  it('yields an event for a 500, after which the identity may be there without its traits', () => {
    const body = { identifier: 'alice', traits: [TRAITS[0], TRAITS[0]] };
    expect(events({ request, body, answer: 500 })).toEqual(['identity alice traits=plan']);
  });

  it('yields an event when the API did not answer', () => {
    expect(events({ request, body: { identifier: 'alice' }, answer: 'unknown' })).toEqual(['identity alice']);
  });

  it.each([301, 400, 401, 403, 405, 415, 429] as const)('yields none for a %i', (answer) => {
    expect(events({ request, body: { identifier: 'alice', traits: TRAITS }, answer })).toEqual([]);
  });

  it('yields none when the request never reached the API', () => {
    expect(events({ request, body: { identifier: 'alice' }, answer: 'notSent' })).toEqual([]);
  });

  it.each(['{"identifier": NaN}', '{"identifier": "alice"', '\ufeff{"identifier": "alice"}', '"alice"', '[]', 'null'])(
    'yields none for %s, which Core refuses',
    (body) => {
      expect(events({ request, body, answer: 'unknown' })).toEqual([]);
    },
  );

  it.each(['x'.repeat(2001), 'a\0b', '\ud800'])(
    'yields none for an identifier that no row can hold (%#)',
    (identifier) => {
      expect(events({ request, body: { identifier }, answer: 500 })).toEqual([]);
    },
  );

  it('counts identifiers in characters, not in UTF-16 units', () => {
    const identifier = '😀'.repeat(2000);
    expect(events({ request, body: { identifier } })).toEqual([`identity ${identifier}`]);
  });

  it('leaves out a trait key that no row can hold, and keeps the identity', () => {
    const traits = [{ trait_key: 'k'.repeat(201), trait_value: 1 }];
    expect(events({ request, body: { identifier: 'alice', traits }, answer: 500 })).toEqual(['identity alice']);
  });

  it('reports under which settings Core ignores the traits', () => {
    const body = { identifier: 'alice', traits: TRAITS };
    expect(capture({ request, body }).drafts[0]?.traitGates).toEqual(['clientTraits', 'persistTraitData']);
    expect(capture({ request, body, key: 'ser.secret' }).drafts[0]?.traitGates).toEqual(['persistTraitData']);
  });

  it('names a server key by its hash only', () => {
    const captured = capture({ request, body: { identifier: 'alice' }, key: 'ser.AbCdEfGhIjKlMnOpQrStUv' });
    expect(captured.drafts[0]?.target).toMatchObject({
      environment: { serverKeySha256: '15fb917320817fe26202d461332969c9c674e2e398f47548ef33743bc704ed2d' },
    });
    expect(JSON.stringify(captured)).not.toContain('AbCdEf');
  });

  it.each(['', 'k'.repeat(101)])('has no environment for the key %j', (key) => {
    expect(events({ request, body: { identifier: 'alice' }, key })).toEqual([]);
  });

  it('reports a body beyond the limit as uncovered', () => {
    const captured = capture({ request, body: '{"identifier": "al', extent: 'tooLarge' });
    expect(captured).toEqual({
      drafts: [],
      uncovered: { reason: 'bodyTooLarge', scope: [{ clientKey: 'clientkey' }] },
    });
    expect(capture({ request, extent: 'tooLarge', answer: 403 }).uncovered).toBeUndefined();
  });

  it('reports a body in an encoding that Python knows and we do not', () => {
    const captured = capture({ request, body: { identifier: 'alice' }, type: 'application/json; charset=utf-7' });
    expect(captured.uncovered?.reason).toBe('bodyUnreadable');
  });

  it('reports that it is wrong about a body that Core took', () => {
    expect(capture({ request, body: '<xml/>', type: 'application/xml' }).uncovered?.reason).toBe('bodyUnreadable');
    expect(capture({ request, body: '<xml/>', type: 'application/xml', answer: 500 }).uncovered).toBeUndefined();
  });
});

describe('GET identities/', () => {
  it.each(['GET', 'HEAD'])('%s creates the identity, whose identifier is not trimmed', (method) => {
    expect(events({ request: `${method} identities/?identifier=%20alice%2B1+x` })).toEqual(['identity  alice+1 x']);
  });

  it('takes the last of several identifiers', () => {
    expect(events({ request: 'GET identities/?identifier=a&identifier=b' })).toEqual(['identity b']);
  });

  it('creates the identity although the feature asked for does not exist', () => {
    expect(events({ request: 'GET identities/?identifier=alice&feature=x', answer: 404 })).toEqual(['identity alice']);
  });

  it('changes nothing when a stored trait shows that the identity was there', () => {
    const json = { traits: [{ id: 7, trait_key: 'plan', trait_value: 'gold' }], flags: [] };
    expect(events({ request: 'GET identities/?identifier=alice', answer: { status: 200, json } })).toEqual([]);
  });

  it.for([[], [{ id: null, trait_key: 'plan' }]])('proves nothing with the traits %j', (traits) => {
    const answer = { status: 200, json: { traits, flags: [] } };
    expect(events({ request: 'GET identities/?identifier=alice', answer })).toEqual(['identity alice']);
  });

  it.each(['true', 'false', '0', 'x'])('stores nothing with transient=%s', (transient) => {
    expect(events({ request: `GET identities/?identifier=alice&transient=${transient}` })).toEqual([]);
  });

  it('treats an empty transient as none', () => {
    expect(events({ request: 'GET identities/?identifier=alice&transient=' })).toEqual(['identity alice']);
  });

  it.each(['identities/', 'identities/?identifier=', 'identities?identifier=alice', 'flags/?identifier=alice'])(
    'stores nothing for %s',
    (target) => {
      expect(events({ request: `GET ${target}` })).toEqual([]);
    },
  );

  it('stores nothing under an identifier with NUL', () => {
    expect(events({ request: 'GET identities/?identifier=a%00b', answer: 500 })).toEqual([]);
  });

  it('drops blanks beyond the limit as Postgres does', () => {
    const request = `GET identities/?identifier=${'x'.repeat(2000)}%20%20`;
    expect(events({ request })).toEqual([`identity ${'x'.repeat(2000)}`]);
  });

  it.each([400, 500, 'unknown'] as const)('may have created the identity with %s', (answer) => {
    expect(events({ request: 'GET identities/?identifier=alice', answer })).toEqual(['identity alice']);
  });
});

describe('the deprecated routes', () => {
  it.each(['GET', 'HEAD'])('%s identities/<identifier>/ creates the identity, whatever follows', (method) => {
    expect(events({ request: `${method} identities/al%40ice/` })).toEqual(['identity al@ice']);
    expect(events({ request: `${method} identities/alice/x/y?z` })).toEqual(['identity alice']);
    expect(events({ request: `${method} identities/alice/traits/plan/` })).toEqual(['identity alice']);
  });

  it('accept letters and digits of every script, and broken bytes as escapes', () => {
    expect(events({ request: 'GET identities/caf%C3%A9%E4%BA%BA/' })).toEqual(['identity café人']);
    expect(events({ request: 'GET identities/a%FF/' })).toEqual(['identity a%FF']);
    expect(events({ request: 'GET identities/a%2525/' })).toEqual(['identity a%25']);
  });

  it('change nothing when a stored trait shows that the identity was there', () => {
    const answer = { status: 200, json: { flags: [], traits: [{ id: 1, trait_key: 'a' }], segments: [] } };
    expect(events({ request: 'GET identities/alice/', answer })).toEqual([]);
  });

  it.each([
    'GET identities/alice',
    'GET identities/a%20b/',
    'GET identities/a+b/',
    'GET identities//',
    'POST identities/alice/',
  ])('do not include %s', (request) => {
    expect(events({ request })).toEqual([]);
  });

  it('GET flags/<identifier> creates the identity, without a slash only', () => {
    expect(events({ request: 'GET flags/alice' })).toEqual(['identity alice']);
    expect(events({ request: 'HEAD flags/alice?feature=x', answer: 404 })).toEqual(['identity alice']);
    expect(events({ request: 'GET flags/alice/' })).toEqual([]);
    expect(events({ request: 'GET flags/' })).toEqual([]);
  });

  it.each([200, 400, 500, 'unknown'] as const)(
    'POST identities/<identifier>/traits/<key> may have changed both with %s',
    (answer) => {
      expect(events({ request: 'POST identities/alice/traits/plan.x', body: ['trait_value'], answer })).toEqual([
        'identity alice traits=plan.x',
      ]);
    },
  );

  it.each([403, 405, 415] as const)('POST identities/<identifier>/traits/<key> changed nothing with %i', (answer) => {
    expect(events({ request: 'POST identities/alice/traits/plan', answer })).toEqual([]);
  });

  it('POST identities/<identifier>/traits/<key>/ is no route', () => {
    expect(events({ request: 'POST identities/alice/traits/plan/' })).toEqual([]);
  });

  it('set the trait although clients may not', () => {
    const [draft] = capture({ request: 'POST identities/alice/traits/plan' }).drafts;
    expect(draft?.traitGates).toEqual(['persistTraitData']);
  });
});
