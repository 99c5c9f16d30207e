/**
 * Says once a folder that an edit changed nothing but line ends: mostly it is git, which converts on checkout, and then two
 * machines flip the same files for ever. After the record is in the log, so that no save waits for it.
 */
import type { Content, RelPath } from '@driftless/protocol';
import { canDifferInLineEndsOnly, differInLineEndsOnly } from '../core/line-ends.ts';
import type { PeerParts } from '../peer-api.ts';

export interface Edit {
  readonly path: RelPath;
  readonly before: Content;
  readonly bytes: Uint8Array;
}

/** Edits of one record that are looked at: a checkout flips many alike. */
export const editsMax = 20;
/** Setting: it was said. */
const saidSetting = 'line-ends-said';

export function createLineEndHint({ store, onEvent }: PeerParts): (edits: readonly Edit[]) => void {
  let isSaid: boolean | null = null;
  return (edits) => {
    isSaid ??= store.setting(saidSetting) !== undefined;
    if (isSaid) return;
    for (const { path, before, bytes } of edits) {
      if (!canDifferInLineEndsOnly(bytes, before.size)) continue;
      const old = store.cachedContent(before.digest);
      if (old === undefined || !differInLineEndsOnly(bytes, old)) continue;
      store.setSetting(saidSetting, 'yes');
      isSaid = true;
      onEvent({
        event: 'note',
        path,
        note: 'only its line ends changed, and that was sent like any edit. If git converts them on checkout, put "* text=auto eol=lf" into .gitattributes on every machine (said once)',
      });
      return;
    }
  };
}
