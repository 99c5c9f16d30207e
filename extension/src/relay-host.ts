/**
 * "Host a Relay on This Machine": a relay process of its own that outlives the window, with its data in global storage. Later
 * windows find it through the record that it keeps beside its data, and start it again when it is gone. Knows nothing of vscode.
 *
 *     <storage>/relay/config.json   what was chosen: addresses and port; there as long as a relay is wanted
 *                     running.json  written by the relay once it listens: process id and addresses
 *                     data/         rooms, sealed
 *                     relay.log
 */
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import path from 'node:path';

export interface RelayConfig {
  /** The address to listen on: loopback, one of this network, or `0.0.0.0` for all. */
  readonly host: string;
  readonly port: number;
}
export interface RelayRunning {
  readonly pid: number;
  readonly urls: readonly string[];
}

/** What a relay process tells its starter, once. */
export type RelayStarted =
  | { readonly kind: 'listening' }
  | { readonly kind: 'failed'; readonly code: string; readonly message: string };

export function relayPaths(storage: string): {
  readonly folder: string;
  readonly config: string;
  readonly running: string;
  readonly data: string;
  readonly log: string;
} {
  const folder = path.join(storage, 'relay');
  return {
    folder,
    config: path.join(folder, 'config.json'),
    running: path.join(folder, 'running.json'),
    data: path.join(folder, 'data'),
    log: path.join(folder, 'relay.log'),
  };
}

export interface RelayHost {
  /** The relay that runs, started if it is wanted and does not. undefined when none is hosted here. Errors: why it does not start. */
  resume(): Promise<RelayRunning | undefined>;
  /** Makes `config` the choice and sees that a relay with it runs. Errors: a sentence, such as a taken port. */
  host(config: RelayConfig): Promise<RelayRunning>;
  /** Ends the relay and forgets the choice; its data stay. */
  stop(): Promise<'stopped' | 'none'>;
}

export interface RelayHostParts {
  readonly storage: string;
  /** Starts the relay process detached; resolves when it says that it listens, rejects with its last words. */
  readonly start: (storage: string) => Promise<void>;
  readonly isAlive: (pid: number) => boolean;
  readonly end: (pid: number) => void;
  /** Whether a relay answers there: a process id alone may belong to anybody by now. */
  readonly answers: (url: string) => Promise<boolean>;
  readonly pause: (ms: number) => Promise<void>;
}

/** The winner of two starts listens by then, if there is one. */
const otherMsMax = 2_000;
const otherPollMs = 100;
const stopPollMs = 50;
const stopMsMax = 5_000;

export function createRelayHost(parts: RelayHostParts): RelayHost {
  const paths = relayPaths(parts.storage);

  const running = async (): Promise<RelayRunning | undefined> => {
    const found = await readJson(paths.running, parseRelayRunning);
    const url = found?.urls[0];
    if (found === undefined || url === undefined || !parts.isAlive(found.pid)) return undefined;
    return (await parts.answers(url)) ? found : undefined;
  };

  const start = async (): Promise<RelayRunning> => {
    try {
      await parts.start(parts.storage);
    } catch (error) {
      // Two windows that open at once both start one; the data's lock and the port decide, and the loser waits for the winner.
      for (let waitedMs = 0; (await running()) === undefined; waitedMs += otherPollMs) {
        if (waitedMs >= otherMsMax) throw error;
        await parts.pause(otherPollMs);
      }
    }
    const now = await running();
    if (now === undefined) throw new Error(`The relay on this machine does not answer; see ${paths.log}.`);
    return now;
  };

  const end = async (): Promise<'stopped' | 'none'> => {
    const found = await running();
    if (found === undefined) return 'none';
    parts.end(found.pid);
    for (let waitedMs = 0; parts.isAlive(found.pid); waitedMs += stopPollMs) {
      if (waitedMs > stopMsMax) throw new Error(`The relay (process ${found.pid}) did not end.`);
      await parts.pause(stopPollMs);
    }
    return 'stopped';
  };

  return {
    async resume() {
      if ((await readJson(paths.config, parseRelayConfig)) === undefined) return undefined;
      return (await running()) ?? (await start());
    },
    async host(config) {
      await mkdir(paths.folder, { recursive: true, mode: 0o700 });
      const before = await readJson(paths.config, parseRelayConfig);
      if (before !== undefined && JSON.stringify(before) !== JSON.stringify(config)) await end();
      const temporary = `${paths.config}.new`;
      await writeFile(temporary, `${JSON.stringify(config)}\n`, { mode: 0o600 });
      await rename(temporary, paths.config);
      try {
        return (await running()) ?? (await start());
      } catch (error) {
        // A relay that cannot start is not tried again by every window.
        await rm(paths.config, { force: true });
        throw error;
      }
    },
    async stop() {
      const outcome = await end();
      await rm(paths.config, { force: true });
      return outcome;
    },
  };
}

async function readJson<Value>(file: string, parse: (text: string) => Value | undefined): Promise<Value | undefined> {
  try {
    return parse(await readFile(file, 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** undefined for what it does not understand: half a file of a crashed machine is as good as none. */
export function parseRelayConfig(text: string): RelayConfig | undefined {
  const { host, port } = parseFields(text);
  const isPort = typeof port === 'number' && Number.isInteger(port) && port >= 1 && port <= 65_535;
  return typeof host === 'string' && host !== '' && isPort ? { host, port } : undefined;
}

/** As parseRelayConfig. */
export function parseRelayRunning(text: string): RelayRunning | undefined {
  const { pid, urls } = parseFields(text);
  if (typeof pid !== 'number' || !Number.isInteger(pid) || pid < 1 || !Array.isArray(urls)) return undefined;
  const texts = urls.filter((url) => typeof url === 'string');
  return texts.length === 0 ? undefined : { pid, urls: texts };
}

function parseFields(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}

/** Addresses of this machine that others in its network can reach, IPv4 first. */
export function networkAddresses(): readonly string[] {
  const all = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  const reachable = all.filter((each) => !each.internal && !each.address.startsWith('fe80:'));
  return reachable
    .sort((a, b) => (a.family === b.family ? 0 : a.family === 'IPv4' ? -1 : 1))
    .map((each) => each.address);
}

/** Every address that reaches a relay which listens on `host`: what invites carry. */
export function relayUrls({ host, port }: RelayConfig): readonly string[] {
  const hosts =
    host === '0.0.0.0' ? [...networkAddresses().filter((each) => !each.includes(':')), '127.0.0.1'] : [host];
  return hosts.map((each) => relayUrl(each, port));
}

export function relayUrl(host: string, port: number): string {
  return `ws://${host.includes(':') ? `[${host}]` : host}:${port}`;
}
