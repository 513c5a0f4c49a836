import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

/** Name of the key's file among the ranges: readers of the ranges may also read sealed text. */
export const CIPHER_KEY_FILE = 'seal';

/**
 * Encrypts identifiers, which are personal data, so that only pods of the same run can read them, although they are
 * stored in a ConfigMap: AES-256 in Galois/Counter mode, with a key that is removed after the run.
 */
export interface CheckpointCipher {
  encrypt(value: unknown): string;
  /** Undefined for text that was not sealed with this key. */
  decrypt(text: string): unknown;
}

const CIPHER = 'aes-256-gcm';
const IV_BYTES = 12;
const TAG_BYTES = 16;
const KEY_BYTES = 32;

/** A key as text, 64 hexadecimal digits. */
export const createCipherKey = (): string => randomBytes(KEY_BYTES).toString('hex');

/** @throws RangeError for a key of another form */
export function createCheckpointCipher(key: string): CheckpointCipher {
  const bytes = Buffer.from(key.trim(), 'hex');
  if (bytes.length !== KEY_BYTES) throw new RangeError(`a seal's key has ${KEY_BYTES} bytes, not ${bytes.length}`);
  return {
    encrypt(value) {
      const iv = randomBytes(IV_BYTES);
      const cipher = createCipheriv(CIPHER, bytes, iv);
      const content = Buffer.concat([cipher.update(JSON.stringify(value), 'utf8'), cipher.final()]);
      return Buffer.concat([iv, cipher.getAuthTag(), content]).toString('base64');
    },

    decrypt(text) {
      const sealed = Buffer.from(text, 'base64');
      if (sealed.length < IV_BYTES + TAG_BYTES) return undefined;
      const decipher = createDecipheriv(CIPHER, bytes, sealed.subarray(0, IV_BYTES));
      decipher.setAuthTag(sealed.subarray(IV_BYTES, IV_BYTES + TAG_BYTES));
      try {
        const content = Buffer.concat([decipher.update(sealed.subarray(IV_BYTES + TAG_BYTES)), decipher.final()]);
        return JSON.parse(content.toString());
      } catch {
        return undefined;
      }
    },
  };
}
