import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { apiVersion, type KubernetesObject, type ObjectReference, objectKey, type Resource } from '../objects.ts';

export interface StoredEvent {
  readonly version: number;
  readonly resource: Resource;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: KubernetesObject;
}

/** The response to a failed request. */
export class StatusError extends Error {
  readonly status: number;
  readonly reason: string;
  readonly objectName: string | undefined;

  constructor(status: number, reason: string, message: string, objectName?: string) {
    super(message);
    this.status = status;
    this.reason = reason;
    this.objectName = objectName;
  }
}

type Json = Record<string, unknown>;

/**
 * Objects with versions and a history, as kept by etcd and the API server. Server-side apply is a deep merge, without
 * field ownership (which the real API server has).
 */
export function createObjectStore(onEvent: (event: StoredEvent) => void) {
  const objects = new Map<string, { resource: Resource; object: KubernetesObject }>();
  let history: StoredEvent[] = [];
  let version = 100;
  let compacted = version;

  const keyOf = (resource: Resource, reference: ObjectReference) =>
    `${resource.plural}.${resource.group} ${objectKey(reference)}`;

  function commit(resource: Resource, type: StoredEvent['type'], object: KubernetesObject): KubernetesObject {
    version++;
    object.metadata.resourceVersion = String(version);
    const key = keyOf(resource, object.metadata);
    if (type === 'DELETED') objects.delete(key);
    else objects.set(key, { resource, object });
    const event: StoredEvent = { version, resource, type, object: structuredClone(object) };
    history.push(event);
    onEvent(event);
    return structuredClone(object);
  }

  function find(resource: Resource, reference: ObjectReference): KubernetesObject | undefined {
    const found = objects.get(keyOf(resource, reference))?.object;
    return found && structuredClone(found);
  }

  function require(resource: Resource, reference: ObjectReference): KubernetesObject {
    const found = find(resource, reference);
    if (found !== undefined) return found;
    throw new StatusError(404, 'NotFound', `${resource.plural} "${reference.name}" not found`, reference.name);
  }

  function create(resource: Resource, input: KubernetesObject): KubernetesObject {
    const object = structuredClone(input);
    if (find(resource, object.metadata) !== undefined) {
      throw new StatusError(
        409,
        'AlreadyExists',
        `${resource.plural} "${object.metadata.name}" already exists`,
        object.metadata.name,
      );
    }
    Object.assign(object, { apiVersion: apiVersion(resource), kind: resource.kind });
    Object.assign(object.metadata, { uid: randomUUID(), generation: 1, creationTimestamp: '2026-01-01T00:00:00Z' });
    return commit(resource, 'ADDED', object);
  }

  /** Replaces `changes` in the object; the status subresource and the rest do not affect each other. */
  function write(resource: Resource, previous: KubernetesObject, next: KubernetesObject, subresource?: string) {
    const expected = next.metadata.resourceVersion;
    if (expected !== undefined && expected !== previous.metadata.resourceVersion) {
      throw new StatusError(409, 'Conflict', 'the object has been modified', previous.metadata.name);
    }
    const { uid } = next.metadata;
    if (subresource !== 'status' && uid !== undefined && uid !== previous.metadata.uid) {
      throw new StatusError(409, 'Conflict', 'uid mismatch', previous.metadata.name);
    }
    const object: KubernetesObject =
      subresource === 'status'
        ? { ...previous, status: next['status'] }
        : { ...next, ...('status' in previous && { status: previous['status'] }) };
    object.metadata = { ...object.metadata };
    object.metadata.uid = previous.metadata.uid ?? '';
    object.metadata.resourceVersion = previous.metadata.resourceVersion ?? '';
    const specChanged = !isDeepStrictEqual(object['spec'], previous['spec']);
    object.metadata.generation = (previous.metadata.generation ?? 1) + (specChanged ? 1 : 0);
    if (isDeepStrictEqual(object, previous)) return previous;
    return commit(resource, 'MODIFIED', structuredClone(object));
  }

  return {
    version: () => String(version),
    compactedVersion: () => compacted,
    /** Discards the history: watches and lists from older versions return 410 from now on. */
    compact() {
      history = [];
      version++;
      compacted = version;
    },
    since: (resource: Resource, from: number) =>
      history.filter((event) => event.version > from && event.resource === resource),
    all: (resource: Resource) =>
      [...objects.values()].filter((entry) => entry.resource === resource).map(({ object }) => structuredClone(object)),
    find,
    require,
    create,
    replace: (resource: Resource, object: KubernetesObject, subresource?: string) =>
      write(resource, require(resource, object.metadata), object, subresource),
    merge: (resource: Resource, reference: ObjectReference, patch: Json, subresource?: string) => {
      const previous = require(resource, reference);
      return write(resource, previous, merge(previous, patch, true) as unknown as KubernetesObject, subresource);
    },
    apply(resource: Resource, object: KubernetesObject, subresource?: string) {
      const previous = find(resource, object.metadata);
      if (previous === undefined && subresource === undefined) {
        if (object.metadata.uid === undefined) return create(resource, object);
        throw new StatusError(409, 'Conflict', 'uid mismatch: no existing object was found', object.metadata.name);
      }
      const found = require(resource, object.metadata);
      return write(resource, found, merge(found, object, false) as unknown as KubernetesObject, subresource);
    },
    remove(resource: Resource, reference: ObjectReference, uid?: string) {
      const object = require(resource, reference);
      if (uid !== undefined && uid !== object.metadata.uid) {
        throw new StatusError(409, 'Conflict', 'Precondition failed: UID in precondition', reference.name);
      }
      return commit(resource, 'DELETED', object);
    },
  };
}

/** RFC 7386 when `nullRemoves`; lists are replaced as a whole. */
function merge(target: Json, patch: Json, nullRemoves: boolean): Json {
  const result: Json = { ...target };
  for (const [field, value] of Object.entries(patch)) {
    const old = result[field];
    if (value === null && nullRemoves) delete result[field];
    else if (isObject(value)) result[field] = merge(isObject(old) ? old : {}, value, nullRemoves);
    else result[field] = value;
  }
  return result;
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
