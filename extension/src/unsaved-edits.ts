/**
 * The files that this window holds with unsaved edits: says so to whoever keeps their folder in sync, takes the room's changes into
 * their buffers where they merge cleanly, and says of a save what it was made from. Knows nothing of vscode.
 *
 * Whatever is late, lost or fails here loses no line: what was never said leaves a save to be merged with what disk and room last
 * agreed on. Only `savedMerged` takes a merge for done. It is said of a text that was seen to hold that merge before the save began, and that
 * nobody has taken a step back from since: an undo may have taken the room's lines out again.
 */
import type { BufferMerge, UnsavedEdit, WaitingPath } from '@driftless/engine';

/** As an editor shows it, at the moment it is asked. */
export interface EditedDocument {
  readonly dir: string;
  /** In the folder, with `/`. */
  readonly path: string;
  /** Another one with every change. */
  readonly version: number;
  readonly isDirty: boolean;
  /** undefined: not a text (a notebook), or too large to be merged. */
  text(): string | undefined;
}

export type TextEdits = Extract<BufferMerge, { kind: 'merged' }>['edits'];

export interface UnsavedEditsParts {
  /** All that the window has unsaved in a folder. Whoever does not hear it is told again by `editsOf`. */
  readonly hold: (dir: string, edits: readonly UnsavedEdit[]) => void;
  readonly savedMerged: (dir: string, path: string, version: string) => void;
  readonly merge: (dir: string, path: string, text: string, merged: string | null) => Promise<BufferMerge>;
  /** As one step to undo. False: the text has changed since, and is as it was. */
  readonly apply: (document: EditedDocument, edits: TextEdits, version: number) => Promise<boolean>;
  /** Hex SHA-256 of the text as UTF-8. */
  readonly digestOf: (text: string) => string;
  /** What the window before this one remembered: a document that is unsaved from the beginning was loaded there. */
  readonly recall: (dir: string) => readonly UnsavedEdit[];
  readonly remember: (dir: string, edits: readonly UnsavedEdit[]) => void;
  /** Later than what an editor tells of a save after it tells that the document is clean: some moments. */
  readonly inAMoment: (work: () => void) => void;
}

/** `state`: the same text, which is unsaved now, or is no more. */
export type DocumentChange = 'text' | 'undo' | 'state';

export interface UnsavedEdits {
  /** A document is there, or changed. Cheap: called for every key. */
  changed(document: EditedDocument, change: DocumentChange): void;
  /** It is about to be saved. */
  willSave(document: EditedDocument): void;
  /** It is on disk now; its user may have gone on typing since. */
  saved(document: EditedDocument): void;
  closed(document: EditedDocument): void;
  /** What of the room waits in a folder now. */
  waiting(dir: string, paths: readonly WaitingPath[]): void;
  editsOf(dir: string): readonly UnsavedEdit[];
}

interface Buffer {
  document: EditedDocument;
  isHeld: boolean;
  loaded: string | null;
  /** What was loaded before the last change of a document that seemed to be at rest. */
  before: { readonly version: number; readonly loaded: string | null } | null;
  merged: string | null;
  /** Not to be merged again: the user took it out, or it did not merge. */
  declined: string | null;
  isMerging: boolean;
  /** What was merged into the text that is being saved. */
  saving: { merged: string | null } | null;
  /** The merge that is being put into the buffer. */
  expected: { readonly text: string; readonly version: string } | null;
}

