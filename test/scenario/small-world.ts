/**
 * Whole peers in one thread: memory folders, state stores in memory, a relay without sockets and a clock that moves only
 * when asked. A peer can be killed at any change that it makes (of the disk, of its state store, at the relay), and started
 * again with what was left. The same world runs the same way twice.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { DeviceId } from '@driftless/protocol';
import type { ConflictPolicy, PeerEvent, PeerState } from '../../engine/src/control.ts';
import { createDeviceKey } from '../../engine/src/crypto/device-key.ts';
import { createRoomCipher } from '../../engine/src/crypto/room-cipher.ts';
import { nodeHashing } from '../../engine/src/node/node-hashing.ts';
import { openStateStore } from '../../engine/src/node/sqlite-state-store.ts';
import { createPeer } from '../../engine/src/peer.ts';
import type { Peer } from '../../engine/src/peer-api.ts';
import type { Clock } from '../../engine/src/ports/clock.ts';
import type { Folder } from '../../engine/src/ports/folder.ts';
import type { Log } from '../../engine/src/ports/log.ts';
import { type StateStore, StateStoreError } from '../../engine/src/ports/state-store.ts';
import { createFakeClock, type FakeClock } from '../../engine/src/testing/fake-clock.ts';
import { createFaultyFolder, type FaultyFolder } from '../../engine/src/testing/faulty-folder.ts';
import { type DiskCall, systemError } from '../../engine/src/testing/hooked-disk.ts';
import { createManualWatcher, type ManualWatcher } from '../../engine/src/testing/manual-watcher.ts';
import type { MemoryDiskOptions } from '../../engine/src/testing/memory-disk.ts';
import { createMemoryFolder, type FolderUser, type MemoryFolder } from '../../engine/src/testing/memory-folder.ts';
import { createSeededRandom } from '../../engine/src/testing/seeded-random.ts';
import { createMemoryRelay, type MemoryRelay } from './memory-relay.ts';

/**
 * `disk-ahead`: a power cut that finds all names on the disk, and of the state store (one of a file) only what was there at
 * `killBefore` or at the last flush since.
 */
export type Ending = 'kill' | 'power-cut' | 'disk-ahead';

export interface Person {
  readonly name: string;
  readonly device: DeviceId;
  readonly user: FolderUser;
  readonly memory: MemoryFolder;
  readonly watcher: ManualWatcher;
  readonly store: StateStore;
  readonly peer: Peer;
  readonly events: PeerEvent[];
  /** Of the running incarnation: faults and hooks by folder operation. */
  readonly folder: FaultyFolder;
  state(): PeerState | undefined;
  /** Changes made so far: a kill point lies before each. */
  readonly changes: number;
  /** What the changes were, for messages. */
  readonly trace: string[];
  /** The process ends before its n-th change from now (1 = the next). */
  killBefore(n: number, how: Ending): void;
  /** Instead of ending it: its n-th change from now fails once, the disk with EIO, the state store for want of room. */
  failAt(n: number): void;
  /** Whether such a failure was met. */
  readonly hasFailed: boolean;
  readonly isDead: boolean;
  kill(how?: Ending): void;
  start(): void;
  /** Ends in peace. */
  stop(): Promise<void>;
  /** Forgets everything that the state store knew: every later start is a re-join until it has pulled. The peer must not run. */
  loseState(): void;
  /** As after an unlinking: a later start joins the room again. The peer must not run. */
  unlink(): void;
  /** Stores in which a checkpoint is being judged. */
  openTrials(): number;
  /** How many there were. */
  trials(): number;
  /** Closes the state store (one of a file), lets `act` work on the file, opens it again. The peer must not run. */
  withStateFile(act: (file: string) => void): void;
}

