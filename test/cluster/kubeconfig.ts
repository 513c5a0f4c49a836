import { writeFileSync } from 'node:fs';
import { stringify } from 'yaml';

export interface Credentials {
  /** The API server's URL. */
  server: string;
  /** PEM. */
  certificateAuthority: string;
  user: string;
  token: string;
  /** Read repeatedly by clients that support it, such as kubectl; `token` is for the others. */
  tokenFile?: string;
  namespace?: string;
}

/** Writes a kubeconfig that kubectl and every client library understand, readable by its owner only. */
export function writeKubeconfig(path: string, credentials: Credentials): void {
  const { server, certificateAuthority, user, token, tokenFile, namespace = 'default' } = credentials;
  const name = 'embedded';
  const document = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      {
        name,
        cluster: { server, 'certificate-authority-data': Buffer.from(certificateAuthority).toString('base64') },
      },
    ],
    users: [{ name: user, user: { token, ...(tokenFile === undefined ? {} : { tokenFile }) } }],
    contexts: [{ name, context: { cluster: name, user, namespace } }],
    'current-context': name,
  };
  writeFileSync(path, stringify(document), { mode: 0o600 });
}
