/**
 * Linked folders of this machine: making, keeping and ending links, and running their peers with the real adapters. Used by
 * the command line and by the extension's engine process, which differ in where the keys lie (`SecretStore`) and in nothing else.
 *
 * Rules: CLONE (a device identity belongs to one link; linking a copied folder makes a new one), STATE (damaged state is
 * moved aside and the folder re-joins; nothing is deleted), P15 (one process a folder), P16 (no folder inside another).
 * Leaves to others: everything that a running peer does (peer.ts), and what is asked while none runs (offline-control.ts).
 */
import { existsSync } from 'node:fs';
import { lstat, mkdir, readdir, readFile, realpath, rm, rmdir, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { DeviceId, RoomId } from '@driftless/protocol';
import { limits } from '@driftless/protocol';
import type { BytesUnderWay } from '../content/free-space.ts';
import type { InviteText, PeerControl } from '../control.ts';
import { racyWindowMs } from '../core/fingerprint.ts';
import { rememberHowItJoins } from '../core/first-join.ts';
import { shellWord } from '../core/shell-word.ts';
import { createDeviceKey } from '../crypto/device-key.ts';
import { createRoomCipher } from '../crypto/room-cipher.ts';
import {
  type FolderHost,
  HostError,
  type Link,
  type LinkSecrets,
  type OpenOptions,
  type RunningFolder,
  type SecretStore,
} from '../host-api.ts';
import { encodeInvite, parseInvite } from '../invite-code.ts';
import { createOfflineControl } from '../offline-control.ts';
import { createPeer } from '../peer.ts';
import type { Folder } from '../ports/folder.ts';
import type { Log } from '../ports/log.ts';
import type { DeviceKey, RoomCipher } from '../ports/room-cipher.ts';
import type { RelayClient } from '../ports/room-session.ts';
import { type StateStore, StateStoreError } from '../ports/state-store.ts';
import { createRelayClient } from '../relay-client.ts';
import { connectControl, controlSocketPath, type RemoteControl, serveControl } from './control-socket.ts';
import { type FolderLock, type OwnerKind, readOwner, takeFolderLock, withHomeLock } from './folder-lock.ts';
import { assertHomeOutside, codeOf, type Home, isWithin, messageOf } from './home.ts';
import { createLinkStore, type LinkFields } from './links.ts';
import { markerText, readMarker } from './markers.ts';
import { nodeClock } from './node-clock.ts';
import { createNodeFolder } from './node-folder.ts';
import { nodeHashing } from './node-hashing.ts';
import { nodeRandom } from './node-random.ts';
import { checkRelayUrls } from './relay-url.ts';
import { moveStateStoreAside, openStateStore } from './sqlite-state-store.ts';
import { createNodeWatcher } from './watch/node-watcher.ts';
import { createWebSocketTransport } from './web-socket-transport.ts';

/** Above this a file is listed as too large (F18): hashing and re-reading it would hold up everything else for minutes. */
const fileBytesMaxDefault = limits.contentBytesMax;
/** A peer that just took the lock answers on its socket within this. */
const ownerAnswerMsMax = 3_000;
const ownerPollMs = 100;

const epoch = 0;

/** Beside those of the control socket, which are their connections. */
const ownWindow = 'own';

export interface FolderHostOptions {
  readonly home: Home;
  readonly secrets: SecretStore;
  readonly ownerKind: OwnerKind;
  readonly environment: NodeJS.ProcessEnv;
  readonly log: Log;
  /** Removes a directory with all that is in it; tests give one that refuses as other systems do. */
  readonly removeDirectory?: (path: string) => Promise<void>;
}

/** Patient with what somebody holds open for a moment: a virus scanner, an indexer, a disk that hides open files. */
const removeWithPatience = (path: string): Promise<void> =>
  rm(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });

