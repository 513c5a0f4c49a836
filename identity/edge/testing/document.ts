import type { Item } from '../document/document.ts';

export const key = (identifier: string) => `key_${identifier}`;

/** An identity's document in the environment with client key `key`. */
export function documentOf(identifier: string, plan: string, djangoId: number | null = 1): Item {
  return {
    composite_key: { S: key(identifier) },
    environment_api_key: { S: 'key' },
    identifier: { S: identifier },
    django_id: djangoId === null ? { NULL: true } : { N: String(djangoId) },
    identity_traits: { L: [{ M: { trait_key: { S: 'plan' }, trait_value: { S: plan } } }] },
    identity_features: { L: [] },
  };
}
