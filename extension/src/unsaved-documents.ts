/** The window's documents, as unsaved-edits.ts follows them: text files and notebooks on disk, in whichever linked folder they lie. */
import { createHash } from 'node:crypto';
import { existsSync, realpathSync } from 'node:fs';
import path from 'node:path';
import type { UnsavedEdit } from '@driftless/engine';
import * as vscode from 'vscode';
import { holdUnsavedRequest, mergeUnsavedRequest, savedMergedRequest } from './channel.ts';
import type { Folders } from './folders.ts';
import { createUnsavedEdits, type DocumentChange, type EditedDocument, type UnsavedEdits } from './unsaved-edits.ts';
import { placeOf } from './unsaved-place.ts';

/** What the engine merges at most; a longer text waits. */
const textLengthMax = 1024 * 1024;
/** Both come with the end of a save, from a process that may be busy. */
const savedMsMax = 2_000;
/** Whoever keeps a folder in sync that is none of the window's may begin at any time, and nothing tells us. */
const sayAgainMs = 5_000;

export interface UnsavedDocuments extends vscode.Disposable, Pick<UnsavedEdits, 'editsOf'> {
  /** What the folders show has changed. */
  follow(): void;
}

export function createUnsavedDocuments(options: {
  readonly folders: () => Folders;
  readonly memory: vscode.Memento;
}): UnsavedDocuments {
  const { folders, memory } = options;
  const rememberedAs = (dir: string): string => `unsaved:${dir}`;
  const documents = new Map<EditedDocument, vscode.TextDocument>();
  const known = new WeakMap<vscode.TextDocument | vscode.NotebookDocument, EditedDocument>();
  /** While nobody keeps the folder in sync there is nobody to tell; whoever begins is told at once (`editsOf`). */
  const isHeard = (dir: string): boolean => {
    const folder = folders().find(dir);
    if (folder === undefined) return vscode.workspace.isTrusted;
    const { kind } = folder.view;
    return kind === 'running' || kind === 'starting' || kind === 'owned';
  };
  // What is not heard is said again by the next opening, or leaves a save to the ordinary merge.
  const quietly = (asked: Promise<unknown>): void => void asked.catch(() => undefined);

  const sayingAgain = new Map<string, NodeJS.Timeout>();
  const say = (dir: string, edits: readonly UnsavedEdit[]): void => {
    if (isHeard(dir)) quietly(folders().ask(holdUnsavedRequest, { dir, edits }));
    clearTimeout(sayingAgain.get(dir));
    sayingAgain.delete(dir);
    if (edits.length === 0 || folders().find(dir) !== undefined) return;
    sayingAgain.set(
      dir,
      setTimeout(() => say(dir, unsaved.editsOf(dir)), sayAgainMs),
    );
  };

  const unsaved = createUnsavedEdits({
    hold: say,
    savedMerged: (dir, file, version) => quietly(folders().ask(savedMergedRequest, { dir, path: file, version })),
    merge: (dir, file, text, merged) => folders().ask(mergeUnsavedRequest, { dir, path: file, text, merged }),
    apply: async (edited, edits, version) => {
      const document = documents.get(edited);
      if (document === undefined || document.version !== version) return false;
      const change = new vscode.WorkspaceEdit();
      for (const { start, end, text } of edits)
        change.replace(document.uri, new vscode.Range(document.positionAt(start), document.positionAt(end)), text);
      return vscode.workspace.applyEdit(change);
    },
    recall: (dir) => memory.get<readonly UnsavedEdit[]>(rememberedAs(dir)) ?? [],
    remember: (dir, edits) => void memory.update(rememberedAs(dir), edits.length === 0 ? undefined : edits),
    inAMoment: (work) => void setTimeout(work, savedMsMax).unref(),
    digestOf: (text) => createHash('sha256').update(text).digest('hex'),
  });

  const realPath = (name: string): string | undefined => {
    try {
      return realpathSync.native(name);
    } catch {
      // Not there, or not to be looked at: it is what it is called.
      return undefined;
    }
  };
  const isLinked = (dir: string): boolean => existsSync(path.join(dir, '.driftless', 'marker'));

  function edited(
    document: vscode.TextDocument | vscode.NotebookDocument,
    text: () => string | undefined,
  ): EditedDocument | undefined {
    const before = known.get(document);
    if (before !== undefined) return before;
    if (document.uri.scheme !== 'file') return undefined;
    const dirs = (vscode.workspace.workspaceFolders ?? []).map((folder) => folder.uri.fsPath);
    const place = placeOf(document.uri.fsPath, { dirs, realPath, isLinked, path });
    if (place === undefined) return undefined;
    const made: EditedDocument = {
      ...place,
      get version() {
        return document.version;
      },
      get isDirty() {
        return document.isDirty;
      },
      text,
    };
    known.set(document, made);
    return made;
  }

  function textDocument(document: vscode.TextDocument): EditedDocument | undefined {
    const made = edited(document, () => {
      const text = document.getText();
      return text.length > textLengthMax ? undefined : text;
    });
    if (made !== undefined) documents.set(made, document);
    return made;
  }

  /** Cells are not merged: which of them are the same is not a matter of lines. */
  const notebook = (document: vscode.NotebookDocument): EditedDocument | undefined => edited(document, () => undefined);

  const changed = (edited: EditedDocument | undefined, change: DocumentChange): void => {
    if (edited !== undefined) unsaved.changed(edited, change);
  };
  const changeOf = ({ contentChanges, reason }: vscode.TextDocumentChangeEvent): DocumentChange => {
    if (contentChanges.length === 0) return 'state';
    return reason === vscode.TextDocumentChangeReason.Undo ? 'undo' : 'text';
  };
  const closed = (edited: EditedDocument | undefined): void => {
    if (edited === undefined) return;
    unsaved.closed(edited);
    documents.delete(edited);
  };
  const saved = (edited: EditedDocument | undefined): void => {
    if (edited !== undefined) unsaved.saved(edited);
  };
  const follow = (): void => {
    for (const { dir, view } of folders().list())
      unsaved.waiting(dir, view.kind === 'running' ? (view.state.waitingPaths ?? []) : []);
  };

  const { workspace } = vscode;
  const listening = [
    workspace.onDidOpenTextDocument((document) => changed(textDocument(document), 'state')),
    workspace.onDidChangeTextDocument((event) => changed(textDocument(event.document), changeOf(event))),
    workspace.onWillSaveTextDocument(({ document }) => {
      const edited = textDocument(document);
      if (edited !== undefined) unsaved.willSave(edited);
    }),
    workspace.onDidSaveTextDocument((document) => saved(textDocument(document))),
    workspace.onDidCloseTextDocument((document) => closed(textDocument(document))),
    workspace.onDidOpenNotebookDocument((document) => changed(notebook(document), 'state')),
    workspace.onDidChangeNotebookDocument(({ notebook: document }) => changed(notebook(document), 'text')),
    workspace.onDidSaveNotebookDocument((document) => saved(notebook(document))),
    workspace.onDidCloseNotebookDocument((document) => closed(notebook(document))),
  ];
  for (const document of workspace.textDocuments) changed(textDocument(document), 'state');
  for (const document of workspace.notebookDocuments) changed(notebook(document), 'state');

  return {
    editsOf: unsaved.editsOf,
    follow,
    dispose: () => {
      for (const timer of sayingAgain.values()) clearTimeout(timer);
      for (const each of listening) each.dispose();
    },
  };
}
