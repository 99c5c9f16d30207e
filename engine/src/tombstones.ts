/**
 * When a tombstone may leave the manifest (rule TOMB): after 180 days, or when tombstones have become more than a fifth of
 * the entries, oldest first. Until then it keeps a deleted file from coming back by a peer that lost its state. Asked after
 * a checkpoint: rarely, and off the hot path.
 */
import type { RelPath } from '@driftless/protocol';
import type { PeerContext } from './peer-context.ts';
import type { ExtraChange } from './publish.ts';

const keptMs = 180 * 24 * 60 * 60 * 1000;
const shareMax = 0.2;
/** Fewer weigh nothing, however small the folder is. */
const countMin = 1_000;
/** Forgotten in one record; the rest at the next checkpoint. */
const perRecordMax = 10_000;
/** For what other devices take for the time. */
const recordsLookedAt = 256;

/** Changes that forget what has aged, oldest first. */
export async function agedTombstones(context: PeerContext): Promise<readonly ExtraChange[]> {
  const { store } = context.parts;
  const tombstones: { readonly path: RelPath; readonly height: number }[] = [];
  let entries = 0;
  for (const { path, slot } of [...store.manifest.slotsBetween(null, null)]) {
    entries += 1;
    if (slot.kind === 'tombstone' && store.variants(path).length === 0) tombstones.push({ path, height: slot.height });
    await context.pause();
  }
  tombstones.sort((a, b) => a.height - b.height);
  const surplus = tombstones.length > countMin ? tombstones.length - Math.floor(entries * shareMax) : 0;
  const oldestMs = roomNowMs(context) - keptMs;
  // A height whose record is not kept any more is thousands of records old, but its day is not known: only the share counts.
  const isOld = (height: number): boolean => {
    const timeMs = store.recordMeta(height)?.timeMs;
    return timeMs !== undefined && timeMs > 0 && timeMs < oldestMs;
  };
  return tombstones
    .filter(({ height }, index) => index < surplus || isOld(height))
    .slice(0, perRecordMax)
    .map(({ path }) => ({ change: { kind: 'forget', path }, outcome: [] }));
}

/**
 * Records bear wall-clock stamps, and the steady time lags for good where this machine's clock was behind once. Two clocks that
 * agree are believed against it: this one's, and that of another device in a record of the room.
 */
function roomNowMs({ parts: { store, clock }, steadyTime }: PeerContext): number {
  let othersMs = 0;
  for (const { height } of store.recentHeads(recordsLookedAt)) {
    const meta = store.recordMeta(height);
    if (meta?.own === false) othersMs = Math.max(othersMs, meta.timeMs);
  }
  return Math.max(steadyTime.nowMs(), Math.min(clock.nowMs(), othersMs));
}
