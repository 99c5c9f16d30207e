/** Read-only documents that show a conflict's sides. The bytes come from the engine when an editor asks for them. */
import * as vscode from 'vscode';
import { type ConflictSides, conflictSidesRequest } from '../channel.ts';
import type { Folders } from '../folders.ts';
import { plural } from '../present/text.ts';
import { type ConflictTarget, conflictUri, parseConflictUri } from './conflict-uri.ts';

export interface ConflictDocuments extends vscode.TextDocumentContentProvider {
  /** The sides of this conflict may be others now. */
  refresh(target: ConflictTarget): void;
}

export function createConflictDocuments(folders: Folders): ConflictDocuments {
  const changed = new vscode.EventEmitter<vscode.Uri>();
  return {
    onDidChange: changed.event,
    async provideTextDocumentContent(uri) {
      const target = parseConflictUri(uri);
      if (target === undefined) return '';
      const sides = await folders.ask(conflictSidesRequest, { dir: target.dir, path: target.path });
      return sideText(sides, target.side);
    },
    refresh(target) {
      for (const side of ['base', 'mine', 'theirs'] as const) changed.fire(conflictUri(target, side));
    },
  };
}

function sideText(sides: ConflictSides, side: keyof ConflictSides): string {
  const encoded = sides[side];
  if (encoded === null) return '';
  const bytes = Buffer.from(encoded, 'base64');
  if (isBinary(bytes)) return `This version is not text: ${plural(bytes.length, 'byte')}.\n`;
  return bytes.toString('utf8');
}

/** As VS Code decides it: a zero byte. */
export function isBinary(bytes: Uint8Array): boolean {
  return bytes.includes(0);
}
