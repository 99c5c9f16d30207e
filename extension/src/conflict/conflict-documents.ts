/** Read-only documents that show a conflict's sides. The bytes come from the engine when an editor asks for them. */
import type { ConflictSides } from '@driftless/engine';
import * as vscode from 'vscode';
import { conflictSidesRequest } from '../channel.ts';
import type { Folders } from '../folders.ts';
import { plural } from '../present/text.ts';
import { type ConflictSide, type ConflictTarget, conflictUri, parseConflictUri } from './conflict-uri.ts';

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

function sideText(sides: ConflictSides, side: ConflictSide): string {
  // An unknown base is an empty one: nothing else merges with it.
  if (side === 'theirs' && sides.missing?.includes(side) === true)
    return 'This version is not on this machine, and the relay does not give it now. Open the conflict again when sync is online.\n';
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
