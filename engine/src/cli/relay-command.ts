/** `driftless relay`: a relay in this process until it is told to stop. The only place in the engine that knows the relay. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { bytesToHex } from '@driftless/protocol';
import { defaultRelayPort, RelayConfigError, relayKeyOf, runRelay } from '@driftless/relay';
import { HostError } from '../host-api.ts';
import { codeOf, homePathOf, messageOf, openHome } from '../node/home.ts';
import { isLoopback } from '../node/relay-url.ts';
import type { Output } from './output.ts';
import type { RelayFlags } from './program.ts';
import type { Stop } from './stop.ts';
import { exitCodes, UsageError } from './usage-error.ts';

/**
 * Prints the listening line as JSON whoever reads it: it is what scripts wait for. It names the relay's key, for people to compare
 * with what their peers show. Resolves with the exit code.
 */
export async function relayCommand(flags: RelayFlags, output: Output, stop: Stop): Promise<number> {
  const dataDir = flags.data === undefined ? undefined : resolve(flags.data);
  if (flags.showKey) {
    output.object({ key: relayKeyOf({ homeDir: homePathOf(process.env), dataDir }) });
    return exitCodes.ok;
  }
  const { DRIFTLESS_RELAY_HOST, DRIFTLESS_RELAY_TLS_CERT } = process.env;
  const host = flags.host ?? DRIFTLESS_RELAY_HOST ?? '127.0.0.1';
  if (!flags.allowPlain && DRIFTLESS_RELAY_TLS_CERT === undefined && !isLoopback(host)) {
    throw new HostError(
      'plain-refused',
      `${host} can be reached from other machines, without TLS. Add --allow-plain: contents stay sealed, addresses and timing show.`,
    );
  }
  // What it stores is for its own user, in whatever directory it was given.
  process.umask(0o077);
  const home = await openHome(homePathOf(process.env));
  const relay = await runRelay({
    homeDir: home.path,
    host,
    port: flags.port,
    dataDir,
    logLevel: flags.verbose ? 'debug' : undefined,
    ...bundledWorker(),
  }).catch((error: unknown) => {
    throw explained(error, { host, port: flags.port ?? defaultRelayPort });
  });
  output.object({
    event: 'listening',
    url: relay.url,
    key: bytesToHex(relay.publicKey),
    time: new Date().toISOString(),
  });
  await stop.wished;
  await stop.finish(() => relay.close());
  return exitCodes.ok;
}

/** In the built command line the store's worker lies beside it. */
function bundledWorker(): { readonly workerUrl?: URL } {
  const workerUrl = new URL('./sqlite-store-worker.js', import.meta.url);
  return existsSync(workerUrl) ? { workerUrl } : {};
}

function explained(error: unknown, { host, port }: { readonly host: string; readonly port: number }): Error {
  if (error instanceof RelayConfigError) return new UsageError(`${error.message}. See: driftless relay --help`);
  switch (codeOf(error)) {
    case 'EADDRINUSE':
      return new Error(
        `Port ${port} on ${host} is taken. Stop what listens there, or choose another: driftless relay --port NUMBER`,
        { cause: error },
      );
    case 'EACCES':
      return new Error(
        `Listening on port ${port} of ${host} is not allowed. Choose one above 1023: driftless relay --port NUMBER`,
        { cause: error },
      );
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return new UsageError(
        `${host} is no address of this machine. Choose one that is: driftless relay --host ADDRESS`,
      );
    default:
      return new Error(`The relay cannot start: ${messageOf(error)}`, { cause: error });
  }
}
