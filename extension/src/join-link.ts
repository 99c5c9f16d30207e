/** Opens `vscode://driftless.driftless/join#<invite>`. The invite stands in the fragment, is asked about before use, and never logged. */
import type * as vscode from 'vscode';
import { tell } from './window.ts';

export function createJoinLinkHandler(join: (invite: string) => Promise<void>): vscode.UriHandler {
  return {
    async handleUri(uri) {
      if (uri.path !== '/join' || uri.fragment === '') {
        void tell(
          'error',
          'This link is no invite. Copy the link again, whole, or run "Sync: Connect Peer" and paste the invite.',
        );
        return;
      }
      await join(uri.fragment);
    },
  };
}
