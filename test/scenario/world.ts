/**
 * A small world for scenarios: a real relay on port 0 and any number of peers, each with a home and a folder of its own, all
 * in this process and over real sockets. Waiting is waiting for events: nothing sleeps.
 */
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createRelay, type RunningRelay, silentLog } from '@driftless/relay';
import type { ConflictPolicy, PeerControl, PeerEvent, PeerState } from '../../engine/src/control.ts';
import type { FolderHost, RunningFolder } from '../../engine/src/host-api.ts';
import { createFileSecrets } from '../../engine/src/node/file-secrets.ts';
import { createFolderHost } from '../../engine/src/node/folder-host.ts';
import { openHome } from '../../engine/src/node/home.ts';
import type { Log } from '../../engine/src/ports/log.ts';

export interface Person {
  readonly name: string;
  readonly dir: string;
  readonly home: string;
  readonly events: PeerEvent[];
  readonly control: PeerControl;
  write(file: string, text: string | Uint8Array): void;
  read(file: string): string;
  /** Resolves when `condition` holds; asked after every event. */
  until(what: string, condition: () => boolean): Promise<void>;
  state(): PeerState | undefined;
  /** Stops the peer, keeps everything. */
  stop(): Promise<void>;
  start(): Promise<void>;
  /** Stops it and ends its link. */
  unlink(): Promise<void>;
}

export interface World {
  readonly root: string;
  readonly url: string;
  relay: RunningRelay;
  stopRelay(): Promise<void>;
  startRelay(): Promise<void>;
  share(name: string, options?: PersonOptions): Promise<Person & { readonly invite: string }>;
  join(name: string, invite: string, options?: PersonOptions): Promise<Person>;
  /** Every person says idle at the same head. */
  settled(...people: readonly Person[]): Promise<void>;
  close(): Promise<void>;
}
export interface PersonOptions {
  readonly policy?: ConflictPolicy;
  readonly allowMassDelete?: boolean;
  readonly files?: Readonly<Record<string, string>>;
}

const quiet: Log = { debug() {}, info() {}, warn() {}, error() {} };
const loud: Log = {
  debug() {},
  info: (event, fields) => console.error('info', event, fields),
  warn: (event, fields) => console.error('warn', event, fields),
  error: (event, fields) => console.error('error', event, fields),
};

