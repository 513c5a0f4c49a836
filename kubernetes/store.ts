import { type KubernetesObject, objectKey } from './objects.ts';

/** A change of an object. `previous` is absent if the store did not hold a readable one. */
export type ObjectChange<T> =
  | { readonly type: 'added'; readonly key: string; readonly object: T }
  | { readonly type: 'updated'; readonly key: string; readonly object: T; readonly previous: T | undefined }
  | { readonly type: 'deleted'; readonly key: string; readonly previous: T | undefined }
  /** The parser rejects it: it exists, but its content is unknown. */
  | {
      readonly type: 'unreadable';
      readonly key: string;
      readonly previous: T | undefined;
      readonly object: KubernetesObject;
      readonly error: unknown;
    };

export type Indexes<T> = Readonly<Record<string, (object: T) => readonly string[]>>;

interface Entry<T> {
  readonly namespace: string | undefined;
  readonly uid: string | undefined;
  readonly resourceVersion: string | undefined;
  /** Undefined for an unreadable one. */
  readonly value: T | undefined;
}

/** The latest known objects, parsed once. Every method that writes returns the changes. */
export interface Store<T> {
  get(key: string): T | undefined;
  list(): T[];
  /** Of all objects, including unreadable ones. */
  keys(): string[];
  byIndex(index: string, value: string): T[];
  readonly size: number;
  /** An object from a watch. */
  put(object: KubernetesObject): ObjectChange<T>[];
  remove(object: KubernetesObject): ObjectChange<T>[];
  /** A complete list of a namespace, or of all: objects that are not in it are removed. */
  replace(namespace: string | undefined, objects: readonly KubernetesObject[]): ObjectChange<T>[];
}

export function createStore<T>(parse: (object: KubernetesObject) => T, indexes: Indexes<T> = {}): Store<T> {
  const entries = new Map<string, Entry<T>>();
  const indexed = new Map(Object.keys(indexes).map((name) => [name, new Map<string, Set<string>>()]));

  function set(key: string, entry: Entry<T> | undefined) {
    const old = entries.get(key)?.value;
    for (const [name, valuesOf] of Object.entries(indexes)) {
      const keys = indexed.get(name)!;
      for (const value of old === undefined ? [] : valuesOf(old)) {
        if (keys.get(value)?.delete(key) && keys.get(value)?.size === 0) keys.delete(value);
      }
      for (const value of entry?.value === undefined ? [] : valuesOf(entry.value)) {
        keys.set(value, (keys.get(value) ?? new Set()).add(key));
      }
    }
    if (entry === undefined) entries.delete(key);
    else entries.set(key, entry);
  }

  function read(object: KubernetesObject): { readonly value: T } | { readonly error: unknown } {
    try {
      return { value: parse(object) };
    } catch (error) {
      return { error };
    }
  }

  function put(object: KubernetesObject): ObjectChange<T>[] {
    const key = objectKey(object.metadata);
    const known = entries.get(key);
    const { namespace, uid, resourceVersion } = object.metadata;
    // Versions are opaque: an equal one means no change, any other one a change.
    if (known !== undefined && known.uid === uid && known.resourceVersion === resourceVersion) return [];
    // Another object of the same name: users that keep state by uid must see the deletion of the first one.
    const replaced = known !== undefined && known.uid !== uid ? removeKey(key) : [];
    const previous = entries.get(key)?.value;
    const found = read(object);
    set(key, { namespace, uid, resourceVersion, value: 'value' in found ? found.value : undefined });
    if ('error' in found) return [...replaced, { type: 'unreadable', key, previous, object, error: found.error }];
    const { value } = found;
    const isNew = known === undefined || replaced.length > 0;
    return [
      ...replaced,
      isNew ? { type: 'added', key, object: value } : { type: 'updated', key, object: value, previous },
    ];
  }

  function removeKey(key: string): ObjectChange<T>[] {
    const known = entries.get(key);
    if (known === undefined) return [];
    set(key, undefined);
    return [{ type: 'deleted', key, previous: known.value }];
  }

  return {
    get: (key) => entries.get(key)?.value,
    list: () => [...entries.values()].flatMap(({ value }) => (value === undefined ? [] : [value])),
    keys: () => [...entries.keys()],
    byIndex(index, value) {
      const keys = indexed.get(index);
      if (keys === undefined) throw new Error(`no index ${index}`);
      return [...(keys.get(value) ?? [])].map((key) => entries.get(key)?.value as T);
    },
    get size() {
      return entries.size;
    },
    put,
    remove(object) {
      const key = objectKey(object.metadata);
      // The late deletion of an earlier object must not remove its successor.
      return entries.get(key)?.uid === object.metadata.uid ? removeKey(key) : [];
    },
    replace(namespace, objects) {
      const listed = new Set(objects.map(({ metadata }) => objectKey(metadata)));
      const gone = [...entries].filter(
        ([key, entry]) => !listed.has(key) && (namespace === undefined || entry.namespace === namespace),
      );
      return [...gone.flatMap(([key]) => removeKey(key)), ...objects.flatMap(put)];
    },
  };
}