export interface PersonOptions {
  /** Who gave the invite. */
  readonly inviter?: Person;
  readonly policy?: ConflictPolicy;
  readonly allowMassDelete?: boolean;
  readonly stateFile?: string;
  readonly fileBytesMax?: number;
  readonly rowsPerPlan?: number;
  /** Which names the disk takes for one. */
  readonly disk?: Pick<MemoryDiskOptions, 'foldsCase' | 'foldsUnicode' | 'foldsFurther'>;
}

export interface SmallWorld {
  readonly clock: FakeClock;
  readonly relay: MemoryRelay;
  person(name: string, options?: PersonOptions): Person;
  until(what: string, condition: () => boolean, withinMs?: number): Promise<void>;
  /** Everybody who runs is at rest at one head, and stays so. */
  quiet(): Promise<void>;
  close(): Promise<void>;
}

export class Killed extends Error {
  constructor() {
    super('killed');
    this.name = 'Killed';
  }
}

/** What a write or a stamp of a staged file leaves behind is no other state than what its creation left. */
const changingCalls: ReadonlySet<DiskCall['operation']> = new Set<DiskCall['operation']>([
  'create',
  'rename',
  'link',
  'symlink',
  'unlink',
  'makeDirectory',
  'removeDirectory',
  'flushDirectory',
  'file.setMode',
  'file.flush',
]);
/** Made once, before there is anything to lose, or for people only. */
const isUneventful = (what: string): boolean =>
  /probe|\.gitignore|marker\.new|last-change|devices|relay-store|steady-time/.test(what);
const changesOfStore: ReadonlySet<string> = new Set<keyof StateStore>([
  'transaction',
  'setSetting',
  'setLocal',
  'setBase',
  'setOutOfScope',
  'setHold',
  'setProblem',
  'moveLocalAndBase',
  'commitRecord',
  'loadManifest',
  'rollBackTo',
  'putSent',
  'deleteSent',
  'putIntent',
  'deleteIntent',
  'putTrash',
  'deleteTrash',
]);
const stepMs = 20;
const untilMsMax = 180_000;
const restMs = 160;
const quietLog: Log = { debug() {}, info() {}, warn() {}, error() {} };
const loudLog: Log = {
  debug() {},
  info: (event, fields) => console.error('info', event, fields),
  warn: (event, fields) => console.error('warn', event, fields),
  error: (event, fields) => console.error('error', event, fields),
};

type StateFiles = ReadonlyMap<string, Uint8Array | undefined>;
const stateFilesOf = (file = ''): readonly string[] => [file, `${file}-wal`];
const readStateFiles = (file?: string): StateFiles =>
  new Map(stateFilesOf(file).map((each) => [each, existsSync(each) ? readFileSync(each) : undefined]));
function writeStateFiles(file: string | undefined, files: StateFiles): void {
  rmSync(`${file}-shm`, { force: true });
  for (const [each, bytes] of files) {
    if (bytes === undefined) rmSync(each, { force: true });
    else writeFileSync(each, bytes);
  }
}

/** Of every small world's room. */
export const roomSecret = new Uint8Array(32).fill(3);

