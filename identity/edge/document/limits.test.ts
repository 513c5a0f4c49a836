import { type AttributeValue, DynamoDBClient, PutItemCommand } from '@aws-sdk/client-dynamodb';
import { dynamodb } from '@edge-migration/test/cluster/shared.ts';
import { createTables, type TestTables } from '@edge-migration/test/edge/tables.ts';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CoreIdentity, CoreTrait } from '../../core/identity.ts';
import { type EncodedDocument, encodeIdentity, type Item, type SkippedIdentity } from './document.ts';
import { itemBytes, MAX_ITEM_BYTES, utf8Bytes } from './size.ts';

let tables: TestTables;
let client: DynamoDBClient;

beforeAll(async () => {
  const access = await dynamodb();
  tables = await createTables(access);
  client = new DynamoDBClient(access);
});
afterAll(async () => {
  client.destroy();
  await tables.drop();
});

/** DynamoDB's verdict: `stored`, or why not. */
async function put(item: Item): Promise<string> {
  try {
    await client.send(new PutItemCommand({ TableName: tables.settings.identitiesTable, Item: item }));
    return 'stored';
  } catch (error) {
    return String(error);
  }
}

function encode(facts: Partial<CoreIdentity>, apiKey = 'key'): EncodedDocument | SkippedIdentity {
  const identity = {
    ...{ id: 1, identifier: 'someone', createdDate: '2024-01-02T03:04:05', systemTraits: null },
    ...{ traits: [], overrides: [], overrideWinner: 'highestId' as const },
    ...facts,
  };
  return encodeIdentity(identity, { id: 1, apiKey, useV2FeatureVersioning: false });
}

const encodeTrait = (type: string, value: CoreTrait['value']) => encode({ traits: [{ id: 1, key: 'k', type, value }] });

/** The document, regardless of its limits: to show that DynamoDB refuses what we skip. */
function withTrait(value: AttributeValue): Item {
  const { item } = encode({}) as EncodedDocument;
  return { ...item, identity_traits: { L: [{ M: { trait_key: { S: 'k' }, trait_value: value } }] } };
}

const withKeys = (identifier: string, apiKey: string): Item => ({
  ...(encode({}) as EncodedDocument).item,
  identifier: { S: identifier },
  environment_api_key: { S: apiKey },
  composite_key: { S: `${apiKey}_${identifier}` },
});

describe('identifiers and keys', () => {
  test.each([
    ['ASCII', 'a'.repeat(1024), 'a'.repeat(1025)],
    ['CJK', `${'用'.repeat(341)}x`, `${'用'.repeat(341)}xy`],
    ['four-byte characters', '🦄'.repeat(256), `${'🦄'.repeat(256)}x`],
  ])('identifiers of 1,024 bytes are stored, of 1,025 skipped: %s', async (_, fits, tooLong) => {
    expect([utf8Bytes(fits), utf8Bytes(tooLong)]).toEqual([1024, 1025]);
    const result = encode({ identifier: fits });
    expect(result.kind === 'document' && (await put(result.item))).toBe('stored');
    expect(encode({ identifier: tooLong })).toMatchObject({
      reason: 'IdentifierTooLong',
      detail: 'identifier has 1025 bytes of 1024',
    });
    expect(await put(withKeys(tooLong, 'key'))).toMatch(/ValidationException.*size limit/i);
  });

  test('an empty identifier is skipped because DynamoDB cannot index it', async () => {
    expect(encode({ identifier: '' })).toMatchObject({ reason: 'IdentifierEmpty' });
    expect(await put(withKeys('', 'key'))).toMatch(/ValidationException/);
  });

  test('a key of 2,048 bytes is stored, of 2,049 skipped', async () => {
    const identifier = 'i'.repeat(1024);
    const result = encode({ identifier }, 'k'.repeat(1023));
    expect(result.kind === 'document' && utf8Bytes(result.key)).toBe(2048);
    expect(result.kind === 'document' && (await put(result.item))).toBe('stored');
    expect(encode({ identifier }, 'k'.repeat(1024))).toMatchObject({ reason: 'KeyTooLong' });
    expect(await put(withKeys(identifier, 'k'.repeat(1024)))).toMatch(/ValidationException/);
  });
});

