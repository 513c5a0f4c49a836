import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import type { Clock } from '../clock.ts';
import { ConfigurationError } from '../configuration.ts';
import { errorMessage } from '../error-message.ts';
import type { Logger } from '../logger.ts';
import { CERTIFICATE_POLL_MS } from '../policies.ts';

export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** Settings of a TLS server: PEM files of its certificate, with its chain, and private key. */
export const certificateSettings = {
  tlsCertificateFile: z.string().min(1).optional(),
  tlsKeyFile: z.string().min(1).optional(),
};

export interface CertificateFiles {
  readonly tlsCertificateFile?: string | undefined;
  readonly tlsKeyFile?: string | undefined;
}

/**
 * Undefined if none is configured.
 *
 * @throws ConfigurationError if one of the two files is missing or cannot be read
 */
export async function readCertificate(files: CertificateFiles): Promise<Certificate | undefined> {
  const { tlsCertificateFile, tlsKeyFile } = files;
  if (tlsCertificateFile === undefined && tlsKeyFile === undefined) return undefined;
  if (tlsCertificateFile === undefined || tlsKeyFile === undefined) {
    throw new ConfigurationError(
      'EDGE_MIGRATION_TLS_CERTIFICATE_FILE and EDGE_MIGRATION_TLS_KEY_FILE must be set together',
    );
  }
  try {
    const [cert, key] = await Promise.all([tlsCertificateFile, tlsKeyFile].map((file) => readFile(file, 'utf8')));
    return { cert: cert ?? '', key: key ?? '' };
  } catch (cause) {
    throw new ConfigurationError(`the certificate cannot be read: ${errorMessage(cause)}`, { cause });
  }
}

/**
 * Checks every minute whether the certificate was renewed, until the signal is aborted; an unusable one is ignored.
 */
export async function renewCertificate(
  server: { useCertificate(certificate: Certificate): void },
  first: Certificate | undefined,
  { files, clock, logger, signal }: { files: CertificateFiles; clock: Clock; logger: Logger; signal: AbortSignal },
): Promise<void> {
  let current = first;
  while (!signal.aborted) {
    await clock.sleep(CERTIFICATE_POLL_MS, signal).catch(() => {}); // stopped
    if (signal.aborted || current === undefined) continue;
    try {
      const next = await readCertificate(files);
      if (next === undefined || (next.cert === current.cert && next.key === current.key)) continue;
      server.useCertificate(next);
      current = next;
      logger.info('the certificate was renewed');
    } catch (error) {
      logger.error({ error: errorMessage(error) }, 'the renewed certificate cannot be used');
    }
  }
}