export function createFolderHost(options: FolderHostOptions): FolderHost {
  const { home, secrets, ownerKind, environment, log, removeDirectory = removeWithPatience } = options;
  const store = createLinkStore(home);
  const running = new Set<RunningFolder>();
  /** Locks of links that were made or changed here and are about to be opened. */
  const reserved = new Map<string, FolderLock>();
  const bytesUnderWay: BytesUnderWay = new Map();
  let relayClient: RelayClient | undefined;

  const relay = (): RelayClient => {
    relayClient ??= createRelayClient({
      transport: createWebSocketTransport(),
      clock: nodeClock,
      random: nodeRandom,
      log,
    });
    return relayClient;
  };

  const allLinks = async (): Promise<readonly Link[]> => {
    const { links, damaged } = await store.all();
    for (const link of damaged)
      log.error('a link cannot be read and is left out', { path: link.path, reason: link.reason });
    return links;
  };
  const linkAt = async (path: string): Promise<Link | undefined> =>
    (await allLinks()).find((link) => link.dir === path);

  const requireLink = async (dir: string): Promise<Link> => {
    const path = await realDirectory(dir);
    const links = await allLinks();
    const link = links.find((candidate) => candidate.dir === path);
    if (link !== undefined) return link;
    const marker = await readMarker(path);
    const around = links.find((candidate) => isWithin(path, candidate.dir));
    if (around !== undefined)
      throw new HostError('not-linked', `${dir} lies inside ${around.dir}, which is linked as a whole. Name that one.`);
    const origin = marker === undefined ? undefined : links.find((candidate) => candidate.marker === marker.link);
    throw new HostError(
      'not-linked',
      origin === undefined
        ? `${dir} is not linked. Link it with: driftless share DIR --relay URL, or driftless join - DIR`
        : `${dir} is a copy of ${origin.dir}, or that folder was moved here. Move it back, or share or join it as a folder of its own.`,
    );
  };
  const requireSecrets = async (link: Link): Promise<LinkSecrets> => {
    const found = await secrets.get(link.id);
    if (found === undefined) {
      throw new HostError(
        'missing-secret',
        `The keys of ${link.dir} are gone. Run: driftless unlink, then join the room again; no file is lost.`,
      );
    }
    return found;
  };

  const cipherOf = (keys: LinkSecrets): { readonly cipher: RoomCipher; readonly device: DeviceKey } => {
    const device = createDeviceKey(keys.deviceSeed);
    return { cipher: createRoomCipher({ secret: keys.roomSecret, epoch, device, random: nodeRandom }), device };
  };
  const roomOf = (roomSecret: Uint8Array): RoomId =>
    cipherOf({ roomSecret, deviceSeed: nodeRandom.bytes(32) }).cipher.room;
  const inviteOf = (link: Link, keys: LinkSecrets): InviteText => ({
    invite: encodeInvite({
      from: link.name,
      device: createDeviceKey(keys.deviceSeed).device,
      urls: link.urls,
      relayKey: link.relayKey === null ? null : bytesOf(link.relayKey),
      room: link.room as RoomId,
      epoch,
      secret: keys.roomSecret,
    }),
    pinsRelay: link.relayKey !== null,
  });

  /** Links a folder that has no link: the caller holds the home's lock. Refused or failed, it leaves everything as it was. */
  const makeLink = async (
    path: string,
    facts: Pick<Link, 'urls' | 'relayKey' | 'inviter' | 'name' | 'policy'> & { readonly roomSecret: Uint8Array },
  ): Promise<{ readonly link: Link; readonly keys: LinkSecrets }> => {
    const keys = { roomSecret: facts.roomSecret, deviceSeed: nodeRandom.bytes(32) };
    const room = cipherOf(keys).cipher.room;
    const link: Link = {
      id: hexOf(nodeRandom.bytes(8)),
      dir: path,
      room,
      urls: facts.urls,
      relayKey: facts.relayKey,
      inviter: facts.inviter,
      name: facts.name,
      policy: facts.policy,
      marker: hexOf(nodeRandom.bytes(16)),
      rejoin: (await readMarker(path))?.room === room,
      leftAtMs: leftBefore(await store.leftAtMs(room, path)),
      createdAt: new Date(nodeClock.nowMs()).toISOString(),
    };
    let undoMarking = async (): Promise<void> => undefined;
    try {
      // Another home of this machine may be running the folder, with a marker that is not to be touched.
      await (await takeLock(link)).release();
      await secrets.set(link.id, keys);
      undoMarking = await markFolder(path, markerText({ room, link: link.marker }));
      // Again, with the folder's own file, which only the marking makes sure of.
      reserved.set(link.id, await takeLock(link));
      // Last: from here on there is a link.
      await store.create(link);
    } catch (error) {
      await release(link);
      await undoMarking();
      await secrets.delete(link.id);
      await store.remove(link.id);
      throw error;
    }
    return { link, keys };
  };

  const assertMayLink = async (path: string): Promise<void> => {
    assertHomeOutside(home, path);
    for (const other of await allLinks()) {
      if (isWithin(path, other.dir))
        throw new HostError(
          'nested',
          `${path} lies inside ${other.dir}, which is linked already. Choose a folder outside of it.`,
        );
      if (isWithin(other.dir, path))
        throw new HostError(
          'nested',
          `${path} contains ${other.dir}, which is linked already. Choose a folder beside it, or unlink that one first.`,
        );
    }
    for (let above = dirname(path); above !== dirname(above); above = dirname(above)) {
      if ((await readMarker(above)) !== undefined)
        throw new HostError(
          'nested',
          `${path} lies inside ${above}, which is a synced folder. Choose a folder outside of it.`,
        );
    }
  };

  /** Changes a link that stays, unless somebody else runs it. */
  const update = async (link: Link, fields: LinkFields): Promise<Link> => {
    reserved.set(link.id, await takeLock(link));
    try {
      return await store.update(link.id, fields);
    } catch (error) {
      await release(link);
      throw error;
    }
  };
  const release = async (link: Link): Promise<void> => {
    const lock = reserved.get(link.id);
    reserved.delete(link.id);
    await lock?.release();
  };

  const takeLock = async (link: Link): Promise<FolderLock> => {
    const known = reserved.get(link.id);
    reserved.delete(link.id);
    if (known !== undefined) return known;
    const stateDirectory = await store.directory(link.id);
    const folderDirectory = join(link.dir, '.driftless');
    const lock = await takeFolderLock({ stateDirectory, folderDirectory, kind: ownerKind });
    if (lock !== 'taken') return lock;
    const owner = (await readOwner(stateDirectory)) ?? (await readOwner(folderDirectory));
    const who =
      owner === undefined
        ? 'another process'
        : `${owner.kind === 'cli' ? 'the command line' : 'VS Code'} (process ${owner.pid})`;
    throw new HostError('owned', `${link.dir} is already kept in sync by ${who}. Stop that one first.`);
  };

  const stateFile = async (link: Link): Promise<string> => join(await store.directory(link.id), 'state.sqlite');

  /** Damaged state is moved aside: the folder then joins again, and nothing is deleted (rule STATE). */
  const openState = async (
    link: Link,
    { holdsModes }: Folder['traits'],
    tell: (reason: string) => void,
  ): Promise<{ readonly state: StateStore; readonly link: Link }> => {
    const file = await stateFile(link);
    const isNew = !existsSync(file);
    try {
      const state = openStateStore({ file, holdsModes });
      if (isNew) {
        // First: whoever opens this state next, and whenever, must not take the line below for an earlier membership.
        rememberHowItJoins(state, link);
        // If this state is ever missing, it was lost, and what the room has deleted since must not come back (rule TOMB).
        await store.update(link.id, { rejoin: true });
      }
      return { state, link };
    } catch (error) {
      if (!(error instanceof StateStoreError)) throw error;
      if (error.code !== 'damaged') throw new HostError('state', error.message, error);
      const aside = moveStateStoreAside(file);
      tell(
        `the stored state was damaged and now lies in ${aside}; the folder joins its room again, and nothing goes but what the room has deleted (${error.message})`,
      );
      const rejoining = await store.update(link.id, { rejoin: true });
      return { state: openStateStore({ file, holdsModes }), link: rejoining };
    }
  };

  const host: FolderHost = {
    links: allLinks,
    linkOf: async (dir) => linkAt(await realDirectory(dir)),

    async share({ dir, urls, name, policy, allowPlain }) {
      checkRelayUrls(urls, allowPlain ?? false);
      const path = await existingDirectory(dir);
      return withHomeLock(home, async () => {
        const existing = await linkAt(path);
        if (existing !== undefined) {
          const keys = await requireSecrets(existing);
          const link = await update(existing, { urls });
          return { link, ...inviteOf(link, keys) };
        }
        await assertMayLink(path);
        const { link, keys } = await makeLink(path, {
          urls,
          relayKey: null,
          inviter: null,
          name,
          policy,
          roomSecret: nodeRandom.bytes(32),
        });
        return { link, ...inviteOf(link, keys) };
      });
    },

    async join({ invite: code, dir, name, policy, allowPlain }) {
      const parsed = parseInvite(code);
      if (!parsed.ok) throw new HostError('bad-invite', parsed.error);
      const invite = parsed.value;
      if (invite.epoch !== epoch)
        throw new HostError(
          'bad-invite',
          'This invite was made by a newer Driftless. Update Driftless on this machine.',
        );
      // Also for a folder that is linked already: whoever knows its room alone must not say where its relay is.
      if (roomOf(invite.secret) !== invite.room)
        throw new HostError('bad-invite', 'The invite does not make sense. Make a new one.');
      checkRelayUrls(invite.urls, allowPlain ?? false);
      const relayKey = invite.relayKey === null ? null : hexOf(invite.relayKey);
      return withHomeLock(home, async () => {
        const path = await realDirectory(dir);
        const existing = await linkAt(path);
        if (existing !== undefined) {
          if (existing.room !== invite.room)
            throw new HostError(
              'linked',
              `${dir} is in another room. Unlink it first: driftless unlink ${shellWord(dir)}`,
            );
          return update(existing, {
            urls: invite.urls,
            relayKey: existing.relayKey ?? relayKey,
            inviter: invite.device ?? existing.inviter,
          });
        }
        await assertMayLink(path);
        const facts = { urls: invite.urls, relayKey, inviter: invite.device, name, policy, roomSecret: invite.secret };
        const undoDirectory = await makeDirectory(path);
        try {
          return (await makeLink(await existingDirectory(dir), facts)).link;
        } catch (error) {
          await undoDirectory();
          throw error;
        }
      });
    },

    async unlink(dir) {
      const link = await requireLink(dir);
      const lock = await takeLock(link);
      // Each step can be repeated, and the last one ends the link: what a failure or a kill leaves is unlinked again.
      try {
        const mayGo = await trashMayGo(link);
        await store.noteLeft({ room: link.room, dir: link.dir, atMs: await diskTimeMs(link.dir) });
        // Windows removes no directory with an open file in it, and FUSE and network disks only seem to.
        await lock.leaveFolder();
        if (mayGo) await removeDirectory(join(link.dir, '.driftless'));
        await secrets.delete(link.id);
      } catch (error) {
        if (error instanceof HostError) throw error;
        throw new HostError(
          'state',
          `${link.dir} is still linked: ${messageOf(error)}. Close what uses ${join(link.dir, '.driftless')}, then run again: driftless unlink ${shellWord(link.dir)}`,
          error,
        );
      } finally {
        await lock.release();
      }
      await store.remove(link.id);
    },

    async invite(dir) {
      const link = await requireLink(dir);
      return inviteOf(link, await requireSecrets(link));
    },

    async open(dir, options) {
      const found = await requireLink(dir);
      const keys = await requireSecrets(found);
      const lock = await takeLock(found);
      try {
        const folder = await run(found, keys, lock, options);
        running.add(folder);
        return folder;
      } catch (error) {
        await lock.release();
        throw error;
      }
    },

    attach: async (dir) => remoteControl(await requireLink(dir)),

    async control(dir) {
      const link = await requireLink(dir);
      const giveUpAtMs = nodeClock.monotonicMs() + ownerAnswerMsMax;
      for (;;) {
        const remote = await remoteControl(link);
        if (remote !== undefined) return remote;
        try {
          return await storedControl(link, await takeLock(link));
        } catch (error) {
          // Owned, but not answering: it is starting or stopping.
          if (!(error instanceof HostError && error.code === 'owned') || nodeClock.monotonicMs() > giveUpAtMs)
            throw error;
          await new Promise<void>((done) => nodeClock.after(ownerPollMs, done));
        }
      }
    },

    async close() {
      for (const folder of [...running]) await folder.close();
      for (const lock of reserved.values()) await lock.release();
      reserved.clear();
      await relayClient?.close();
      relayClient = undefined;
    },
  };

  const run = async (
    found: Link,
    keys: LinkSecrets,
    lock: FolderLock,
    options: OpenOptions,
  ): Promise<RunningFolder> => {
    const folder = createNodeFolder(found.dir);
    const { state, link: opened } = await openState(found, folder.traits, (reason) => {
      options.log.error('state damaged', { dir: found.dir, reason });
      options.onEvent({ event: 'problem', path: '', reason });
    });
    let link = opened;
    let pinning: Promise<unknown> = Promise.resolve();
    const { cipher, device } = cipherOf(keys);
    const peer = createPeer({
      dir: link.dir,
      deviceName: link.name,
      urls: link.urls,
      relayKey: link.relayKey === null ? null : bytesOf(link.relayKey),
      cipher,
      device,
      inviter: link.inviter as DeviceId | null,
      folder,
      store: state,
      openTrialStore: () => openStateStore({ file: ':memory:', holdsModes: true }),
      watcher: createNodeWatcher({ rootPath: link.dir, clock: nodeClock, log: options.log }),
      // Shared by all folders of this process: a peer that closes does not close it.
      relay: { open: (target, handlers) => relay().open(target, handlers), close: async () => undefined },
      clock: nodeClock,
      random: nodeRandom,
      hashing: nodeHashing,
      bytesUnderWay,
      log: options.log,
      policy: options.policy ?? link.policy,
      allowMassDelete: options.allowMassDelete ?? false,
      makeInvite: () => inviteOf(link, keys),
      onRelayKey: (key) => {
        link = { ...link, relayKey: hexOf(key) };
        pinning = store
          .update(link.id, { relayKey: link.relayKey })
          .catch((error: unknown) =>
            options.log.error('the relay key could not be kept', { reason: messageOf(error) }),
          );
      },
      marker: markerText({ room: cipher.room, link: link.marker }),
      rejoin: link.rejoin,
      leftAtMs: link.leftAtMs,
      fileBytesMax: fileBytesMaxDefault,
      onEvent: options.onEvent,
    });
    const socketPath = await controlSocketPath({ homePath: home.path, linkId: link.id, environment });
    const server = await serveControl({ path: socketPath, control: peer, log: options.log }).catch(
      async (error: unknown) => {
        await peer.close();
        throw error;
      },
    );
    let closing: Promise<void> | undefined;
    const closeParts = async (): Promise<void> => {
      running.delete(self);
      await server.close();
      await peer.close();
      await pinning;
      await lock.release();
    };
    const self: RunningFolder = {
      link,
      control: peer,
      holdUnsaved: (edits) => peer.holdUnsaved(ownWindow, edits),
      close() {
        closing ??= closeParts();
        return closing;
      },
    };
    await lock.announce(socketPath);
    await self.holdUnsaved(options.unsaved ?? []);
    peer.start();
    return self;
  };

  const remoteControl = async (link: Link): Promise<RemoteControl | undefined> => {
    const owner = await readOwner(await store.directory(link.id));
    return owner?.socketPath === undefined || owner.socketPath === null ? undefined : connectControl(owner.socketPath);
  };

  const storedControl = async (link: Link, lock: FolderLock): Promise<PeerControl & { close(): Promise<void> }> => {
    try {
      const keys = await requireSecrets(link);
      const folder = createNodeFolder(link.dir);
      const { state, link: opened } = await openState(link, folder.traits, (reason) =>
        log.error('state damaged', { dir: link.dir, reason }),
      );
      const { cipher, device } = cipherOf(keys);
      const control = createOfflineControl({
        dir: link.dir,
        deviceName: link.name,
        urls: link.urls,
        cipher,
        device,
        folder,
        store: state,
        clock: nodeClock,
        random: nodeRandom,
        hashing: nodeHashing,
        log,
        marker: markerText({ room: cipher.room, link: link.marker }),
        makeInvite: () => inviteOf(opened, keys),
      });
      return {
        ...control,
        async close() {
          await folder.close();
          state.close();
          await lock.release();
        },
      };
    } catch (error) {
      await lock.release();
      throw error;
    }
  };

  /** Bytes that are in no record must not go with the link (rule DISK4): then `.driftless/` stays. The caller holds the lock. */
  const trashMayGo = async (link: Link): Promise<boolean> => {
    const names = await readdir(join(link.dir, '.driftless', 'trash')).catch((error: unknown) => {
      if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return [];
      throw error;
    });
    if (names.length === 0) return true;
    try {
      const state = openStateStore({ file: await stateFile(link), holdsModes: true });
      try {
        const recorded = new Set(state.trash().flatMap((row) => (row.inRecord ? [row.name] : [])));
        return names.every((name) => recorded.has(name));
      } finally {
        state.close();
      }
    } catch (error) {
      if (error instanceof StateStoreError) return false;
      throw error;
    }
  };

  return host;
}

