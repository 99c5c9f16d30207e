/**
 * Three-way merge of a text file that both sides edited (rule MERGE): first to the disk with base := remote, then published
 * as an ordinary edit by the next round. Only the peer whose append came second merges; what overlaps is a conflict.
 * Ignore files never overlap: their lines are united, so that no rule of either side is lost (rule IG1).
 */
import { bytesToHex, type Digest } from '@driftless/protocol';
import { ChunksMissing, ContentDamaged } from '../content/content-types.ts';
import { isOfOnePath, problemOf } from '../content/or-fail.ts';
import { liveEntry } from '../core/entry-encoding.ts';
import { modeOf } from '../core/file-mode.ts';
import { isIgnoreFileName } from '../core/ignore-rules.ts';
import { type MergeResult, mergeText } from '../core/merge-text.ts';
import type { Conflict, Merge } from '../core/plan.ts';
import { uniteIgnoreFiles } from '../core/scope/unite-ignore-files.ts';
import type { PeerContext } from '../peer-context.ts';

export type MergeOutcome =
  | { readonly kind: 'merged' }
  /** To be published as a variant. */
  | { readonly kind: 'clash'; readonly conflict: Conflict }
  /** Nothing was changed: reported, or tried again once the path was looked at. */
  | { readonly kind: 'later' };

const unitedNote =
  'changed here and by another machine: the lines of both were united. What either left out stays out; a "!" line of only one of them is a comment now';
const later: MergeOutcome = { kind: 'later' };

export async function mergeOne(context: PeerContext, step: Merge): Promise<MergeOutcome> {
  const { contents, journal, parts } = context;
  const { folder, store, clock, hashing } = parts;
  const { path, row } = step;
  const { local, base } = row;
  const remote = liveEntry(row.remote);
  const session = context.session();
  if (local?.kind !== 'file' || remote?.kind !== 'file') return later;
  const clash = (reason: Conflict['reason']): MergeOutcome => ({
    kind: 'clash',
    conflict: { kind: 'conflict', path, reason, row },
  });
  const isRules = isIgnoreFileName(path);
  if (base?.kind !== 'file' && !isRules) return clash('create-create');
  // Whether base can still be had only the relay can say.
  if (session === null) return later;

  let stagedName: string | null = null;
  try {
    const ours = await contents.prepareSmall(path, local);
    if (ours.kind === 'moved') {
      context.markDirty(path, false);
      return later;
    }
    if (ours.kind === 'problem') {
      context.fail(path, ours);
      return later;
    }
    const oursBytes = ours.prepared.bytes;
    if (oursBytes === null) return clash('too-large');
    const baseBytes =
      base?.kind !== 'file'
        ? null
        : await contents.bytesOf(base.content, session).catch((error: unknown) => {
            if (error instanceof ChunksMissing || error instanceof ContentDamaged) return null;
            throw error;
          });
    if (baseBytes === null && !isRules) return clash('no-base');
    const theirsBytes = await contents.bytesOf(remote.content, session);
    const merged = mergeBytes({ isRules, base: baseBytes, ours: oursBytes, theirs: theirsBytes });
    if (merged.kind === 'overlap') return clash('overlap');
    if (merged.kind === 'unmergeable') return clash('binary');
    stagedName = await contents.stageBytes(path, merged.bytes);
    const digest = bytesToHex(hashing.sha256(merged.bytes)) as Digest;
    const outcome = await journal.replace({
      path,
      before: local,
      // The room's flags are among the local ones already: modes are settled before contents (decide).
      incoming: {
        kind: 'file',
        stagedName,
        digest,
        mode: modeOf(local),
      },
      base: remote,
      reason: 'merged',
      alongside: () => {
        store.cacheContent(remote.content.digest, theirsBytes, clock.nowMs());
        // An editor may have gone on from what it saved before it sees the merge: then that is the base (rule EDIT2).
        store.cacheContent(local.digest, oursBytes, clock.nowMs());
      },
    });
    if (outcome.kind === 'done') {
      context.unsaved.mergedOnDisk(path, { ours: local.digest, base, merged: digest });
      if (isRules) parts.onEvent({ event: 'note', path, note: unitedNote });
      return { kind: 'merged' };
    }
    if (outcome.kind === 'problem') context.fail(path, outcome);
    else context.markDirty(path, false);
    return later;
  } catch (error) {
    // A replace that was cut is settled like after a crash: its staged file says how far it came.
    if (journal.isCut) throw error;
    if (!isOfOnePath(error)) throw error;
    context.fail(path, problemOf(error));
    return later;
  } finally {
    if (stagedName !== null && !journal.isCut) await folder.discardStaged(stagedName);
  }
}

function mergeBytes(input: {
  readonly isRules: boolean;
  readonly base: Uint8Array | null;
  readonly ours: Uint8Array;
  readonly theirs: Uint8Array;
}): MergeResult {
  const { isRules, base, ours, theirs } = input;
  if (isRules) return { kind: 'merged', bytes: uniteIgnoreFiles({ base, ours, theirs }) };
  return mergeText({ base: base ?? new Uint8Array(), ours, theirs });
}
