/**
 * Keys of the headless peer: `keys.json` (0600) in the link's private directory, beside its state. The extension keeps its
 * own in the editor's secret storage and hands them over its channel instead.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { HostError, type SecretStore } from '../host-api.ts';
import { type Home, makePrivateDirectory, readPrivateFile, writePrivateFile } from './home.ts';

const keysSchema = z.object({
  roomSecret: z.string().regex(/^[0-9a-f]{64}$/),
  deviceSeed: z.string().regex(/^[0-9a-f]{64}$/),
});

export function createFileSecrets(home: Home): SecretStore {
  const directoryOf = (linkId: string): string => join(home.foldersPath, linkId);
  const pathOf = (linkId: string): string => join(directoryOf(linkId), 'keys.json');

  return {
    async get(linkId) {
      const text = await readPrivateFile(pathOf(linkId));
      if (text === undefined) return undefined;
      const keys = parseKeys(text);
      if (keys === undefined) {
        throw new HostError(
          'missing-secret',
          `${pathOf(linkId)} is damaged. Unlink the folder and join the room again; no file is lost.`,
        );
      }
      return { roomSecret: bytesOf(keys.roomSecret), deviceSeed: bytesOf(keys.deviceSeed) };
    },
    async set(linkId, secrets) {
      await makePrivateDirectory(directoryOf(linkId));
      const keys = { roomSecret: hexOf(secrets.roomSecret), deviceSeed: hexOf(secrets.deviceSeed) };
      await writePrivateFile(pathOf(linkId), `${JSON.stringify(keys)}\n`);
    },
    async delete(linkId) {
      await rm(pathOf(linkId), { force: true });
    },
  };
}

/** The reason is left out on purpose: a parser's message quotes what it read. */
function parseKeys(text: string): z.infer<typeof keysSchema> | undefined {
  try {
    return keysSchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const bytesOf = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'));