/** Real absolute path of `dir`, also when it, or its end, does not exist. */
async function realDirectory(dir: string): Promise<string> {
  const path = resolve(dir);
  try {
    return await realpath(path);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT' || dirname(path) === path) throw badDirectory(dir, error);
    return join(await realDirectory(dirname(path)), basename(path));
  }
}

async function existingDirectory(dir: string): Promise<string> {
  const path = await realDirectory(dir);
  const found = await stat(path).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw badDirectory(dir, error);
  });
  if (found === undefined) throw new HostError('bad-dir', `${dir} does not exist. Make it first: mkdir '${dir}'`);
  if (!found.isDirectory()) throw new HostError('bad-dir', `${dir} is not a directory. Name the folder that holds it.`);
  return path;
}

function badDirectory(dir: string, error: unknown): HostError {
  const isInTheWay = codeOf(error) === 'EEXIST' || codeOf(error) === 'ENOTDIR';
  const reason = isInTheWay
    ? 'a file is in the way. Move it away, or name another folder'
    : messageOf(error).replace(/\.$/, '');
  return new HostError('bad-dir', `${dir} cannot be used: ${reason}.`, error);
}

/** Resolves with what takes away again the directories that it made, as long as they are empty. */
async function makeDirectory(path: string): Promise<() => Promise<void>> {
  try {
    const first = await mkdir(path, { recursive: true });
    return async () => {
      if (first === undefined) return;
      for (let made = path; isWithin(made, first); made = dirname(made)) await rmdir(made).catch(() => undefined);
    };
  } catch (error) {
    throw badDirectory(path, error);
  }
}

