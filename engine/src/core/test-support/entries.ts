/** A tiny alphabet of entries for tests: folders as literal values. */
import { createHash } from 'node:crypto';
import type { ChunkId, DeviceId, Digest, Entry, FileEntry, FileMode, RelPath, Slot } from '@driftless/protocol';
import type { Sha256 } from '../sha256.ts';

export const sha256: Sha256 = (bytes) => createHash('sha256').update(bytes).digest();

export const rel = (text: string): RelPath => text as RelPath;
export const deviceOf = (name: string): DeviceId => hexOfText(name) as DeviceId;
export const digestOf = (text: string): Digest => hexOfText(text) as Digest;
export const directory: Entry = { kind: 'directory' };
export const link = (target: string): Entry => ({ kind: 'symlink', target });

/** A file whose content is `text`, in one chunk. */
export function file(text: string, options: Partial<FileMode> = {}): FileEntry {
  const ids = text === '' ? [] : [hexOfText(`chunk ${text}`) as ChunkId];
  return {
    kind: 'file',
    content: { digest: digestOf(text), size: text.length, epoch: 0, refs: { depth: 0, ids } },
    executable: options.executable ?? false,
    private: options.private ?? false,
  };
}

/** `folder({ 'a': directory, 'a/b': file('x') })`. */
export function folder(slots: Readonly<Record<string, Slot>>): Map<RelPath, Slot> {
  return new Map(Object.entries(slots).map(([path, slot]) => [rel(path), slot]));
}

function hexOfText(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
