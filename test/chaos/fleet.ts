/**
 * A relay and its peers as real processes, each peer behind a proxy of its own, with the faults that machines have: killed,
 * frozen, restarted; a relay whose data is lost or restored from an older copy; a state store that is lost, cut or old.
 * Only processes that were started here are ever signalled, by their id.
 */
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { encodeInvite, parseInvite } from '../../engine/src/invite-code.ts';
import { createWorld, type DriftlessProcess, type Told, type World } from '../scenario/driftless-process.ts';
import { createProxy, type LinkProxy } from './proxy.ts';

export interface Member {
  readonly name: string;
  readonly dir: string;
  readonly proxy: LinkProxy;
  readonly running: boolean;
  /** Process id while it runs. */
  readonly pid: number | undefined;
  /** All that was told, over all runs. */
  readonly told: readonly Told[];
  /** The last state that the present run told. */
  state(): string | undefined;
  lastState(): Told | undefined;
  start(): void;
  kill(): Promise<void>;
  /** SIGTERM; its exit code. */
  stop(): Promise<number | null>;
  freeze(): void;
  thaw(): void;
  /** Only while it does not run. */
  damageState(how: StateDamage): void;
  /** Only while it does not run: for `damageState('older')`. */
  copyState(): void;
  ask(command: string): Promise<Record<string, unknown>>;
  stderr(): string;
}
export type StateDamage = 'lost' | 'cut' | 'older';

export interface RelayProcess {
  readonly running: boolean;
  readonly pid: number | undefined;
  readonly dataDir: string;
  readonly homeDir: string;
  start(): Promise<void>;
  kill(): Promise<void>;
  freeze(): void;
  thaw(): void;
  /** The next two only while it does not run. */
  copyData(): void;
  restoreData(how: 'lost' | 'older'): void;
  /** All that it printed, over all runs. */
  output(): string;
}

export interface Fleet {
  readonly path: World['path'];
  readonly relay: RelayProcess;
  readonly members: readonly Member[];
  close(options: { readonly keep: boolean }): Promise<void>;
}

export interface FleetOptions {
  /** Names of the folders; also of the devices, unless `deviceNames` says otherwise. */
  readonly names: readonly string[];
  readonly deviceNames?: readonly string[];
  /** Sees every byte between peers and relay. */
  readonly tap?: (bytes: Uint8Array) => void;
  readonly program?: string;
}

export async function createFleet({ names, deviceNames = names, tap, program }: FleetOptions): Promise<Fleet> {
  const world = await createWorld(program === undefined ? {} : { program });
  const relay = createRelayProcess(world);
  await relay.start();
  const proxies: LinkProxy[] = [];
  const members: Member[] = [];
  let invite = '';
  for (const [index, name] of names.entries()) {
    const proxy = await createProxy(() => relay.port(), tap);
    proxies.push(proxy);
    const dir = world.path(name);
    mkdirSync(dir);
    const home = `${name}-home`;
    const deviceName = deviceNames[index] ?? name;
    if (index === 0) {
      const first = world.start(['share', dir, '--relay', urlOf(proxy), '--name', deviceName, '--json'], { home });
      invite = String((await first.event(({ event }) => event === 'invite'))['invite']);
      await first.event(({ event, state }) => event === 'state' && state === 'idle');
      await first.stop();
    } else {
      const first = world.start(['join', '-', dir, '--name', deviceName, '--json'], {
        home,
        input: `${withUrl(invite, urlOf(proxy))}\n`,
      });
      await first.event(({ event, state }) => event === 'state' && state === 'idle');
      await first.stop();
    }
    const member = createMember({ world, name, dir, home, proxy });
    member.start();
    members.push(member);
  }
  return {
    path: world.path,
    relay,
    members,
    async close({ keep }) {
      for (const member of members) await member.kill();
      await relay.kill();
      for (const proxy of proxies) await proxy.close();
      if (!keep) await world.close();
    },
  };
}

const urlOf = ({ port }: LinkProxy): string => `ws://127.0.0.1:${port}`;

function withUrl(invite: string, url: string): string {
  const parsed = parseInvite(invite);
  if (!parsed.ok) throw new Error(parsed.error);
  return encodeInvite({ ...parsed.value, urls: [url] });
}

