/**
 * One digest for what a file or a link holds, so that both are found again alike: in a path's history (rules OWN, TOMB), and
 * in the name of a conflict copy. Pure.
 */
import { bytesToHex, type Digest, type Entry } from '@driftless/protocol';
import type { LocalEntry } from './local-entry.ts';
import type { Sha256 } from './sha256.ts';

/** A link to `x` and a file that holds `x` are not the same content. */
const linkDomain = 'driftless link target 1\0';

type Leaf = Exclude<Entry | LocalEntry, { readonly kind: 'directory' }>;

/** The digest of a file's bytes; of a link, that of its target under a domain of its own. null: a directory, or nothing. */
export function leafDigest(leaf: Leaf, sha256: Sha256): Digest;
export function leafDigest(leaf: Entry | LocalEntry | null, sha256: Sha256): Digest | null;
export function leafDigest(leaf: Entry | LocalEntry | null, sha256: Sha256): Digest | null {
  switch (leaf?.kind) {
    case 'file':
      return 'content' in leaf ? leaf.content.digest : leaf.digest;
    case 'symlink':
      return bytesToHex(sha256(new TextEncoder().encode(linkDomain + leaf.target))) as Digest;
    case 'directory':
    case undefined:
      return null;
  }
}
