/** What the last scan saw at a path, and how to tell later that it is still so. */
import type { Digest, FileMode } from '@driftless/protocol';

/** Opaque text made by `fingerprintOf(stat)`; equal fingerprints that are not racy mean equal content. */
export type Fingerprint = string & { readonly fingerprint: unique symbol };

export type LocalEntry =
  /** Its `private` is what was agreed on, or set here; how the file lies on this disk is `openToOthers`. */
  | ({
      readonly kind: 'file';
      readonly digest: Digest;
      readonly size: number;
      readonly mtimeMs: number;
      readonly fingerprint: Fingerprint;
      /** The file changed so shortly before it was hashed that its stamps cannot prove the next scan clean. */
      readonly racy: boolean;
      /** It has permission bits for group or others; never on a disk without modes. */
      readonly openToOthers: boolean;
    } & FileMode)
  | { readonly kind: 'directory' }
  | { readonly kind: 'symlink'; readonly target: string };
