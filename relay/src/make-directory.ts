/**
 * Makes a directory and what is missing above it, for this user alone. Node's own recursive form never ends below places that
 * refuse new names with "no such file" (as /proc does): here each level is made once, and a refusal is an answer.
 */
import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/** Errors: what the system says of the first level that cannot be made. */
export function makeDirectory(path: string): void {
  const isThere = statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  if (isThere) return;
  const parent = dirname(path);
  if (parent !== path) makeDirectory(parent);
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    // Somebody else was faster.
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) throw error;
  }
}
