/** Which side of which conflict a document of our scheme shows. Pure but for vscode's own Uri. */
import * as vscode from 'vscode';
import { conflictScheme } from '../contributions.ts';

export interface ConflictTarget {
  readonly dir: string;
  readonly path: string;
}
export type ConflictSide = 'base' | 'mine' | 'theirs';

export function conflictUri({ dir, path }: ConflictTarget, side: ConflictSide): vscode.Uri {
  // The path ends in the file's own name, so that the editor knows its language.
  return vscode.Uri.from({ scheme: conflictScheme, path: `/${path}`, query: JSON.stringify({ dir, path, side }) });
}

export function parseConflictUri(uri: vscode.Uri): (ConflictTarget & { readonly side: ConflictSide }) | undefined {
  if (uri.scheme !== conflictScheme) return undefined;
  try {
    const value: unknown = JSON.parse(uri.query);
    if (typeof value !== 'object' || value === null || !('dir' in value) || !('path' in value) || !('side' in value))
      return undefined;
    const { dir, path, side } = value;
    if (typeof dir !== 'string' || typeof path !== 'string') return undefined;
    return side === 'base' || side === 'mine' || side === 'theirs' ? { dir, path, side } : undefined;
  } catch {
    return undefined;
  }
}
