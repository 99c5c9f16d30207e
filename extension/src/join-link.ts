/** Opens `vscode://driftless.driftless/join#<invite>`. The invite stands in the fragment, is asked about before use, and never logged. */
import * as vscode from 'vscode';

export function createJoinLinkHandler(join: (invite: string) => Promise<void>): vscode.UriHandler {
  return {
    async handleUri(uri) {
      if (uri.path !== '/join' || uri.fragment === '') {
        void vscode.window.showErrorMessage(
          'This link is no invite. Copy the link again, whole, or run "Sync: Connect Peer" and paste the invite.',
        );
        return;
      }
      await join(uri.fragment);
    },
  };
}
