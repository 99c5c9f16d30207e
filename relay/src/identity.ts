/**
 * The relay's own Ed25519 key (rule ADM1), which invites pin. It lies beside the relay's data and, first of all, outside it: a
 * relay whose data was wiped must still be the same relay to its peers, which then refill it (RB4, SEED), while a relay on
 * another data directory is another one.
 */

import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { existsSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { makeDirectory } from './make-directory.ts';

export interface RelayIdentity {
  /** Raw public key, 32 bytes. */
  readonly publicKey: Uint8Array;
  sign(message: Uint8Array): Uint8Array;
}

/** An identity that is kept nowhere. */
export function newRelayIdentity(): RelayIdentity {
  return identityOf(generateKeyPairSync('ed25519').privateKey);
}

/**
 * Reads the key from the first of `files` that exists, or makes one, and copies it to the others. Files are PEM (PKCS #8), made
 * with mode 0600 in directories of mode 0700.
 *
 * Errors: what the file system reports; a file that holds no Ed25519 key, by its path.
 */
export function loadRelayIdentity(files: readonly string[]): RelayIdentity {
  const found = files.map(readIfThere);
  const pem =
    found.find((text) => text !== undefined) ??
    generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
  const source = files[found.findIndex((text) => text !== undefined)];
  const identity = identityOf(parseKey(pem, source));
  files.forEach((file, index) => {
    if (found[index] !== undefined) return;
    makeDirectory(dirname(file));
    writeFileSync(file, pem, { flag: 'wx', mode: 0o600, flush: true });
  });
  return identity;
}

/**
 * The public key of the relay that keeps its data in `dataDir`, as invites pin it, whether it runs or not. Makes nothing.
 *
 * Errors: no relay has run there yet; what the file system reports; a file that holds no Ed25519 key.
 */
export function shownRelayKey(at: { readonly homeDir: string; readonly dataDir: string }): Uint8Array {
  const files = existsSync(at.dataDir) ? identityFiles(at) : [];
  for (const file of files) {
    const pem = readIfThere(file);
    if (pem !== undefined) return identityOf(parseKey(pem, file)).publicKey;
  }
  throw new Error(`No relay has run on ${at.dataDir} yet, so it has no key. Start it once: driftless relay --data DIR`);
}

/** Where a relay's key is looked for, in that order. `dataDir` must exist. */
export const identityFiles = (at: { readonly homeDir: string; readonly dataDir: string }): readonly string[] => [
  identityFileFor(at),
  join(at.dataDir, 'identity.key'),
];

/** Where a relay's key lies outside its data: one file a data directory, by the directory's real path. `dataDir` must exist. */
export function identityFileFor({ homeDir, dataDir }: { readonly homeDir: string; readonly dataDir: string }): string {
  const digest = createHash('sha256').update(realpathSync(dataDir)).digest('hex');
  return join(homeDir, 'relays', `${digest.slice(0, 16)}.key`);
}

function identityOf(privateKey: KeyObject): RelayIdentity {
  const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
  return {
    publicKey: new Uint8Array(spki.subarray(-32)),
    sign: (message) => new Uint8Array(sign(null, message, privateKey)),
  };
}

function parseKey(pem: string, source: string | undefined): KeyObject {
  try {
    const key = createPrivateKey(pem);
    if (key.asymmetricKeyType === 'ed25519') return key;
  } catch (cause) {
    throw new Error(
      `${source ?? 'the relay key'} holds no private key: restore it, or remove it to become a new relay`,
      {
        cause,
      },
    );
  }
  throw new Error(`${source ?? 'the relay key'} holds no Ed25519 key: restore it, or remove it to become a new relay`);
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
