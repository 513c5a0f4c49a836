import type { EventTarget } from '@edge-migration/contract/write-event.ts';
import type { WriteScope } from '@edge-migration/contract/write-scope.ts';
import type { DraftEvent } from './draft.ts';

/** The drafts' scope, for a gap in their place; empty when one of them may concern anyone. */
export function scopeOf(drafts: readonly DraftEvent[]): WriteScope[] {
  const scopes = drafts.map(({ target }) => scopeOfTarget(target));
  return scopes.includes(undefined) ? [] : (scopes as WriteScope[]);
}

function scopeOfTarget(target: EventTarget): WriteScope | undefined {
  switch (target.kind) {
    case 'identity':
    case 'environment':
      return target.environment;
    case 'features':
      return target.of;
    case 'identityId':
      return { identityId: target.identityId };
    case 'feature':
      return { featureId: target.featureId };
    case 'featureState':
      return { featureStateId: target.featureStateId };
    case 'project':
      return { projectId: target.projectId };
    case 'option':
    case 'deletedProjects':
      return undefined;
  }
}
