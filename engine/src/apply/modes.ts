/**
 * Brings a file's mode to the disk; its content stays as it is here, edited or not. A chmod needs no journal: it can be
 * repeated, and a scan that meets it first takes it for what it is.
 */
import type { FileMode } from '@driftless/protocol';
import { agreedAfterMode } from '../core/decide.ts';
import type { Row } from '../core/row.ts';
import type { PeerContext } from '../peer-context.ts';
import { dressOf, expectedOf, localFileOf } from './disk-entry.ts';

/** The writes that follow once the disk is flushed; null: the file is as it was, and looked at again. */
export async function dressFile(context: PeerContext, row: Row, mode: FileMode): Promise<(() => void) | null> {
  const { folder, store, clock } = context.parts;
  const { path, local } = row;
  const dress = dressOf(path, { mode, before: local });
  const outcome = await folder.setMode({ path, dress, expected: expectedOf(local) });
  if (outcome.kind === 'problem') context.fail(path, outcome);
  if (outcome.kind !== 'done') {
    context.markDirty(path, false);
    return null;
  }
  return () => {
    store.setBase(path, agreedAfterMode(row));
    if (local?.kind === 'file' && outcome.stat !== null) {
      const { digest, racy: wasRacy } = local;
      store.setLocal(path, localFileOf(outcome.stat, { digest, mode, traits: folder.traits, wasRacy }, clock.nowMs()));
    }
    store.setProblem(path, null);
    if (local?.kind === 'file' && local.racy) context.markDirty(path, false);
  };
}
