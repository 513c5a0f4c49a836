import { saveAdminForm } from './effects/settings.ts';
import type { Route } from './route.ts';
import { ADMIN } from './table/admin.ts';
import { toRoute } from './table/row.ts';
import { SDK } from './table/sdk.ts';
import { SETTINGS } from './table/settings.ts';

/** Every way over HTTP in which Core changes identities, in the order in which Core's own patterns are tried. */
export const ROUTES: readonly Route[] = [
  ...SDK.map((row) => toRoute({ ...row, environment: 'header' })),
  ...ADMIN.map(toRoute),
  ...SETTINGS.map(toRoute),
];

/**
 * Forms of the Django admin (`/admin/…`), outside the API, which cannot be asked what they changed. A saved one
 * redirects; with any other answer nothing was changed, unless the form was in a pop-up.
 */
export const DJANGO_ADMIN: Route = toRoute({
  name: 'django.admin',
  methods: 'POST',
  path: 'admin/<application>/',
  end: 'prefix',
  body: 'object',
  readsAnswer: true,
  unchanged: [400],
  effects: saveAdminForm,
});
