import {
  bulkTraits,
  identify,
  identityRead,
  identityReadByPath,
  incrementTrait,
  readsIdentity,
  setTrait,
  setTraitByPath,
} from '../effects/sdk.ts';
import { READ, type RouteRow } from './row.ts';

/** Routes that SDKs call, with an environment's key (docs/flagsmith.md, "SDK endpoints"). */
export const SDK: readonly RouteRow[] = [
  // Not a router's: `identities/.json/` is the identity `.json` of the deprecated route.
  {
    name: 'sdk.identify',
    methods: 'POST',
    path: 'identities/',
    end: 'exact',
    body: 'object',
    unchanged: [400],
    effects: identify,
  },
  {
    name: 'sdk.readIdentity',
    methods: READ,
    path: 'identities/',
    end: 'exact',
    changed: [404],
    readsAnswer: true,
    rateLimited: true,
    concerns: readsIdentity,
    effects: identityRead,
  },
  // The deprecated routes come first in Core's list, and the first pattern that fits the path decides.
  {
    name: 'sdk.setTraitByPath',
    methods: 'POST',
    path: 'identities/<identifier>/traits/<traitKey>',
    effects: setTraitByPath,
  },
  {
    name: 'sdk.readIdentityByPath',
    methods: READ,
    path: 'identities/<identifier>/',
    end: 'prefix',
    changed: [404],
    readsAnswer: true,
    rateLimited: true,
    effects: identityReadByPath,
  },
  {
    name: 'sdk.readFlagsByPath',
    methods: READ,
    path: 'flags/<identifier>',
    changed: [404],
    rateLimited: true,
    effects: identityReadByPath,
  },
  {
    name: 'sdk.setTrait',
    methods: 'POST',
    path: 'traits/',
    body: 'object',
    unchanged: [400],
    effects: setTrait,
  },
  { name: 'sdk.bulkTraits', methods: 'PUT', path: 'traits/bulk/', body: 'list', effects: bulkTraits },
  {
    name: 'sdk.incrementTrait',
    methods: 'POST',
    path: 'traits/increment-value/',
    body: 'object',
    unchanged: [400],
    effects: incrementTrait,
  },
];
