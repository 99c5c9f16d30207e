/**
 * Keys of links in the editor's SecretStorage: the operating system's keyring on a desktop, the browser's storage on the web. One
 * entry a link. They leave it only over the engine's channel, and are never logged.
 */
import type * as vscode from 'vscode';
import type { SecretText } from './channel.ts';

export interface LinkSecretTexts {
  get(linkId: string): Promise<SecretText | null>;
  set(linkId: string, secrets: SecretText): Promise<void>;
  delete(linkId: string): Promise<void>;
}

export function createLinkSecrets(storage: vscode.SecretStorage): LinkSecretTexts {
  const keyOf = (linkId: string): string => `driftless.link.${linkId}`;
  return {
    async get(linkId) {
      const text = await storage.get(keyOf(linkId));
      return text === undefined ? null : parseSecrets(text);
    },
    async set(linkId, { roomSecret, deviceSeed }) {
      await storage.store(keyOf(linkId), JSON.stringify({ roomSecret, deviceSeed }));
    },
    async delete(linkId) {
      await storage.delete(keyOf(linkId));
    },
  };
}

/** What cannot be read is as good as lost: the person is told to join again. Never quotes what it read. */
function parseSecrets(text: string): SecretText | null {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || !('roomSecret' in value) || !('deviceSeed' in value))
      return null;
    const { roomSecret, deviceSeed } = value;
    return typeof roomSecret === 'string' && typeof deviceSeed === 'string' ? { roomSecret, deviceSeed } : null;
  } catch {
    return null;
  }
}
