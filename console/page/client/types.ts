/** Types of the console's API responses, from the schemas of its server; none of its code becomes part of the page. */

import type {
  ActionName,
  ActionState,
  changeSchema,
  ProjectDetail as EventDetail,
  ProjectSummary,
  pageSchema,
  problemSchema,
  Sample,
  sessionSchema,
  warningSchema,
} from '@edge-migration/console/schemas.ts';
import type { Spec } from '@edge-migration/contract/edge-migration/api.ts';
import type { z } from 'zod';

export type { ActionName, ActionState, ProjectSummary, Sample, Spec };
export type Warning = z.infer<typeof warningSchema>;
export type Session = z.infer<typeof sessionSchema>;
export type ProjectPage = z.infer<typeof pageSchema>;
export type ChangeAnswer = z.infer<typeof changeSchema>;
/** A proxy may respond, too, and a later release with other codes. */
export type Problem = Omit<z.infer<typeof problemSchema>, 'type' | 'code'> & { code: string };
/** Events contain no actions: those depend on the caller. */
export type Detail = EventDetail & { actions?: Record<ActionName, ActionState> };
