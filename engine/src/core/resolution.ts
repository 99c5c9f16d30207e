/**
 * What resolving a conflict means on this disk. A path has the room's entry and any number
 * of variants, each the content of one device. All variants here were published before: whichever side is not kept stays in
 * the room's history, so no answer loses a side.
 *
 * Steps are data, carried out by the loop in order; those up to `close` are one record. Copies are made on disk first, then
 * published as ordinary puts (rule LOG6).
 */
import type { Digest, Entry, Variant, VariantId } from '@driftless/protocol';
import type { ConflictPolicy, Keep } from '../control.ts';
import { sameContent } from './entry-encoding.ts';

export type ResolutionStep =
  /** The variant's content becomes a file under its conflict name, on disk, and is put into the room by the closing record. */
  | { readonly kind: 'write-copy'; readonly variant: Variant }
  /** The disk's path becomes the variant's content. */
  | { readonly kind: 'take-variant'; readonly variant: Variant }
  /** The disk's path becomes the room's entry (null: it goes); base := that entry. What it held is in a record: the variant's. */
  | { readonly kind: 'take-remote' }
  /** What the disk's path holds replaces the room's entry. */
  | { readonly kind: 'publish-local' }
  /** Closes variants in the room, and with the own one this peer's hold. */
  | { readonly kind: 'close'; readonly variants: readonly VariantId[] };

export interface ResolveInput {
  /** All open variants of the path, in id order. */
  readonly variants: readonly Variant[];
  /** The one that this disk holds, as published; null: the disk holds the room's entry. */
  readonly ownVariant: VariantId | null;
  /** The room's live entry; null = deleted there meanwhile. */
  readonly remote: Entry | null;
  readonly remoteMtimeMs: number;
}

/**
 * A person's answer. "Mine" is what this disk holds; "theirs" is the other side: the room's entry where the disk holds a
 * variant, else the newest variant. All open variants close; with `both`, each content stays once (C19).
 */
export function resolveByChoice(input: ResolveInput, keep: Keep): readonly ResolutionStep[] {
  const { variants, remote, ownVariant } = input;
  if (variants.length === 0) return [];
  const close: ResolutionStep = { kind: 'close', variants: variants.map(({ id }) => id) };
  const own = variants.find(({ id }) => id === ownVariant);
  const [newest] = [...variants].sort(newerFirst);

  if (own !== undefined) {
    if (keep === 'mine') return [{ kind: 'publish-local' }, close];
    if (keep === 'theirs') return [{ kind: 'take-remote' }, close];
    // Nothing stands at the path any more: the own content takes it, and only the others need copies.
    if (remote === null) return [...copiesOf(variants, own.entry), { kind: 'publish-local' }, close];
    return [...copiesOf(variants, remote), { kind: 'take-remote' }, close];
  }
  if (keep === 'mine') return [close];
  if (newest === undefined) return [close];
  if (keep === 'theirs' || remote === null) {
    const copies = keep === 'both' ? copiesOf(variants, newest.entry) : [];
    return [...copies, { kind: 'take-variant', variant: newest }, { kind: 'publish-local' }, close];
  }
  return [...copiesOf(variants, remote), close];
}

/**
 * What a policy does without being asked. Only a variant's author acts, and only on its own variant: so each content gets at
 * most one copy, however many peers look on. `ask` waits.
 */
export function resolveByPolicy(input: ResolveInput, policy: ConflictPolicy): readonly ResolutionStep[] {
  const { variants, remote, remoteMtimeMs, ownVariant } = input;
  const own = variants.find(({ id }) => id === ownVariant);
  if (own === undefined || policy === 'ask') return [];
  const close: ResolutionStep = { kind: 'close', variants: [own.id] };
  // Deleted in the room meanwhile: an edit beats a deletion (C5).
  if (remote === null) return [{ kind: 'publish-local' }, close];
  if (sameContent(remote, own.entry)) return [{ kind: 'take-remote' }, close];
  // A directory stands there now: the file moves, never a subtree.
  if (policy === 'keep-both' || remote.kind === 'directory')
    return [{ kind: 'write-copy', variant: own }, { kind: 'take-remote' }, close];
  return isNewer({ mtimeMs: own.mtimeMs, entry: own.entry }, { mtimeMs: remoteMtimeMs, entry: remote })
    ? [{ kind: 'publish-local' }, close]
    : [{ kind: 'take-remote' }, close];
}

/**
 * Another peer closed the variant that this disk holds. While the disk still holds exactly that content, it follows the
 * room; when it was edited since, the hold ends and the next round judges it as any edit.
 */
export function resolveAfterClose(localIsVariant: boolean): readonly ResolutionStep[] {
  return localIsVariant ? [{ kind: 'take-remote' }] : [];
}

/** One copy for each content that is not at the path anyway, in id order. */
function copiesOf(variants: readonly Variant[], atPath: Entry): readonly ResolutionStep[] {
  const kept: Entry[] = [atPath];
  const copies: ResolutionStep[] = [];
  for (const variant of variants) {
    if (kept.some((entry) => sameContent(entry, variant.entry))) continue;
    kept.push(variant.entry);
    copies.push({ kind: 'write-copy', variant });
  }
  return copies;
}

interface Dated {
  readonly mtimeMs: number;
  readonly entry: Entry;
}

/** By recorded modification time; ties by digest, so that every peer finds the same winner (M3: a clock only decides here). */
function isNewer(a: Dated, b: Dated): boolean {
  if (a.mtimeMs !== b.mtimeMs) return a.mtimeMs > b.mtimeMs;
  return rank(a.entry) > rank(b.entry);
}

function newerFirst(a: Dated, b: Dated): number {
  if (isNewer(a, b)) return -1;
  return isNewer(b, a) ? 1 : 0;
}

function rank(entry: Entry): Digest | string {
  switch (entry.kind) {
    case 'file':
      return entry.content.digest;
    case 'symlink':
      return entry.target;
    case 'directory':
      return '';
  }
}
