/**
 * Composition root of the relay as a program. Prints nothing on standard output: the command line says what there is to say.
 * Logs go to standard error, one JSON object a line.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseProxies, parseRelayConfig, type RelaySettings } from './config.ts';
import { shownRelayKey } from './identity.ts';
import { pinoLog, type RelayLog } from './log.ts';
import { createRelay, type RunningRelay } from './server.ts';

export interface RunRelayOptions extends RelaySettings {
  /** Where the relay's identity is kept beside its data, and the data itself when no directory is given: `<homeDir>/relay`. */
  readonly homeDir: string;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly log?: RelayLog;
  /** The built sqlite-store-worker, where this code is bundled. */
  readonly workerUrl?: URL;
}

/**
 * Starts a relay from settings and environment. The caller stops it with `close()`.
 *
 * Errors: RelayConfigError (bad settings), StoreError (the data: in use, damaged, newer, disk full), and what the system says of the
 * address (`code` EADDRINUSE, EACCES, EADDRNOTAVAIL …) or of the files.
 */
export async function runRelay(options: RunRelayOptions): Promise<RunningRelay> {
  const { homeDir, environment = process.env, log, workerUrl, ...settings } = options;
  const config = parseRelayConfig(settings, environment);
  const { tlsCertFile, tlsKeyFile, roomBytesMax, totalBytesMax } = config;
  return createRelay({
    storage: {
      dataDir: config.dataDir ?? defaultDataDir(homeDir),
      homeDir,
      ...(workerUrl === undefined ? {} : { workerUrl }),
    },
    host: config.host,
    port: config.port,
    ...(config.proxies === undefined ? {} : { proxies: parseProxies(config.proxies) }),
    ...(tlsCertFile === undefined || tlsKeyFile === undefined
      ? {}
      : { tls: { cert: readFileSync(tlsCertFile, 'utf8'), key: readFileSync(tlsKeyFile, 'utf8') } }),
    quotas: {
      ...(roomBytesMax === undefined ? {} : { roomBytesMax }),
      ...(totalBytesMax === undefined ? {} : { totalBytesMax }),
    },
    log: log ?? pinoLog(config.logLevel),
  });
}

/**
 * The key of the relay that these settings would start, in hex: to compare with what a peer shows. Starts nothing.
 *
 * Errors: RelayConfigError; no relay has run there yet.
 */
export function relayKeyOf({ homeDir, environment = process.env, ...settings }: RunRelayOptions): string {
  const { dataDir = defaultDataDir(homeDir) } = parseRelayConfig(settings, environment);
  return Buffer.from(shownRelayKey({ homeDir, dataDir })).toString('hex');
}

const defaultDataDir = (homeDir: string): string => join(homeDir, 'relay');
