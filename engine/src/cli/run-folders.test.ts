import { describe, expect, it } from 'vitest';
import type { PeerEvent, PeerState } from '../control.ts';
import { type FolderHost, HostError, type OpenOptions } from '../host-api.ts';
import type { Log } from '../ports/log.ts';
import type { Output } from './output.ts';
import { runFolders } from './run-folders.ts';

const quietLog: Log = { debug() {}, info() {}, warn() {}, error() {} };
const state = (given: Partial<PeerState>): PeerEvent => ({
  event: 'state',
  state: 'idle',
  pending: 0,
  conflicts: 0,
  watchingByRescan: false,
  waitingForUnsavedEdits: false,
  ...given,
});
const failing = state({ state: 'error', code: 'internal', reason: 'sync failed: oops', next: 'next try in 1 s' });
const ended = state({ state: 'error', code: 'internal', reason: 'the peer stopped: oops', stopped: true });

interface Run {
  tell(dir: string, event: PeerEvent): void;
  readonly isWished: boolean;
  wish(): void;
  readonly isHostClosed: boolean;
  readonly code: Promise<number>;
}

/** `refused`: folders that cannot be opened. */
async function run(dirs: readonly string[], refused: readonly string[] = []): Promise<Run> {
  const opened = new Map<string, OpenOptions>();
  let isHostClosed = false;
  let isWished = false;
  const { promise: wished, resolve } = Promise.withResolvers<void>();
  const { promise: allOpened, resolve: onOpened } = Promise.withResolvers<void>();
  let tried = 0;
  const host = {
    linkOf: async () => undefined,
    open: async (dir: string, options: OpenOptions) => {
      tried += 1;
      if (tried === dirs.length) setImmediate(onOpened);
      if (refused.includes(dir)) throw new HostError('owned', 'kept in sync by another process');
      opened.set(dir, options);
      return undefined;
    },
    close: async () => {
      isHostClosed = true;
    },
  } as unknown as FolderHost;
  const wish = (): void => {
    isWished = true;
    resolve();
  };
  const output: Output = { json: true, interactive: false, object() {}, line() {}, warn() {}, script() {} };
  const stop = { wished, wish, finish: async (close: () => Promise<void>) => close() };
  const code = runFolders({ host, dirs, allowMassDelete: false, output, log: quietLog, stop });
  await allOpened;
  return {
    tell: (dir, event) => opened.get(dir)?.onEvent(event),
    get isWished() {
      return isWished;
    },
    wish,
    get isHostClosed() {
      return isHostClosed;
    },
    code,
  };
}

describe('folders that are kept in sync in the foreground', () => {
  it('a fault that is tried again does not end the command, however often it is told', async () => {
    const folder = await run(['/a']);
    for (let round = 0; round < 3; round += 1) folder.tell('/a', failing);
    folder.tell('/a', state({}));
    expect(folder.isWished).toBe(false);
    folder.wish();
    expect(await folder.code).toBe(0);
  });

  it('a peer that ended ends it, with a code that says so', async () => {
    const folder = await run(['/a']);
    folder.tell('/a', failing);
    folder.tell('/a', ended);
    expect(await folder.code).toBe(1);
    expect(folder.isHostClosed).toBe(true);
  });

  it('of several, one that fails and heals, and one that ends, leave the others running', async () => {
    const folders = await run(['/a', '/b', '/c'], ['/c']);
    folders.tell('/a', failing);
    folders.tell('/a', state({}));
    folders.tell('/b', ended);
    folders.tell('/b', ended);
    expect(folders.isWished).toBe(false);
    folders.tell('/a', failing);
    expect(folders.isWished).toBe(false);
    folders.tell('/a', ended);
    expect(await folders.code).toBe(1);
  });
});
