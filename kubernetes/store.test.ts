import { describe, expect, it } from 'vitest';
import type { KubernetesObject } from './objects.ts';
import { createStore } from './store.ts';

function object(uid: string, resourceVersion: string, namespace = 'default'): KubernetesObject {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace, name: 'one', uid, resourceVersion } };
}

describe('a store', () => {
  it('a store treats the same version as no change and any other as a change, without comparing order', () => {
    const store = createStore(({ metadata }) => metadata.resourceVersion);
    expect(store.put(object('a', '10'))).toEqual([{ type: 'added', key: 'default/one', object: '10' }]);
    expect(store.put(object('a', '10'))).toEqual([]);
    expect(store.put(object('a', '9'))).toEqual([{ type: 'updated', key: 'default/one', object: '9', previous: '10' }]);
  });

  it('a store does not let the late deletion of an object remove its successor', () => {
    const store = createStore(({ metadata }) => metadata.uid);
    store.put(object('old', '1'));
    expect(store.put(object('new', '2')).map(({ type }) => type)).toEqual(['deleted', 'added']);
    expect(store.remove(object('old', '3'))).toEqual([]);
    expect(store.get('default/one')).toBe('new');
    expect(store.remove(object('new', '4'))).toEqual([{ type: 'deleted', key: 'default/one', previous: 'new' }]);
  });

  it('a namespace’s list removes only objects of that namespace from a store', () => {
    const store = createStore(({ metadata }) => metadata.namespace);
    store.put(object('a', '1', 'here'));
    store.put(object('b', '1', 'there'));
    expect(store.replace('here', []).map(({ key }) => key)).toEqual(['here/one']);
    expect(store.keys()).toEqual(['there/one']);
    expect(store.replace(undefined, []).map(({ key }) => key)).toEqual(['there/one']);
  });

  it('a store has only the indexes that it was given', () => {
    expect(() => createStore(() => 1).byIndex('owner', 'x')).toThrow('no index owner');
  });
});