describe('numbers', () => {
  test.each([
    ['38 digits', '9'.repeat(38), '9'.repeat(39), 'NumberTooPrecise'],
    [
      '38 digits and zeros behind them',
      '9'.repeat(38) + '0'.repeat(88),
      '9'.repeat(38) + '0'.repeat(89),
      'NumberOutOfRange',
    ],
    ['negative', `-${'1'.repeat(38)}${'0'.repeat(88)}`, `-${'1'.repeat(39)}`, 'NumberTooPrecise'],
    ['125 zeros', `1${'0'.repeat(125)}`, `1${'0'.repeat(126)}`, 'NumberOutOfRange'],
  ])('a numeric text of %s is stored, and one digit more is not', async (_, fits, tooLong, reason) => {
    const result = encodeTrait('unicode', fits);
    expect(result.kind === 'document' && (await put(result.item))).toBe('stored');
    expect(encodeTrait('unicode', tooLong)).toMatchObject({ kind: 'skipped', reason });
    expect(await put(withTrait({ N: tooLong }))).toMatch(/ValidationException/);
  });

  test.each([
    [1e-130, 9.999999999999999e-131],
    [9.999999999999998e125, 1e126],
    [-1e-130, -9.999999999999999e-131],
  ])('the float %d is stored, and its neighbour %d is out of range', async (fits, outside) => {
    const result = encodeTrait('float', fits);
    expect(result.kind === 'document' && (await put(result.item))).toBe('stored');
    expect(encodeTrait('float', outside)).toMatchObject({ kind: 'skipped', reason: 'NumberOutOfRange' });
    expect(await put(withTrait({ N: outside.toExponential() }))).toMatch(/ValidationException/);
  });

  test('minus zero is stored', async () => {
    const result = encodeTrait('float', -0);
    expect(result.kind === 'document' && (await put(result.item))).toBe('stored');
  });
});

describe('texts of traits', () => {
  test.each(['a', '用', '🦄'])(
    'trait texts of 2,000 characters are stored, of 2,001 skipped: %s',
    async (character) => {
      const result = encodeTrait('unicode', character.repeat(2000));
      expect(result.kind === 'document' && (await put(result.item))).toBe('stored');
      expect(encodeTrait('unicode', character.repeat(2001))).toMatchObject({
        reason: 'TextTooLong',
        detail: 'trait 1 has more than 2000 characters',
      });
    },
  );
});

describe('documents', () => {
  /** Traits that make the document exactly this big. */
  function ofBytes(bytes: number): Partial<CoreIdentity> {
    const trait = (id: number, length: number) => ({ id, key: `k${id}`, type: 'unicode', value: 'x'.repeat(length) });
    const traits: CoreTrait[] = [];
    const size = () => itemBytes((encode({ traits }) as EncodedDocument).item);
    while (size() + 4000 < bytes) traits.push(trait(100 + traits.length, 1900));
    traits.push(trait(998, 1500), trait(999, 0));
    traits[traits.length - 1] = trait(999, bytes - size());
    return { traits };
  }

  test('documents of 409,600 bytes are stored, and one byte more is skipped as DynamoDB would refuse it', async () => {
    const fits = encode(ofBytes(MAX_ITEM_BYTES));
    expect(fits).toMatchObject({ kind: 'document', bytes: 409_600 });
    const { item } = fits as EncodedDocument;
    expect(await put(item)).toBe('stored');
    expect(encode(ofBytes(MAX_ITEM_BYTES + 1))).toMatchObject({
      reason: 'DocumentTooLarge',
      detail: '409601 bytes of 409600',
    });
    expect(await put({ ...item, dashboard_alias: { S: 'x' } })).toMatch(/ValidationException.*size/i);
  });

  const scalars = fc.oneof(
    fc.string({ unit: 'binary' }).map((S): AttributeValue => ({ S })),
    fc.integer().map((n): AttributeValue => ({ N: String(n) })),
    fc
      .tuple(fc.bigInt({ min: -(10n ** 37n), max: 10n ** 37n }), fc.integer({ min: -120, max: 80 }))
      .map(([digits, exponent]): AttributeValue => ({ N: `${digits}E${exponent}` })),
    fc.stringMatching(/^-?[0-9]{1,9}\.[0-9]{1,9}$/).map((N): AttributeValue => ({ N })),
    fc.constantFrom<AttributeValue>({ NULL: true }, { BOOL: true }, { N: '-0.0' }, { L: [] }, { M: {} }),
  );
  const nested = fc.array(
    fc.oneof(
      scalars,
      fc.array(scalars).map((L): AttributeValue => ({ L })),
      fc.dictionary(fc.string({ minLength: 1 }), scalars).map((M): AttributeValue => ({ M })),
    ),
    { minLength: 50, maxLength: 200 },
  );

  test("document sizes match DynamoDB's to the byte for any content", { timeout: 600_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(nested, async (L) => {
        const item = { ...withTrait({ L }), padding: { S: '' } };
        const padding = 'x'.repeat(MAX_ITEM_BYTES - itemBytes(item));
        expect(await put({ ...item, padding: { S: padding } })).toBe('stored');
        expect(await put({ ...item, padding: { S: `${padding}x` } })).toMatch(/size/i);
      }),
      { numRuns: 20 },
    );
  });
});
