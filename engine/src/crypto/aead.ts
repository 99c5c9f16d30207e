/** AES-256-GCM with the tag behind the ciphertext. Keys are KeyObjects: raw keys cost three to five times as much each call. */
import { createCipheriv, createDecipheriv, type KeyObject } from 'node:crypto';
import { concatBytes } from '@driftless/protocol';

export const aeadNonceBytes = 12;
export const aeadTagBytes = 16;

export interface AeadInput {
  readonly key: KeyObject;
  readonly nonce: Uint8Array;
  readonly associated: Uint8Array;
}

export function aeadSeal({ key, nonce, associated }: AeadInput, plain: Uint8Array): Uint8Array {
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: aeadTagBytes });
  cipher.setAAD(associated);
  return concatBytes(cipher.update(plain), cipher.final(), cipher.getAuthTag());
}

/** undefined when it was not sealed with this key, nonce and associated data, or was altered. */
export function aeadOpen({ key, nonce, associated }: AeadInput, sealed: Uint8Array): Uint8Array | undefined {
  if (sealed.length < aeadTagBytes) return undefined;
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: aeadTagBytes });
  decipher.setAAD(associated);
  decipher.setAuthTag(sealed.subarray(sealed.length - aeadTagBytes));
  const plain = decipher.update(sealed.subarray(0, sealed.length - aeadTagBytes));
  try {
    decipher.final();
  } catch {
    return undefined;
  }
  return new Uint8Array(plain.buffer, plain.byteOffset, plain.length);
}