export function createUnsavedEdits(parts: UnsavedEditsParts): UnsavedEdits {
  const buffers = new Map<string, Buffer>();
  const recalledByDir = new Map<string, Map<string, UnsavedEdit>>();
  const waitingByDir = new Map<string, ReadonlyMap<string, string | null>>();
  const keyOf = ({ dir, path }: Pick<EditedDocument, 'dir' | 'path'>): string => `${dir}\0${path}`;

  const editsOf = (dir: string): readonly UnsavedEdit[] =>
    [...buffers.values()]
      .filter(({ isHeld, document }) => isHeld && document.dir === dir)
      .map(({ document, loaded, merged }) => ({ path: document.path, loaded, merged }));
  const tell = ({ document: { dir } }: Buffer): void => {
    const edits = editsOf(dir);
    parts.remember(dir, [...edits, ...recalledIn(dir).values()]);
    parts.hold(dir, edits);
  };
  /** What was remembered of documents that this window has not shown so far. Read before the first of them overwrites it. */
  const recalledIn = (dir: string): Map<string, UnsavedEdit> => {
    const known = recalledByDir.get(dir);
    if (known !== undefined) return known;
    const recalled = new Map(parts.recall(dir).map((edit) => [edit.path, edit]));
    recalledByDir.set(dir, recalled);
    return recalled;
  };

  const bufferOf = (document: EditedDocument): Buffer => {
    const known = buffers.get(keyOf(document));
    if (known !== undefined) {
      known.document = document;
      return known;
    }
    // Not what was merged: what is brought back of a text may be older than that.
    const recalled = recalledIn(document.dir);
    const loaded = document.isDirty ? (recalled.get(document.path)?.loaded ?? null) : null;
    recalled.delete(document.path);
    const buffer = {
      document,
      isHeld: false,
      loaded,
      before: null,
      merged: null,
      declined: null,
      isMerging: false,
      saving: null,
      expected: null,
    };
    buffers.set(keyOf(document), buffer);
    return buffer;
  };

  /** It equals its file, as far as the editor knows. */
  const rest = (buffer: Buffer): void => {
    const { version } = buffer.document;
    const text = buffer.document.text();
    if (buffer.before?.version !== version) buffer.before = { version, loaded: buffer.loaded };
    buffer.loaded = text === undefined ? null : parts.digestOf(text);
    buffer.merged = null;
    buffer.declined = null;
    buffer.saving = null;
    if (!buffer.isHeld) return;
    buffer.isHeld = false;
    tell(buffer);
  };

  /** Of a save it is heard before the save is told of. Of one that failed nothing is told, and what is clean was given up then. */
  const restUnlessSaved = (buffer: Buffer): void => {
    const { saving } = buffer;
    if (saving === null || saving.merged === null) return rest(buffer);
    parts.inAMoment(() => {
      if (buffers.get(keyOf(buffer.document)) === buffer && buffer.saving === saving && !buffer.document.isDirty)
        rest(buffer);
    });
  };

  const changed: UnsavedEdits['changed'] = (document, change) => {
    const buffer = bufferOf(document);
    const { expected } = buffer;
    const isMerge = expected !== null && document.text() === expected.text;
    if (isMerge) buffer.merged = expected.version;
    else if (change === 'undo' && buffer.merged !== null) {
      buffer.declined = buffer.merged;
      buffer.merged = null;
      if (buffer.saving !== null) buffer.saving.merged = null;
    } else if (buffer.isHeld && document.isDirty) return mergeWaiting(buffer);
    if (!document.isDirty) return change === 'state' ? restUnlessSaved(buffer) : rest(buffer);
    // An editor tells of the first key before it tells that the document is unsaved: that text was never on disk.
    if (!buffer.isHeld && change === 'state' && buffer.before?.version === document.version)
      buffer.loaded = buffer.before.loaded;
    buffer.isHeld = true;
    tell(buffer);
    mergeWaiting(buffer);
  };

  const waitingFor = ({ document: { dir, path } }: Buffer): string | null => waitingByDir.get(dir)?.get(path) ?? null;

  const mergeWaiting = (buffer: Buffer): void => {
    const version = waitingFor(buffer);
    const isWanted = version !== null && version !== buffer.merged && version !== buffer.declined;
    if (!buffer.isHeld || buffer.isMerging || !isWanted) return;
    buffer.isMerging = true;
    void mergeOne(buffer, version)
      // An engine that is not there, or is going: what waits is said again by the next one.
      .catch(() => false)
      .then((isToTryAgain) => {
        buffer.isMerging = false;
        // A version newer than what is known to wait may have come in: that it waits is told in a moment.
        if (isToTryAgain || waitingFor(buffer) !== version) mergeWaiting(buffer);
      });
  };

  /** True: the text is another one by now. */
  const mergeOne = async (buffer: Buffer, wanted: string): Promise<boolean> => {
    const { document } = buffer;
    const { version, dir, path } = document;
    const text = document.text();
    if (text === undefined) return false;
    const answer = await parts.merge(dir, path, text, buffer.merged);
    if (buffers.get(keyOf(document)) !== buffer || !buffer.document.isDirty) return false;
    // Typed on meanwhile: the ranges are of another text.
    if (buffer.document.version !== version) return true;
    // Asked again with the next key, or with the next word of what waits.
    if (answer.kind === 'later') return false;
    if (answer.kind === 'waits') {
      buffer.declined = wanted;
      return false;
    }
    if (answer.edits.length === 0) {
      buffer.merged = answer.version;
      tell(buffer);
      return false;
    }
    buffer.expected = { text: withEdits(text, answer.edits), version: answer.version };
    try {
      const isApplied = await parts.apply(buffer.document, answer.edits, version);
      return !isApplied && buffer.document.version !== version;
    } finally {
      buffer.expected = null;
    }
  };

  return {
    changed,
    willSave(document) {
      const buffer = bufferOf(document);
      buffer.saving = { merged: buffer.merged };
    },
    saved(document) {
      const buffer = bufferOf(document);
      const { saving } = buffer;
      buffer.saving = null;
      if (saving !== null && saving.merged !== null) parts.savedMerged(document.dir, document.path, saving.merged);
      if (!document.isDirty) return rest(buffer);
      // It was seen clean since, and is another edit by now.
      if (saving === null) return;
      // Which text was saved is not known any more.
      buffer.loaded = null;
      buffer.merged = null;
      tell(buffer);
    },
    closed(document) {
      const buffer = bufferOf(document);
      buffers.delete(keyOf(document));
      if (buffer.isHeld) tell(buffer);
    },
    waiting(dir, paths) {
      waitingByDir.set(dir, new Map(paths.map(({ path, version }) => [path, version])));
      for (const buffer of buffers.values()) if (buffer.document.dir === dir) mergeWaiting(buffer);
    },
    editsOf,
  };
}

export function withEdits(text: string, edits: TextEdits): string {
  let result = '';
  let at = 0;
  for (const edit of edits) {
    result += text.slice(at, edit.start) + edit.text;
    at = edit.end;
  }
  return result + text.slice(at);
}
