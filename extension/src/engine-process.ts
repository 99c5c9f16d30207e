/**
 * Entry of the engine process: the composition root of the peers of one window's folders. Forked by the extension, of which it
 * knows only the channel; it never sees vscode. It ends when its channel ends, however that came about, after closing its
 * folders; so nothing outlives the window.
 */
import {
  createFolderHost,
  homePathOf,
  ignoreInspectorSignal,
  keepMemoryOutOfCoreDumps,
  openHome,
  parseInvite,
  selfTestCrypto,
} from '@driftless/engine';
import { createMessageConnection, IPCMessageReader, IPCMessageWriter } from 'vscode-jsonrpc/node';
import { createChannelLog, createChannelSecrets, serveEngine } from './engine-service.ts';

/** A folder that cannot be closed by then is stopped as a crash would: the journals make that safe. */
const closeMsMax = 10_000;

const connection = createMessageConnection(new IPCMessageReader(process), new IPCMessageWriter(process));
const after = (ms: number, body: () => void): void => {
  setTimeout(body, ms);
};
keepMemoryOutOfCoreDumps();
ignoreInspectorSignal();
const log = createChannelLog(connection, after);

const service = serveEngine({
  connection,
  log,
  after,
  openHost: async () => {
    const crypto = selfTestCrypto();
    if (!crypto.ok) throw new Error(`this Node (${process.version}) lacks what Driftless seals with: ${crypto.error}`);
    const home = await openHome(homePathOf(process.env));
    return createFolderHost({
      home,
      secrets: createChannelSecrets(connection),
      ownerKind: 'extension',
      environment: process.env,
      log,
    });
  },
  previewInvite: (text) => {
    const invite = parseInvite(text);
    return invite.ok
      ? { kind: 'valid', from: invite.value.from, urls: invite.value.urls }
      : { kind: 'invalid', reason: invite.error };
  },
});

let ending = false;
const end = (): void => {
  if (ending) return;
  ending = true;
  setTimeout(() => process.exit(1), closeMsMax).unref();
  service.close().then(
    () => process.exit(0),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
};
process.once('disconnect', end);
process.once('SIGTERM', end);
// Ctrl-C in the terminal that started VS Code reaches this process too; the window decides when it ends.
process.on('SIGINT', () => undefined);
// With the window its ends of these pipes are gone; what is said then reaches nobody.
process.stdout.on('error', () => undefined);
process.stderr.on('error', () => undefined);
connection.listen();
