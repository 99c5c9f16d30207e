/** What the extension knows of one workspace folder: the one value that the status bar, tooltips and commands are derived from. */
import type { PeerState, Status } from '@driftless/engine';

export type FolderView =
  | { readonly kind: 'unlinked' }
  /** The workspace is not trusted: nothing is started in it. */
  | { readonly kind: 'restricted' }
  | { readonly kind: 'starting' }
  /** Another window, or the command line, keeps this folder in sync; the message names it. */
  | { readonly kind: 'owned'; readonly message: string }
  | { readonly kind: 'failed'; readonly code: string; readonly message: string }
  | { readonly kind: 'engine-down'; readonly reason: string; readonly restartInMs: number }
  | { readonly kind: 'running'; readonly state: PeerState; readonly status: Status | null };

export interface NamedFolder {
  readonly name: string;
  readonly dir: string;
  readonly view: FolderView;
}
