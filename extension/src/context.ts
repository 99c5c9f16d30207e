/** What commands are given: the parts that `activate` built. */
import type { ConflictViews } from './conflict/conflict-views.ts';
import type { Folders } from './folders.ts';
import type { EngineHost } from './host.ts';
import type { RelayHost } from './relay-host.ts';
import type { WindowLog } from './window.ts';

export interface CommandContext {
  readonly host: EngineHost;
  readonly folders: Folders;
  readonly relay: RelayHost;
  readonly conflicts: ConflictViews;
  readonly log: WindowLog;
}
