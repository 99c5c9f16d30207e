/**
 * Opens `vscode://driftless.driftless/join#<invite>`, which anybody can make, and any page can open: it is asked about before use, twice where
 * the folder holds something, and never logged.
 */
import type * as vscode from 'vscode';
import { tell } from './window.ts';

export function createJoinLinkHandler(join: (invite: string) => Promise<void>): vscode.UriHandler {
  return {
    async handleUri(uri) {
      if (uri.path !== '/join' || uri.fragment === '') {
        void tell('error', 'This link is no invite. Run "Sync: Connect Peer" and paste the invite.');
        return;
      }
      await join(uri.fragment);
    },
  };
}
