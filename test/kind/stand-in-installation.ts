import { DYNAMODB_CLIENT } from '../cluster/dynamodb.ts';
import { probeHttp } from '../cluster/probe.ts';
import { readTestConfiguration } from '../configuration.ts';
import { CORE_API } from '../e2e/replay-parts.ts';
import { describeStandIn, nameServingTables, STAND_IN_LABELS } from '../e2e/stand-in-api.ts';
import type { HandoverMode, HandoverTarget } from '../e2e/target.ts';
import { createServingTestTables } from '../edge/serving-tables.ts';
import { stateOf } from '../handover/stand-in.ts';
import { install } from './installation.ts';
import { RESTRICTED, STORES } from './services.ts';

const SERVICE = 'flagsmith-api';
const USER = 1000;
// Its pods start while everything else runs on the node, and request each part of the state.
const TIMEOUT_SECONDS = 20;
const CREDENTIALS = { secret: 'flagsmith-aws', folder: '/etc/aws', file: 'credentials' };

/**
 * The product from the chart, with the stand-in's image for a Core API whose pods are as restricted as their namespace
 * requires. Its pod keeps the state, and the Jobs' pods reach it by a Service. The volume with AWS's credentials is
 * required by hand-overs.
 */
export async function installWithStandIn(kubeconfig: string, mode: HandoverMode): Promise<HandoverTarget> {
  const { STAND_IN_IMAGE: image } = readTestConfiguration();
  if (image === undefined) throw new Error('STAND_IN_IMAGE is not set: run these tests by npm run test:kind');
  await using started = new AsyncDisposableStack();
  const names = nameServingTables();
  const handover = { mode, timeoutSeconds: TIMEOUT_SECONDS, ...names };
  const installation = started.use(await install(kubeconfig, { pageMaxAgeSeconds: 1, optionalTables: true, handover }));
  const { dynamodbEndpoint: endpoint, environmentsV2Table } = installation.tables.settings;
  const serving = started.use(await createServingTestTables({ endpoint, ...DYNAMODB_CLIENT }, names));
  const items = [...describePods(image, { ...names, environmentsV2Table }), ...describeSurroundings()];
  const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
  const { kubectl } = installation;
  await kubectl(['apply', '--server-side', '--force-conflicts', '-f', '-'], { input });
  await kubectl(['rollout', 'status', `deployment/${SERVICE}`, '-n', CORE_API.namespace, '--timeout=120s']);
  const [url = ''] = await installation.coreApis();
  const target: HandoverTarget = {
    ...installation,
    image,
    timeoutSeconds: TIMEOUT_SECONDS,
    serving,
    readState: async () => JSON.parse((await probeHttp(url)).body),
    async writeState(state) {
      const { status } = await probeHttp(url, { method: 'PUT', body: JSON.stringify(state) });
      if (status !== 200) throw new Error(`The stand-in takes no state: ${status}`);
    },
  };
  await target.writeState(stateOf(1));
  const stack = started.move();
  const stop = () => stack.disposeAsync();
  return { ...target, stop, [Symbol.asyncDispose]: stop };
}

function describePods(image: string, tables: Parameters<typeof describeStandIn>[0]['tables']): object[] {
  return describeStandIn({
    image,
    args: ['serve'],
    env: {
      STATE_URL: `http://${SERVICE}.${CORE_API.namespace}.svc:8000`,
      DYNAMODB_ENDPOINT: `http://dynamodb.${STORES}.svc:8000`,
      AWS_SHARED_CREDENTIALS_FILE: `${CREDENTIALS.folder}/${CREDENTIALS.file}`,
    },
    tables,
    pod: {
      terminationGracePeriodSeconds: 1,
      securityContext: { runAsUser: USER, runAsGroup: USER, fsGroup: USER },
      volumes: [{ name: 'aws', secret: { secretName: CREDENTIALS.secret, defaultMode: 0o440 } }],
    },
    container: {
      imagePullPolicy: 'IfNotPresent',
      ports: [{ name: 'http', containerPort: 8000 }],
      readinessProbe: { httpGet: { path: '/', port: 'http' }, periodSeconds: 1 },
      securityContext: { ...RESTRICTED, readOnlyRootFilesystem: true },
      volumeMounts: [{ name: 'aws', mountPath: CREDENTIALS.folder, readOnly: true }],
    },
  });
}

function describeSurroundings(): object[] {
  const { namespace } = CORE_API;
  const { accessKeyId, secretAccessKey } = DYNAMODB_CLIENT.credentials;
  const lines = ['[default]', `aws_access_key_id = ${accessKeyId}`, `aws_secret_access_key = ${secretAccessKey}`];
  return [
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: CREDENTIALS.secret, namespace },
      stringData: { [CREDENTIALS.file]: lines.join('\n') },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: SERVICE, namespace },
      spec: { selector: STAND_IN_LABELS, ports: [{ name: 'http', port: 8000, targetPort: 'http' }] },
    },
  ];
}
