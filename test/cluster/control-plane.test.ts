import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { binary } from './binaries.ts';
import { type ControlPlane, startControlPlane } from './control-plane.ts';
import { createFolder, removeFolder } from './reaper.ts';
import { waitFor } from './wait.ts';

let cluster: ControlPlane;
beforeAll(async () => {
  cluster = await startControlPlane();
});
afterAll(() => cluster.stop());

test('a stock kubectl works with the kubeconfig, with TLS verification', async () => {
  const home = createFolder('home');
  const env = { KUBECONFIG: cluster.kubeconfig, HOME: home };
  const output = execFileSync(await binary('kubectl'), ['version', '-o', 'json'], { env, encoding: 'utf8' });
  expect(JSON.parse(output).serverVersion.gitVersion).toBe('v1.34.4');
  await removeFolder(home);
});

test('kubectl passes its input on and rejects with the error message', async () => {
  const manifest = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'greeting' }, data: { text: 'hello' } };
  await cluster.kubectl(['apply', '-f', '-'], { input: JSON.stringify(manifest) });
  expect(await cluster.kubectl(['get', 'cm', 'greeting', '-o', 'jsonpath={.data.text}'])).toBe('hello');
  await expect(cluster.kubectl(['get', 'cm', 'nothing'])).rejects.toThrow(/configmaps "nothing" not found/);
});

test('a ServiceAccount may do exactly what RBAC grants it', async () => {
  await cluster.kubectl(['create', 'serviceaccount', 'reader']);
  await cluster.kubectl(['create', 'role', 'reader', '--verb=get,list', '--resource=configmaps']);
  await cluster.kubectl(['create', 'rolebinding', 'reader', '--role=reader', '--serviceaccount=default:reader']);
  const asReader = ['--kubeconfig', await cluster.serviceAccountKubeconfig('default', 'reader')];
  await waitFor(async () => (await cluster.kubectl([...asReader, 'get', 'cm'])).includes('kube-root-ca.crt'), {
    for: 'RBAC to take effect',
  });
  await expect(cluster.kubectl([...asReader, 'get', 'secrets'])).rejects.toThrow(/cannot list resource "secrets"/);
});

test('the API server restarts after a SIGKILL with all its data', async () => {
  await cluster.kubectl(['create', 'namespace', 'survivor']);
  await cluster.apiserver.kill('SIGKILL');
  await expect(cluster.kubectl(['get', 'ns'])).rejects.toThrow(/refused/);
  await cluster.apiserver.restart();
  expect(await cluster.kubectl(['get', 'ns', 'survivor', '-o', 'name'])).toBe('namespace/survivor\n');
});