/** Writes the marker of a link; resolves with what puts back what was there. */
async function markFolder(path: string, text: string): Promise<() => Promise<void>> {
  const own = join(path, '.driftless');
  const marker = join(own, 'marker');
  const wasThere = existsSync(own);
  const before = await readFile(marker, 'utf8').catch(() => undefined);
  const undo = async (): Promise<void> => {
    if (!wasThere) await rm(own, { recursive: true, force: true });
    else if (before === undefined) await rm(marker, { force: true });
    else await writeFile(marker, before);
  };
  const folder = createNodeFolder(path);
  try {
    await folder.initialise(text);
    return undo;
  } catch (error) {
    await undo();
    throw error;
  } finally {
    await folder.close();
  }
}

/** A time that is still to come was noted by a clock that was wrong: nothing can be told from it. */
const leftBefore = (atMs: number | null): number | null => (atMs !== null && atMs <= nodeClock.nowMs() ? atMs : null);

/**
 * Now, as the folder's own disk stamps files: to be compared with the stamps of files there, whose tick is coarser than our clock, and
 * which a server's clock may set. Never later than ours says. A disk that cannot be asked counts as ticking as coarsely as any.
 */
async function diskTimeMs(dir: string): Promise<number> {
  const probe = join(dir, '.driftless', 'left');
  const nowMs = nodeClock.nowMs();
  try {
    await rm(probe, { force: true });
    await writeFile(probe, '', { flag: 'wx', mode: 0o600 });
    const { ctimeNs } = await lstat(probe, { bigint: true });
    await rm(probe);
    return Math.min(nowMs, Number(ctimeNs / 1_000_000n));
  } catch {
    return nowMs - racyWindowMs;
  }
}

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const bytesOf = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'));
