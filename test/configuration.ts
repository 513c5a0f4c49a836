import { z } from 'zod';

const image = z.string().min(1).optional();

/** Environment variables of tests, under their own names: the differences between machines and pipelines. */
const schema = z.object({
  /** Where Postgres, NATS and DynamoDB Local of `npm test` run; `auto`: containers if an engine has their images. */
  TEST_SERVICES: z.enum(['auto', 'containers', 'processes']).default('auto'),
  /** Images of the services; by default built on DEBIAN_IMAGE if that is named, otherwise public ones. */
  POSTGRES_IMAGE: image,
  NATS_IMAGE: image,
  DYNAMODB_IMAGE: image,
  /** A Debian with a working package source, for machines that reach no public registry. */
  DEBIAN_IMAGE: image,
  /** Base of the product's image: Node 24 as `node` on the PATH. */
  NODE_IMAGE: image,
  /** Where the image's `npm ci` runs; NODE_IMAGE if that has npm, otherwise that with this machine's npm. */
  BUILD_IMAGE: image,
  /** The product's image, if already built. */
  PRODUCT_IMAGE: image,
  /** Identities in the test that damages documents: 100000 for a release, which DynamoDB Local stores slowly. */
  VERIFY_IDENTITIES: z.coerce.number().int().min(5_000).default(20_000),
  /** Set by `npm run test:kind`: the product's image, including the tests' own pods. */
  FIXTURE_IMAGE: image,
  /** Base of the stand-in for Flagsmith's image: any with Python 3; DEBIAN_IMAGE plus Python if that is named. */
  PYTHON_IMAGE: image,
  /** Set by `npm run test:kind`: the stand-in for Flagsmith's image. */
  STAND_IN_IMAGE: image,
  /** Image of kind's nodes. */
  KIND_NODE_IMAGE: image,
  /** Name of the cluster that `npm run test:kind` creates or finds. */
  KIND_CLUSTER: z.string().min(1).default('edge-migration'),
  /** Configuration file of that cluster. */
  KIND_CONFIG: z.string().min(1).optional(),
  /** `npm run test:kind` keeps the cluster that it created. */
  KIND_KEEP: z.stringbool().default(false),
  /** The cluster that `npm run test:kind` uses instead of creating one. */
  KUBECONFIG: z.string().min(1).optional(),
  /** Set by `npm run test:kind`: the end-to-end tests install into this cluster instead of an embedded one. */
  E2E_KUBECONFIG: z.string().min(1).optional(),
});

export type TestConfiguration = z.output<typeof schema>;

/**
 * Parses the environment; an empty variable counts as unset.
 *
 * @throws ZodError naming the invalid variable
 */
export function readTestConfiguration(environment: NodeJS.ProcessEnv = process.env): TestConfiguration {
  return schema.parse(Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== '')));
}
