/**
 * An editor as the extension sees it, over a folder of the small world: text in a buffer, a file that it believes to know, and the
 * part of the extension that follows it. Its user always answers the editor's "file is newer" with Overwrite.
 */
import { createHash } from 'node:crypto';
import type { UnsavedEdit } from '../../engine/src/control.ts';
import type { EditedDocument, UnsavedEdits } from '../../extension/src/unsaved-edits.ts';
import { createUnsavedEdits, withEdits } from '../../extension/src/unsaved-edits.ts';
import type { Person } from './small-world.ts';

export interface Editor {
  readonly text: string;
  readonly isDirty: boolean;
  /** How often it met a file that is newer than the buffer. */
  readonly overwrites: number;
  type(edit: (text: string) => string): void;
  /** Of what was typed or merged since the last save: beyond it, taking the room's lines out again is an edit like any other. */
  undo(): void;
  save(): void;
  revert(): void;
  /** What a watcher and the engine's events would tell it: a clean buffer follows the file. */
  look(): void;
  /** The window is gone and back: the text is as it was (hot exit), and the extension knows what it remembered. */
  reload(): void;
  /** The engine is another one by now. */
  renew(): void;
}

const window = 'editor';
const digestOf = (text: string): string => createHash('sha256').update(text).digest('hex');

export function openEditor(person: Person, path: string): Editor {
  let text = person.user.read(path) ?? '';
  let onDisk = text;
  let isDirty = false;
  let version = 1;
  let overwrites = 0;
  const past: string[] = [];
  let remembered: readonly UnsavedEdit[] = [];
  const document: EditedDocument = {
    dir: 'folder',
    path,
    get version() {
      return version;
    },
    get isDirty() {
      return isDirty;
    },
    text: () => text,
  };
  const quietly = (asked: Promise<unknown>): void => void asked.catch(() => undefined);
  const follow = (): UnsavedEdits =>
    createUnsavedEdits({
      hold: (_dir, edits) => quietly(person.peer.holdUnsaved(window, edits)),
      savedMerged: (_dir, saved, merged) => quietly(person.peer.savedMerged(saved, merged)),
      merge: (_dir, merged, ...rest) => person.peer.mergeUnsaved(merged, ...rest),
      apply: async (_document, edits, given) => {
        if (given !== version) return false;
        change(withEdits(text, edits), 'text');
        return true;
      },
      // Its saves do not fail.
      inAMoment: () => undefined,
      digestOf,
      recall: () => remembered,
      remember: (_dir, edits) => {
        remembered = edits;
      },
    });
  let unsaved = follow();

  function change(next: string, how: 'text' | 'undo'): void {
    if (how === 'text') past.push(text);
    text = next;
    version += 1;
    unsaved.changed(document, how);
    if (isDirty) return;
    isDirty = true;
    unsaved.changed(document, 'state');
  }
  function load(): void {
    onDisk = person.user.read(path) ?? '';
    text = onDisk;
    version += 1;
    isDirty = false;
    past.length = 0;
    unsaved.changed(document, 'text');
  }
  unsaved.changed(document, 'state');

  return {
    get text() {
      return text;
    },
    get isDirty() {
      return isDirty;
    },
    get overwrites() {
      return overwrites;
    },
    type: (edit) => change(edit(text), 'text'),
    undo: () => {
      const before = past.pop();
      if (before !== undefined) change(before, 'undo');
    },
    save: () => {
      if (!isDirty) return;
      unsaved.willSave(document);
      if (person.user.read(path) !== onDisk) overwrites += 1;
      person.user.write(path, text);
      onDisk = text;
      isDirty = false;
      past.length = 0;
      unsaved.changed(document, 'state');
      unsaved.saved(document);
    },
    revert: () => load(),
    look: () => {
      const { waitingPaths = [] } = person.state() ?? {};
      unsaved.waiting('folder', waitingPaths);
      if (!isDirty && person.user.read(path) !== onDisk) load();
    },
    reload: () => {
      if (!person.isDead) quietly(person.peer.windowLost(window));
      past.length = 0;
      unsaved = follow();
      unsaved.changed(document, 'state');
    },
    renew: () => quietly(person.peer.holdUnsaved(window, unsaved.editsOf('folder'))),
  };
}
