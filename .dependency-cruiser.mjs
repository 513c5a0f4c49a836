/** Which package may import which: `npm run check` fails on any other import, and on any cycle (docs/design.md, "Layout"). */
const MAY_IMPORT = {
  runtime: [],
  contract: ['runtime'],
  identity: ['contract', 'runtime'],
  kubernetes: ['runtime'],
  'replay-sidecar': ['identity', 'kubernetes', 'contract', 'runtime'],
  operator: ['identity', 'kubernetes', 'contract', 'runtime'],
  cli: ['operator', 'kubernetes', 'contract', 'runtime'],
  console: ['operator', 'kubernetes', 'contract', 'runtime'],
};
/** Tests and what only they use may look into packages above their own, and start clusters. */
const OF_TESTS = '\\.test\\.ts$|/(testing|fixtures)/|/testing\\.ts$';
const PACKAGES = [...Object.keys(MAY_IMPORT), 'bin', 'test', 'scripts'];

const directions = Object.entries(MAY_IMPORT).map(([name, below]) => ({
  name: `${name}-imports-${below.join('-') || 'nothing'}`,
  severity: 'error',
  from: { path: `^${name}/`, pathNot: OF_TESTS },
  to: { path: `^(${PACKAGES.filter((other) => other !== name && !below.includes(other)).join('|')})/` },
}));

/** Deciding code gets facts and answers with actions: it can do neither I/O nor wait. */
const DECIDING =
  '^(operator/(edge-migration|coverage)/(readiness/)?(decide|policies|decision|range-work|work|verification)|identity/edge/(verdict|merge|compare))\\.ts$';

export default {
  forbidden: [
    ...directions,
    {
      name: 'no-cycle',
      severity: 'error',
      from: { pathNot: OF_TESTS },
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'product-without-tests',
      severity: 'error',
      from: { path: `^(${Object.keys(MAY_IMPORT).join('|')}|bin)/`, pathNot: OF_TESTS },
      to: { path: OF_TESTS },
    },
    {
      name: 'decisions-are-pure',
      severity: 'error',
      from: { path: DECIDING },
      to: {
        path: '^node:(fs|net|http|child_process)|@kubernetes/|@aws-sdk/|@nats-io/|/pg/',
        dependencyTypesNot: ['type-only'],
      },
    },
    { name: 'unresolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(node_modules|\\.cache)' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default', 'types'] },
  },
};