export function createSmallWorld(): SmallWorld {
  const clock = createFakeClock();
  const relay = createMemoryRelay();
  const people: Person[] = [];
  const secret = roomSecret;
  const log = process.env['DRIFTLESS_TEST_LOG'] === undefined ? quietLog : loudLog;

  function person(name: string, options: PersonOptions = {}): Person {
    const memory = createMemoryFolder({ nowMs: clock.nowMs, ...options.disk });
    const watcher = createManualWatcher();
    memory.onHint = ({ path, deep }) => watcher.hint(path, { deep });
    const newStore = (): StateStore => openStateStore({ file: options.stateFile ?? ':memory:', holdsModes: true });
    let store = newStore();
    const events: PeerEvent[] = [];
    const trace: string[] = [];
    let incarnation = 0;
    let last: PeerState | undefined;
    let peer: Peer | undefined;
    let folder: FaultyFolder | undefined;
    let changes = 0;
    let killAt = Number.POSITIVE_INFINITY;
    let failAt = Number.POSITIVE_INFINITY;
    let hasFailed = false;
    let openTrials = 0;
    let trials = 0;
    let killHow: Ending = 'kill';
    let durable: StateFiles | undefined;
    let alive = 0;
    let isRejoin = false;
    let leftAtMs: number | null = null;

    /** Called ahead of every change that the peer makes. */
    const point = (run: number, what: string): void => {
      if (run !== alive) throw new Killed();
      if (isUneventful(what)) return;
      changes += 1;
      if (changes > 20_000) throw new Error(`${name} does not come to rest: ${trace.slice(-40).join(' · ')}`);
      trace.push(what);
      if (changes === failAt) {
        hasFailed = true;
        if (what.startsWith('store.')) throw new StateStoreError('disk-full', 'no room for the state');
        if (!what.startsWith('relay.')) throw systemError('EIO');
      }
      if (changes < killAt) return;
      self.kill(killHow);
      throw new Killed();
    };
    const storeFor = (run: number): StateStore => {
      let depth = 0;
      return new Proxy(store, {
        get: (target, key) => {
          const value: unknown = Reflect.get(target, key);
          if (typeof value !== 'function') return value;
          return (...given: unknown[]): unknown => {
            if (run !== alive) {
              if (key === 'close' || key === 'flush') return undefined;
              throw new Killed();
            }
            // The store outlives its peers here.
            if (key === 'close') return undefined;
            if (depth === 0 && changesOfStore.has(String(key)))
              point(run, `store.${String(key)} ${typeof given[0] === 'string' ? given[0] : ''}`);
            if (key === 'flush' && durable !== undefined) {
              value.apply(target, given);
              durable = readStateFiles(options.stateFile);
              return undefined;
            }
            if (key !== 'transaction') return value.apply(target, given) as unknown;
            depth += 1;
            try {
              return value.apply(target, given) as unknown;
            } finally {
              depth -= 1;
            }
          };
        },
      });
    };
    const clockFor = (run: number): Clock => ({
      nowMs: clock.nowMs,
      monotonicMs: clock.monotonicMs,
      after: (delayMs, action) => clock.after(delayMs, () => (run === alive ? action() : undefined)),
    });

    const deviceKey = createDeviceKey(new Uint8Array(32).fill(name.charCodeAt(0)));
    const self: Person = {
      name,
      device: deviceKey.device,
      user: memory.user,
      memory,
      watcher,
      get store() {
        return store;
      },
      get peer() {
        if (peer === undefined) throw new Error(`${name} was never started`);
        return peer;
      },
      events,
      get folder() {
        if (folder === undefined) throw new Error(`${name} was never started`);
        return folder;
      },
      state: () => (alive === 0 ? undefined : last),
      get changes() {
        return changes;
      },
      trace,
      killBefore: (n, how) => {
        killAt = changes + n;
        killHow = how;
        durable = how === 'disk-ahead' ? readStateFiles(options.stateFile) : undefined;
      },
      failAt: (n) => {
        failAt = changes + n;
      },
      get hasFailed() {
        return hasFailed;
      },
      get isDead() {
        return alive === 0;
      },
      kill: (how = 'kill') => {
        if (alive === 0) return;
        alive = 0;
        killAt = Number.POSITIVE_INFINITY;
        last = undefined;
        const dying = peer;
        if (how === 'disk-ahead') memory.disk.flushNames();
        if (how === 'kill') memory.kill();
        else memory.powerCut();
        if (how === 'disk-ahead' && durable !== undefined) {
          store.close();
          writeStateFiles(options.stateFile, durable);
          store = newStore();
        }
        durable = undefined;
        dying?.close().catch(() => undefined);
      },
      start: () => {
        incarnation += 1;
        const run = incarnation;
        alive = run;
        last = undefined;
        const opened: Folder = memory.kill();
        memory.beforeCall = (call) => {
          if (run !== alive) throw new Killed();
          if (changingCalls.has(call.operation)) point(run, `${call.operation} ${call.path.replace('/folder/', '')}`);
        };
        folder = createFaultyFolder(opened);
        const random = createSeededRandom(`${name} ${run}`);
        const cipher = createRoomCipher({ secret, epoch: 0, device: deviceKey, random });
        peer = createPeer({
          dir: `/${name}`,
          deviceName: name,
          urls: ['ws://memory'],
          relayKey: null,
          cipher,
          device: deviceKey,
          inviter: options.inviter?.device ?? null,
          folder,
          store: storeFor(run),
          openTrialStore: () => {
            const trial = newStore();
            const { close } = trial;
            openTrials += 1;
            trials += 1;
            return Object.assign(trial, {
              close: () => {
                openTrials -= 1;
                close();
              },
            });
          },
          watcher,
          relay: relay.client({
            before: (what) => point(run, `relay.${what}`),
            after: (what) => point(run, `relay.${what} done`),
          }),
          clock: clockFor(run),
          random,
          hashing: nodeHashing,
          bytesUnderWay: new Map(),
          log,
          policy: options.policy ?? 'keep-both',
          allowMassDelete: options.allowMassDelete ?? false,
          makeInvite: () => ({ invite: '', pinsRelay: false }),
          onRelayKey: () => {},
          marker: `marker of ${name}`,
          rejoin: isRejoin,
          leftAtMs,
          fileBytesMax: options.fileBytesMax ?? 1024 ** 3,
          ...(options.rowsPerPlan === undefined ? {} : { rowsPerPlan: options.rowsPerPlan }),
          onEvent: (event) => {
            if (run !== alive) return;
            events.push(event);
            if (event.event === 'state') last = event;
          },
        });
        peer.start();
      },
      stop: async () => {
        if (alive === 0) return;
        let done = false;
        const closing = peer?.close().then(() => {
          done = true;
        });
        for (let round = 0; round < 200 && !done; round += 1) await clock.advance(stepMs);
        await closing;
        alive = 0;
        last = undefined;
      },
      openTrials: () => openTrials,
      trials: () => trials,
      loseState: () => {
        store.close();
        store = newStore();
        isRejoin = true;
      },
      unlink: () => {
        store.close();
        store = newStore();
        // Stamps are of a finer tick.
        leftAtMs = clock.nowMs() + 1;
      },
      withStateFile: (act) => {
        store.close();
        act(options.stateFile ?? '');
        store = newStore();
      },
    };
    people.push(self);
    return self;
  }

  async function until(what: string, condition: () => boolean, withinMs = untilMsMax): Promise<void> {
    for (let waitedMs = 0; ; waitedMs += stepMs) {
      await clock.settle();
      if (condition()) return;
      if (waitedMs >= withinMs) {
        const states = people.map(
          (one) =>
            `${one.name}: ${JSON.stringify(one.state())} ${JSON.stringify(one.events.filter((event) => event.event !== 'state').slice(-6))}`,
        );
        throw new Error(`not reached within ${withinMs} ms: ${what}\n${states.join('\n')}`);
      }
      await clock.advance(stepMs);
    }
  }

  const resting = (): boolean => {
    const running = people.filter((one) => !one.isDead);
    const first = running[0]?.store.head()?.id;
    return running.every((one) => {
      const state = one.state()?.state;
      return (
        (state === 'idle' || state === 'conflict') && one.store.counts().pending === 0 && one.store.head()?.id === first
      );
    });
  };

  async function quiet(): Promise<void> {
    const endMs = clock.monotonicMs() + untilMsMax;
    for (let restedMs = 0; restedMs < restMs; restedMs += stepMs) {
      if (clock.monotonicMs() > endMs) await until('rest', () => false, 0);
      if (!resting()) {
        await until('rest', resting);
        restedMs = 0;
      }
      await clock.advance(stepMs);
    }
  }

  return {
    clock,
    relay,
    person,
    until,
    quiet,
    close: async () => {
      for (const one of people) {
        await one.stop();
        one.store.close();
      }
    },
  };
}
