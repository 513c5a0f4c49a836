import { z } from 'zod';

const image = z.string().min(1).optional();

/** Environment variables of tests, under their own names: what machines and pipelines differ in. */
const schema = z.object({
  /** Where Postgres, NATS and DynamoDB Local of `npm test` run; `auto`: containers where an engine answers and has their images. */
  TEST_SERVICES: z.enum(['auto', 'containers', 'processes']).default('auto'),
  /** Images of the services; otherwise built on DEBIAN_IMAGE if that is named, and public ones if not. */
  POSTGRES_IMAGE: image,
  NATS_IMAGE: image,
  DYNAMODB_IMAGE: image,
  /** A Debian with a package source that answers, for machines that reach no public registry. */
  DEBIAN_IMAGE: image,
  /** Base of the product's image: Node 24 as `node` on the PATH. */
  NODE_IMAGE: image,
  /** Where the image's `npm ci` runs; NODE_IMAGE if that has npm, else that with this machine's npm. */
  BUILD_IMAGE: image,
  /** The product's image, if it is built already. */
  PRODUCT_IMAGE: image,
  /** Identities of the test that damages documents: a release takes 100000, which DynamoDB Local needs long to hold. */
  VERIFY_IDENTITIES: z.coerce.number().int().min(5_000).default(20_000),
  /** Set by `npm run test:kind`: the product's image with the tests' own pods in it. */
  FIXTURE_IMAGE: image,
  /** Base of the stand-in for Flagsmith's image: any with Python 3; DEBIAN_IMAGE with one installed where that is named. */
  PYTHON_IMAGE: image,
  /** Set by `npm run test:kind`: the stand-in for Flagsmith's image. */
  STAND_IN_IMAGE: image,
  /** Image of kind's nodes. */
  KIND_NODE_IMAGE: image,
  /** Name of the cluster that `npm run test:kind` makes, or finds. */
  KIND_CLUSTER: z.string().min(1).default('edge-migration'),
  /** Configuration file of that cluster. */
  KIND_CONFIG: z.string().min(1).optional(),
  /** `npm run test:kind` leaves the cluster that it made. */
  KIND_KEEP: z.stringbool().default(false),
  /** The cluster that `npm run test:kind` takes instead of making one. */
  KUBECONFIG: z.string().min(1).optional(),
  /** Set by `npm run test:kind`: the end-to-end tests install into this cluster instead of an embedded one. */
  E2E_KUBECONFIG: z.string().min(1).optional(),
});

export type TestConfiguration = z.output<typeof schema>;

/**
 * What the environment says; an empty variable counts as unset.
 *
 * @throws ZodError naming the variable that is wrong
 */
export function readTestConfiguration(environment: NodeJS.ProcessEnv = process.env): TestConfiguration {
  return schema.parse(Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== '')));
}