export async function createWorld(): Promise<World> {
  const root = mkdtempSync(path.join(realpathSync(tmpdir()), 'driftless-world-'));
  const log = process.env['DRIFTLESS_TEST_LOG'] === undefined ? quiet : loud;
  const storage = { dataDir: path.join(root, 'relay'), homeDir: path.join(root, 'relay-home') };
  let port = 0;
  const openRelay = async (): Promise<RunningRelay> => {
    const relay = await createRelay({ storage, host: '127.0.0.1', port, log: silentLog });
    port = relay.port;
    return relay;
  };
  const people: { stop(): Promise<void> }[] = [];
  let relayOpen = true;

  async function person(
    name: string,
    options: PersonOptions,
    link: (host: FolderHost, dir: string) => Promise<string>,
  ): Promise<Person & { invite: string }> {
    const dir = path.join(root, name);
    const homePath = path.join(root, `${name}-home`);
    mkdirSync(dir, { recursive: true });
    for (const [file, text] of Object.entries(options.files ?? {})) put(dir, file, text);
    const home = await openHome(homePath);
    const events: PeerEvent[] = [];
    const waiting = new Set<() => void>();
    let host: FolderHost | null = null;
    let running: RunningFolder | null = null;
    let last: PeerState | undefined;
    const openHost = (): FolderHost =>
      createFolderHost({ home, secrets: createFileSecrets(home), ownerKind: 'cli', environment: {}, log });
    const start = async (): Promise<void> => {
      host ??= openHost();
      running = await host.open(dir, {
        ...(options.policy === undefined ? {} : { policy: options.policy }),
        ...(options.allowMassDelete === undefined ? {} : { allowMassDelete: options.allowMassDelete }),
        onEvent: (event) => {
          events.push(event);
          if (event.event === 'state') last = event;
          for (const check of waiting) check();
        },
        log,
      });
    };
    const stop = async (): Promise<void> => {
      await running?.close();
      await host?.close();
      running = null;
      host = null;
      last = undefined;
    };
    host = openHost();
    const invite = await link(host, dir);
    await start();
    const self: Person & { invite: string } = {
      name,
      dir,
      home: homePath,
      events,
      invite,
      get control() {
        if (running === null) throw new Error(`${name} is stopped`);
        return running.control;
      },
      write: (file, text) => put(dir, file, text),
      read: (file) => readFileSync(path.join(dir, file), 'utf8'),
      state: () => last,
      stop,
      start,
      unlink: async () => {
        await stop();
        host = openHost();
        await host.unlink(dir);
        await stop();
      },
      until: (what, condition) =>
        new Promise<void>((resolve, reject) => {
          const limit = setTimeout(() => {
            waiting.delete(check);
            reject(
              new Error(
                `${name}: not reached: ${what}; last state ${JSON.stringify(last)}; last events ${JSON.stringify(events.slice(-8))}`,
              ),
            );
          }, untilMsMax);
          const check = (): void => {
            if (!condition()) return;
            clearTimeout(limit);
            waiting.delete(check);
            resolve();
          };
          waiting.add(check);
          check();
        }),
    };
    people.push(self);
    return self;
  }

  const world: World = {
    root,
    relay: await openRelay(),
    get url() {
      return `ws://127.0.0.1:${port}`;
    },
    stopRelay: async () => {
      relayOpen = false;
      await world.relay.close();
    },
    startRelay: async () => {
      world.relay = await openRelay();
      relayOpen = true;
    },
    share: (name, options = {}) =>
      person(
        name,
        options,
        async (host, dir) =>
          (await host.share({ dir, urls: [world.url], name, policy: options.policy ?? 'keep-both' })).invite,
      ),
    join: (name, invite, options = {}) =>
      person(name, options, async (host, dir) => {
        await host.join({ invite, dir, name, policy: options.policy ?? 'keep-both' });
        return invite;
      }),
    settled: async (...all) => {
      // Until one pass over all of them finds every one idle at one head: an event of any may end another's idleness.
      for (;;) {
        for (const one of all)
          await one.until('idle', () => one.state()?.state === 'idle' || one.state()?.state === 'conflict');
        const statuses = await Promise.all(all.map((one) => one.control.status()));
        const first = statuses[0];
        if (
          statuses.every(
            (status) =>
              (status.state === 'idle' || status.state === 'conflict') &&
              status.head?.id === first?.head?.id &&
              status.root === first?.root,
          )
        )
          return;
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
    close: async () => {
      for (const one of people) await one.stop();
      if (relayOpen) await world.relay.close();
      rmSync(root, { recursive: true, force: true });
    },
  };
  return world;
}

/** Only to turn a hang into a failure with a reason; nothing waits this long when things work. */
const untilMsMax = 60_000;

function put(dir: string, file: string, text: string | Uint8Array): void {
  mkdirSync(path.dirname(path.join(dir, file)), { recursive: true });
  writeFileSync(path.join(dir, file), text);
}

/** The whole folder as data: path → content, link target or kind; the executable bit as a suffix. `.driftless` left out. */
export function treeOf(dir: string): Record<string, string> {
  const tree: Record<string, string> = {};
  const walk = (below: string): void => {
    for (const name of readdirSync(path.join(dir, below)).sort()) {
      const file = below === '' ? name : `${below}/${name}`;
      if (file === '.driftless') continue;
      const stat = lstatSync(path.join(dir, file));
      if (stat.isDirectory()) {
        tree[`${file}/`] = '';
        walk(file);
      } else if (stat.isSymbolicLink()) tree[file] = `-> ${readlinkSync(path.join(dir, file))}`;
      else if (stat.isFile())
        tree[(stat.mode & 0o111) === 0 ? file : `${file} (x)`] = readFileSync(path.join(dir, file), 'base64');
    }
  };
  walk('');
  return tree;
}

/** Both hold `files`; then each changes its folder while the other is paused, and both go on. */
export async function apart(
  world: World,
  options: PersonOptions,
  changeA: (a: Person) => void,
  changeB: (b: Person) => void,
): Promise<{ readonly a: Person; readonly b: Person }> {
  const a = await world.share('a', options);
  const { files: _files, ...rest } = options;
  const b = await world.join('b', a.invite, rest);
  await world.settled(a, b);
  await b.control.pause();
  await b.until('paused', () => b.state()?.state === 'paused');
  const before = a.events.length;
  changeA(a);
  await a.until(
    'sent',
    () => a.events.slice(before).some((event) => event.event === 'sent') && a.state()?.state === 'idle',
  );
  changeB(b);
  await b.control.resume();
  return { a, b };
}

/** Names of conflict copies directly in a folder. */
export const conflictNames = (dir: string): string[] => readdirSync(dir).filter((name) => name.includes('.conflict-'));
