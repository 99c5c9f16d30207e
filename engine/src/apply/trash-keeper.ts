/**
 * Looks after what was moved aside (rule DISK4, F25). For 30 s an old inode may still be written through a handle that was
 * open when it was replaced: then its bytes come back as a file of their own. After that, bytes that are in the room's
 * history go; bytes that are in no record stay, for 30 days or until 1 GiB, and never vanish without a word.
 */
import { bytesToHex, type Digest, type RelPath } from '@driftless/protocol';
import { conflictName } from '../core/conflict-name.ts';
import { fingerprintOf, sameButChangeTime } from '../core/fingerprint.ts';
import type { Fingerprint } from '../core/local-entry.ts';
import type { PeerContext } from '../peer-context.ts';
import type { TrashRow } from '../ports/state-store.ts';

const handleGraceMs = 30_000;
const keepMs = 30 * 24 * 60 * 60 * 1000;
const bytesMax = 1024 * 1024 * 1024;

export interface TrashKeeper {
  /** Lets go of what may go; returns the delay until the next item is due, or null. */
  sweep(): Promise<number | null>;
}

export function createTrashKeeper(context: PeerContext): TrashKeeper {
  const { parts } = context;
  const { folder, store, clock, hashing } = parts;

  async function sweep(): Promise<number | null> {
    const nowMs = clock.nowMs();
    const known = store.trash();
    let nextMs: number | null = null;
    let keptBytes = 0;
    const sizes = new Map((await folder.trashItems()).map((item) => [item.name, item.stat]));
    // Newest first, so that the byte bound lets the oldest go.
    for (const item of [...known].sort((a, b) => b.atMs - a.atMs)) {
      const stat = sizes.get(item.name);
      if (stat === undefined) {
        store.deleteTrash(item.name);
        continue;
      }
      const dueMs = item.atMs + handleGraceMs;
      // A clock that was set back must not keep an item for ever.
      if (dueMs > nowMs && item.atMs <= nowMs) {
        nextMs = Math.min(nextMs ?? Number.POSITIVE_INFINITY, dueMs - nowMs);
        continue;
      }
      if (
        item.digest !== null &&
        !sameButChangeTime(fingerprintOf(stat), item.fingerprint as Fingerprint) &&
        (await digestOf(item.name)) !== item.digest
      ) {
        await bringBack(item);
        continue;
      }
      if (item.inRecord) await discard(item.name);
      else {
        keptBytes += stat.size;
        if (nowMs - item.atMs > keepMs || keptBytes > bytesMax) {
          parts.onEvent({
            event: 'note',
            path: item.path,
            note: `a replaced version that was in no record is dropped from the trash after ${nowMs - item.atMs > keepMs ? '30 days' : '1 GiB'}`,
          });
          await discard(item.name);
        }
      }
      await context.pause();
    }
    // A crash between moving aside and noting it leaves items that nobody knows: they are kept as being in no record.
    const names = new Set(known.map((item) => item.name));
    const intents = new Set(store.intents().map((intent) => intent.asideName));
    for (const [name, stat] of sizes)
      if (!names.has(name) && !intents.has(name))
        store.putTrash({
          name,
          path: '' as RelPath,
          digest: null,
          fingerprint: fingerprintOf(stat),
          inRecord: false,
          reason: 'found',
          atMs: nowMs,
        });
    return nextMs;
  }

  async function discard(name: string): Promise<void> {
    await folder.discardTrash(name);
    store.deleteTrash(name);
  }

  async function digestOf(name: string): Promise<Digest | null> {
    const handle = await folder.openTrash(name);
    if ('kind' in handle) return null;
    try {
      const hash = hashing.createSha256();
      for (;;) {
        const bytes = await handle.read(256 * 1024);
        if (bytes.length === 0) return bytesToHex(hash.digest()) as Digest;
        hash.update(bytes);
        await context.pause();
      }
    } finally {
      await handle.close();
    }
  }

  /** Somebody wrote into the old inode after it was replaced: what was written is shown beside the new file. */
  async function bringBack(item: TrashRow): Promise<void> {
    const digest = await digestOf(item.name);
    if (digest === null) return;
    const path = conflictName({
      path: item.path,
      peerName: parts.deviceName,
      timeMs: clock.nowMs(),
      digest,
      taken: (candidate) => store.row(candidate)?.local != null || store.manifest.slot(candidate) !== null,
      traits: folder.traits,
      sha256: hashing.sha256,
    });
    const outcome = await folder.restoreTrash({ name: item.name, path, like: item.path });
    if (outcome.kind !== 'done') {
      store.putTrash({ ...item, inRecord: false, digest: null });
      return;
    }
    parts.onEvent({
      event: 'note',
      path: item.path,
      note: `a program wrote into the replaced version; what it wrote is kept as ${path}`,
    });
    context.markDirty(path, false);
    await discard(item.name);
  }

  return { sweep };
}
