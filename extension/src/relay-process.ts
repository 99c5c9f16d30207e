/**
 * Entry of the relay that this machine hosts: `relay-process <storage>`. Detached from the window that started it, it reads what
 * was chosen from config.json, and once it listens leaves its process id and addresses in running.json for later windows. Tells
 * its starter over the channel how it went, once. Ends on SIGTERM.
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { runRelay } from '@driftless/relay';
import { parseRelayConfig, type RelayRunning, type RelayStarted, relayPaths, relayUrls } from './relay-host.ts';

// Node would open its inspector, and with it this process's memory, to any program of the same user.
process.on('SIGUSR1', () => undefined);

const [, script = '', storage = ''] = process.argv;
const paths = relayPaths(storage);

const tell = (message: RelayStarted): Promise<void> =>
  new Promise((resolve) => {
    if (process.send === undefined || !process.connected) return resolve();
    process.send(message, () => resolve());
  });

async function main(): Promise<void> {
  const config = parseRelayConfig(readFileSync(paths.config, 'utf8'));
  if (config === undefined) throw new Error(`${paths.config} cannot be read: host the relay again`);
  const relay = await runRelay({
    host: config.host,
    port: config.port,
    homeDir: paths.folder,
    dataDir: paths.data,
    logLevel: 'info',
    // Settings of a relay started by hand on this machine are not ours.
    environment: {},
    workerUrl: pathToFileURL(path.join(path.dirname(script), 'sqlite-store-worker.cjs')),
  });
  const running: RelayRunning = { pid: process.pid, urls: [...relayUrls(config)] };
  const temporary = `${paths.running}.${process.pid}`;
  writeFileSync(temporary, `${JSON.stringify(running)}\n`, { mode: 0o600 });
  renameSync(temporary, paths.running);
  let ending = false;
  const end = (): void => {
    if (ending) return;
    ending = true;
    rmSync(paths.running, { force: true });
    relay.close().then(
      () => process.exit(0),
      (error: unknown) => {
        console.error(error);
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', end);
  process.on('SIGINT', end);
  await tell({ kind: 'listening' });
}

main().catch(async (error: unknown) => {
  console.error(error);
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  await tell({
    kind: 'failed',
    code: typeof code === 'string' ? code : 'failed',
    message: error instanceof Error ? error.message : String(error),
  });
  process.exit(1);
});