function createRelayProcess(world: World): RelayProcess & { readonly port: () => number } {
  let current: DriftlessProcess | undefined;
  let port = 0;
  let log = '';
  const dataDir = world.path('relay');
  const copy = world.path('relay-copy');
  return {
    get running() {
      return current !== undefined;
    },
    get pid() {
      return current?.child.pid;
    },
    dataDir,
    homeDir: world.path('relay-home'),
    port: () => port,
    async start() {
      if (current !== undefined) return;
      const started = world.start(['relay', '--port', String(port), '--data', dataDir, '--verbose'], {
        home: 'relay-home',
      });
      current = started;
      try {
        const { url } = await started.event(({ event }) => event === 'listening');
        port = Number(new URL(String(url)).port);
      } catch (error) {
        // Killed while it started, by the next fault.
        if (current === started) throw error;
      }
    },
    async kill() {
      const stopping = current;
      if (stopping === undefined) return;
      current = undefined;
      await stopping.stop('SIGKILL');
      log += outputOf(stopping);
    },
    freeze: () => void current?.child.kill('SIGSTOP'),
    thaw: () => void current?.child.kill('SIGCONT'),
    copyData() {
      rmSync(copy, { recursive: true, force: true });
      cpSync(dataDir, copy, { recursive: true });
    },
    restoreData(how) {
      rmSync(dataDir, { recursive: true, force: true });
      if (how === 'older' && existsSync(copy)) cpSync(copy, dataDir, { recursive: true });
    },
    output: () => log + (current === undefined ? '' : outputOf(current)),
  };
}

const outputOf = (process: DriftlessProcess): string =>
  process.told.map((event) => `${JSON.stringify(event)}\n`).join('') + process.stderr();

function createMember(options: {
  readonly world: World;
  readonly name: string;
  readonly dir: string;
  readonly home: string;
  readonly proxy: LinkProxy;
}): Member {
  const { world, name, dir, home, proxy } = options;
  let current: DriftlessProcess | undefined;
  const past: Told[] = [];
  let log = '';
  const stateCopy = world.path(`${name}-state-copy`);
  const stateFiles = (): string[] => {
    const folders = world.path(home, 'folders');
    return readdirSync(folders).flatMap((link) =>
      readdirSync(join(folders, link))
        .filter((file) => file.startsWith('state.sqlite'))
        .map((file) => join(folders, link, file)),
    );
  };
  const lastState = (): Told | undefined => current?.told.findLast(({ event }) => event === 'state');
  return {
    name,
    dir,
    proxy,
    get running() {
      return current !== undefined;
    },
    get pid() {
      return current?.child.pid;
    },
    get told() {
      return [...past, ...(current?.told ?? [])];
    },
    state: () => {
      const state = lastState()?.['state'];
      return typeof state === 'string' ? state : undefined;
    },
    lastState,
    start() {
      current ??= world.start(['sync', dir, '--json', '--verbose'], { home });
    },
    async kill() {
      const stopping = current;
      if (stopping === undefined) return;
      current = undefined;
      await stopping.stop('SIGKILL');
      past.push(...stopping.told, { event: 'killed' });
      log += stopping.stderr();
    },
    async stop() {
      const stopping = current;
      if (stopping === undefined) return null;
      current = undefined;
      const ending = stopping.stop('SIGTERM');
      // A frozen one hears it only then.
      stopping.child.kill('SIGCONT');
      const code = await ending;
      past.push(...stopping.told, { event: 'stopped' });
      log += stopping.stderr();
      return code;
    },
    freeze: () => void current?.child.kill('SIGSTOP'),
    thaw: () => void current?.child.kill('SIGCONT'),
    copyState() {
      rmSync(stateCopy, { recursive: true, force: true });
      mkdirSync(stateCopy);
      for (const file of stateFiles()) cpSync(file, join(stateCopy, file.slice(file.lastIndexOf('/') + 1)));
    },
    damageState(how) {
      const files = stateFiles();
      const main = files.find((file) => file.endsWith('.sqlite'));
      if (main === undefined) return;
      if (how === 'cut') {
        truncateSync(main, Math.floor(statSync(main).size / 2));
        return;
      }
      if (how === 'older' && !existsSync(stateCopy)) return;
      for (const file of files) rmSync(file);
      if (how === 'older')
        for (const file of readdirSync(stateCopy))
          cpSync(join(stateCopy, file), join(main.slice(0, main.lastIndexOf('/')), file));
    },
    async ask(command) {
      const { stdout, stderr } = await world.run([command, dir, '--json'], { home });
      try {
        return JSON.parse(stdout) as Record<string, unknown>;
      } catch {
        throw new Error(`${command} of ${name} printed ${JSON.stringify(stdout)} and ${stderr}`);
      }
    },
    stderr: () => log + (current?.stderr() ?? ''),
  };
}
