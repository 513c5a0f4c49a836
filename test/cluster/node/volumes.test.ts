import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { connectApi } from '../api-client.ts';
import { createFolder, removeFolder } from '../reaper.ts';
import { kubernetes } from '../shared.ts';
import { Pod, parsePodSpec } from './pod-spec.ts';
import { kubeconfigOf, renewTokens, type VolumeContext, writeVolumes } from './volumes.ts';

const NAMESPACE = 'volumes-test';

let kubeconfig: string;
beforeAll(async () => {
  ({ kubeconfig } = await kubernetes());
});

test("the ServiceAccount's token and kubeconfig are replaced after four fifths of their lifetime", async () => {
  await using api = connectApi(kubeconfig);
  const folder = createFolder('pod');
  const { context, tokenFile } = await createTokenPod(api, folder);
  const read = () => {
    const config = parse(readFileSync(kubeconfigOf(context.spec.containers[0]!, folder) as string, 'utf8'));
    return [readFileSync(tokenFile, 'utf8'), config.users[0].user.token];
  };
  const stopped = new AbortController();
  await writeVolumes(context, stopped.signal);
  const [token, sameToken] = read();
  expect(sameToken).toBe(token);

  const waits: number[] = [];
  const clock = {
    ...systemClock,
    // Time passes once, on request.
    async sleep(milliseconds: number) {
      if (waits.push(milliseconds) === 2) stopped.abort();
    },
  };
  await renewTokens(context, stopped.signal, clock).catch(() => undefined);
  const [newToken, sameNewToken] = read();
  expect(waits).toEqual([480_000, 480_000]);
  expect(newToken).not.toBe(token);
  expect(sameNewToken).toBe(newToken);
  await removeFolder(folder);
});

/** A pod that mounts its ServiceAccount's token with the shortest possible lifetime. */
async function createTokenPod(
  api: VolumeContext['api'],
  folder: string,
): Promise<{ context: VolumeContext; tokenFile: string }> {
  const namespaced = `/api/v1/namespaces/${NAMESPACE}`;
  await api.create('/api/v1/namespaces', { metadata: { name: NAMESPACE } });
  await api.create(`${namespaced}/serviceaccounts`, { metadata: { name: 'worker' } });
  const mountPath = '/var/run/secrets/kubernetes.io/serviceaccount';
  const sources = [{ serviceAccountToken: { path: 'token', expirationSeconds: 600 } }];
  const created = await api.create(`${namespaced}/pods`, {
    metadata: { name: 'pod' },
    spec: {
      serviceAccountName: 'worker',
      volumes: [{ name: 'token', projected: { sources } }],
      containers: [{ name: 'main', image: 'any', volumeMounts: [{ name: 'token', mountPath }] }],
    },
  });
  const pod = Pod.parse(created);
  const place = { podIP: '127.0.0.2', hostIP: '127.0.0.1', nodeName: 'node' };
  return {
    context: { api, pod, spec: parsePodSpec(pod.spec), place, folder },
    tokenFile: join(folder, 'volumes/token/token'),
  };
}
