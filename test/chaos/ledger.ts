/**
 * What users wrote, replaced and kept, as far as it must be known to judge afterwards whether anything was lost, invented or
 * brought back. Every line of text, every binary content and every link target that is ever written is unique: a tag.
 */
import { createHash } from 'node:crypto';

export interface Tag {
  readonly what: string;
  readonly peer: string;
  readonly path: string;
  readonly episode: number;
  /** Users who replaced or deleted it, having seen it. */
  readonly ended: Set<string>;
  /** Users who kept it in an operation of theirs: edited around it, renamed, copied. */
  readonly touched: Set<string>;
  /** It was never certain to be written: its file was swapped away at that very moment. */
  unsure: boolean;
  /** Its whole file was replaced or deleted, not only this part of it. */
  endedWhole: boolean;
  copied: boolean;
}

export type FileContent =
  | { readonly kind: 'text'; readonly lines: readonly string[] }
  | { readonly kind: 'binary'; readonly sha: string }
  | { readonly kind: 'link'; readonly target: string };

export interface Ledger {
  /** Before the bytes can be seen by anybody. */
  noteWritten(options: {
    readonly peer: string;
    readonly path: string;
    readonly content: FileContent;
    readonly sha: string | null;
  }): void;
  /** An intermediate state of a longer write. */
  noteState(sha: string): void;
  /** `before` was at the path, and the user put `after` in its place (null: nothing). */
  noteReplaced(peer: string, before: FileContent, after: FileContent | null): void;
  noteTouched(peer: string, content: FileContent, copied?: boolean): void;
  noteUnsure(content: FileContent): void;
  /** Something was overwritten at that path that its user may not have seen. */
  noteRace(path: string): void;
  wasWritten(sha: string): boolean;
  tag(content: string): Tag | undefined;
  readonly tags: ReadonlyMap<string, Tag>;
  readonly races: number;
  episode: number;
}

export const shaOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Text has a marked first line; anything else is one indivisible content. */
export function contentOf(bytes: Uint8Array): FileContent {
  if (bytes.length === 0) return { kind: 'text', lines: [] };
  if (Buffer.from(bytes.subarray(0, 6)).toString('latin1') !== 'BEGIN ') return { kind: 'binary', sha: shaOf(bytes) };
  const text = Buffer.from(bytes).toString('utf8');
  return { kind: 'text', lines: text.endsWith('\n') ? text.slice(0, -1).split('\n') : text.split('\n') };
}

export const tagKeys = (content: FileContent): readonly string[] =>
  content.kind === 'text' ? content.lines : [content.kind === 'binary' ? content.sha : `-> ${content.target}`];

export function createLedger(): Ledger {
  const tags = new Map<string, Tag>();
  const written = new Set<string>();
  let races = 0;
  const ledger: Ledger = {
    episode: 0,
    tags,
    get races() {
      return races;
    },
    noteWritten({ peer, path, content, sha }) {
      if (sha !== null) written.add(sha);
      for (const key of tagKeys(content)) {
        if (tags.has(key)) continue;
        tags.set(key, {
          what: key.slice(0, 60),
          peer,
          path,
          episode: ledger.episode,
          ended: new Set(),
          touched: new Set(),
          unsure: false,
          endedWhole: false,
          copied: false,
        });
      }
    },
    noteState: (sha) => {
      written.add(sha);
    },
    noteReplaced(peer, before, after) {
      const kept = new Set(after === null ? [] : tagKeys(after));
      const isWhole = !tagKeys(before).some((key) => kept.has(key));
      for (const key of tagKeys(before)) {
        const tag = tags.get(key);
        if (tag === undefined) continue;
        if (kept.has(key)) tag.touched.add(peer);
        else {
          tag.ended.add(peer);
          tag.endedWhole ||= isWhole;
        }
      }
    },
    noteTouched(peer, content, copied = false) {
      for (const key of tagKeys(content)) {
        const tag = tags.get(key);
        if (tag === undefined) continue;
        tag.touched.add(peer);
        tag.copied ||= copied;
      }
    },
    noteUnsure(content) {
      for (const key of tagKeys(content)) {
        const tag = tags.get(key);
        if (tag !== undefined) tag.unsure = true;
      }
    },
    noteRace(path) {
      races += 1;
      for (const tag of tags.values()) if (tag.path === path && tag.episode === ledger.episode) tag.unsure = true;
    },
    wasWritten: (sha) => written.has(sha),
    tag: (key) => tags.get(key),
  };
  return ledger;
}
