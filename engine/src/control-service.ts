/**
 * What people ask of a linked folder, answered from the state store and the disk: the same code serves a running peer and a
 * stopped one. Requests that change something are recorded in the store, and carried out by the loop, now or at its next run.
 */
import {
  bytesToHex,
  type Content,
  comparePaths,
  type Digest,
  type FileMode,
  parseRelPath,
  type RelPath,
} from '@driftless/protocol';
import { ownIgnoreFile, type Untracks } from './conflicts/untracks.ts';
import { ChunksMissing, ContentDamaged } from './content/content-types.ts';
import type { Contents } from './contents.ts';
import type {
  BufferMerge,
  ConfirmAnswer,
  ConflictInfo,
  ConflictSides,
  ControlAnswer,
  HoldChoice,
  HoldInfo,
  Keep,
  PeerControl,
  PeerInfo,
  PeerState,
  ProblemInfo,
  Status,
  VerifyResult,
} from './control.ts';
import { isRetryDue } from './core/backoff.ts';
import { liveEntry, sameLocal } from './core/entry-encoding.ts';
import { modeOfFile, scannedMode } from './core/file-mode.ts';
import { fingerprintOf } from './core/fingerprint.ts';
import type { LocalEntry } from './core/local-entry.ts';
import { mergeIntoBuffer } from './core/merge-into-buffer.ts';
import { mergeBytesMax } from './core/merge-text.ts';
import { isIgnored, type OutOfScopeReason, type Row, type RowProblem } from './core/row.ts';
import { ignoreLineFor } from './core/scope/ignore-words.ts';
import { shellWord } from './core/shell-word.ts';
import { keepWhatWouldGo } from './guards/declined-deletion.ts';
import type { Holds } from './guards/holds.ts';
import { createSpelling } from './guards/spelling.ts';
import type { UnsavedEdits } from './guards/unsaved-edits.ts';
import type { Pause } from './pause.ts';
import type { PeerParts } from './peer-api.ts';
import type { PathProblem, Stat } from './ports/folder.ts';
import type { RoomSession } from './ports/room-session.ts';
import { StateStoreError } from './ports/state-store.ts';
import type { Scanner } from './scan.ts';

const bytesToBase64 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64');
const listedMax = 1_000;
/** What is not here by then is late. */
const sideWaitMsMax = 2_000;
/** `missing`: the relay lacks it. `late`: no relay, or no answer of it in time. */
type NotAtHand = 'missing' | 'late';
/** Why a path takes no part, as people read it. */
const outOfScopeWords: Readonly<Record<OutOfScopeReason, string>> = {
  ignored: 'ignored by the ignore rules',
  'ignored-once-shared': 'ignored by the ignore rules',
  'awaiting-confirmation':
    'ignored here until another machine changed the ignore rules: not published before it is confirmed',
  unstorable: 'its name cannot be held on this disk, or clashes with another',
  'too-large': 'it is too large',
  unreadable: 'it cannot be read',
  'invalid-name': 'its name cannot travel',
  'special-file': 'a pipe, socket or device',
  'outside-link': 'a link that leads out of the folder',
  'directory-of-out-of-scope': 'it holds only what is out of scope',
  unmounted: 'it lies on a disk that is not mounted',
};
/** Left out by a rule of the user's, or by making a link that leads elsewhere: listed, but no trouble. A disk that is away is a hold. */
const wishedReasons: readonly OutOfScopeReason[] = [
  'ignored',
  'ignored-once-shared',
  'outside-link',
  'directory-of-out-of-scope',
  'unmounted',
];

export type ControlParts = Pick<
  PeerParts,
  'dir' | 'deviceName' | 'urls' | 'cipher' | 'device' | 'folder' | 'store' | 'clock' | 'hashing' | 'log' | 'makeInvite'
>;

/** What only a running peer has. */
export interface LiveParts {
  readonly scanner: Scanner;
  readonly contents: Contents;
  readonly untracks: Pick<Untracks, 'request'>;
  readonly running: boolean;
  readonly pause: Pause;
  /** Runs between two turns of the loop; a stopped peer runs it at once. */
  command(work: () => Promise<void>): Promise<void>;
  state(): PeerState;
  peers(): readonly PeerInfo[];
  /** Of the room as a whole. */
  roomProblems(): readonly ProblemInfo[];
  session(): RoomSession | null;
  readonly holds: Holds;
  readonly unsaved: Pick<UnsavedEdits, 'hold' | 'lost' | 'madeFrom' | 'savedMerged'>;
  /** On a disk that is away, or is not known to be the right one. */
  isOnHeldDisk(path: RelPath): boolean;
  /** Somebody answered what was held: the loop looks again. */
  onAnswered(): void;
  /** The content may differ from what the stamps say: it is read again. */
  readAgain(path: RelPath): void;
  onTrustRelay(key: string): boolean;
}

const keptOf = (keep: Keep): string => (keep === 'both' ? 'both are kept' : `${keep} is kept`);

export function createControl(parts: ControlParts, live: LiveParts): PeerControl {
  const { store, folder, hashing } = parts;
  const spelled = createSpelling(store, folder.traits);
  const answer = (message: string, good = true): ControlAnswer => ({ ok: good, message });
  const pathOf = (text: string): RelPath | undefined => parseRelPath(text.replace(/^\.\//, '').replace(/\/+$/, ''));

  function conflictInfos(): ConflictInfo[] {
    const infos = new Map<string, ConflictInfo>();
    for (const variant of store.openVariants()) {
      const row = store.row(variant.path);
      const mine =
        variant.id === row?.hold?.variant ||
        (variant.device === parts.device.device && sameLocal(row?.local ?? null, variant.entry, folder.traits));
      const known = infos.get(variant.path);
      const info = {
        id: variant.id,
        device: variant.deviceName,
        time: new Date(variant.timeMs).toISOString(),
        size: variant.entry.kind === 'file' ? variant.entry.content.size : 0,
        mine,
      };
      infos.set(variant.path, {
        path: variant.path,
        variants: [...(known?.variants ?? []), info],
        holds: mine || known?.holds === 'mine' ? 'mine' : 'theirs',
      });
    }
    return [...infos.values()].sort((a, b) => comparePaths(a.path as RelPath, b.path as RelPath));
  }

  async function status(): Promise<Status> {
    const { conflicts: _count, progress: _progress, ...state } = live.state();
    const counts = store.counts();
    const head = store.head();
    const lastChange = store.setting('last-change');
    const problems: ProblemInfo[] = store
      .problemRows(listedMax)
      .map((row) => ({ path: row.path, reason: row.problem?.reason ?? '' }));
    const leftOut = store.outOfScopeRows(listedMax);
    const outOfScopePaths: ProblemInfo[] = [];
    for (const { path, outOfScope } of leftOut) {
      const reason = isIgnored(outOfScope) ? 'ignored' : (outOfScope ?? '');
      const rule = isIgnored(outOfScope) ? await live.scanner.ruleFor(path) : null;
      outOfScopePaths.push({ path, reason, ...(rule === null ? {} : { rule }) });
    }
    // Whoever looks for trouble finds paths that are left out for a reason other than the user's own wish beside the failed ones.
    for (const { path, outOfScope, problem } of store.outOfScopeRows(listedMax, wishedReasons))
      if (outOfScope !== null && problem === null) problems.push({ path, reason: outOfScopeWords[outOfScope] });
    // Names that no path can spell have no row.
    problems.push(...live.scanner.skipped(), ...live.roomProblems());
    return {
      ...state,
      dir: parts.dir,
      room: parts.cipher.room,
      device: parts.device.device,
      name: parts.deviceName,
      conflicts: conflictInfos(),
      peers: live.peers(),
      files: counts.files,
      problems,
      holds: live.holds.list(),
      head,
      root: store.root(),
      outOfScope: counts.outOfScope,
      outOfScopeByReason: countsByReason(),
      conflictCopies: store.conflictCopies(listedMax),
      outOfScopePaths,
      relay: parts.urls.join(' '),
      running: live.running,
      lastChange: lastChange === undefined ? null : (JSON.parse(lastChange) as NonNullable<Status['lastChange']>),
    };
  }

  function countsByReason(): Status['outOfScopeByReason'] {
    const counts = new Map<OutOfScopeReason, number>();
    for (const [reason, count] of store.outOfScopeCounts()) {
      const shown = isIgnored(reason) ? 'ignored' : reason;
      counts.set(shown, (counts.get(shown) ?? 0) + count);
    }
    return Object.fromEntries(counts);
  }

  /**
   * Reads the whole folder from disk, trusting no stamp, and compares it with the room's head. What it finds different is looked
   * at by the sync as well: no event may have told of it.
   */
  async function verify(): Promise<VerifyResult> {
    const differences: ProblemInfo[] = [];
    let differenceCount = 0;
    const { kind } = await folder.root();
    if (kind !== 'present') {
      const difference = { path: '', reason: 'the folder is missing or cannot be read' };
      const nothing = { files: 0, bytes: 0, leftOut: {}, leftOutPaths: [], agreeing: [] };
      return {
        ok: false,
        root: store.root(),
        head: store.head(),
        ...nothing,
        differenceCount: 1,
        differences: [difference],
      };
    }
    const leftOut: Record<string, number> = {};
    const troubled: ProblemInfo[] = [];
    const wished: ProblemInfo[] = [];
    const differ = (path: string, reason: string): void => {
      const known = parseRelPath(path);
      if (known !== undefined) live.readAgain(known);
      differenceCount += 1;
      if (differences.length < listedMax) differences.push({ path, reason });
    };
    let files = 0;
    let bytes = 0;
    const seen = new Set<string>();
    const walk = async (dir: RelPath | ''): Promise<void> => {
      const listed = await folder.list(dir);
      if (listed.kind === 'problem') differ(dir, listed.reason);
      if (listed.kind !== 'listed') return;
      for (const { name, stat } of listed.entries) {
        const path = parseRelPath(dir === '' ? name : `${dir}/${name}`);
        if (path === undefined) continue;
        const row = store.row(path);
        if (row !== undefined && row.outOfScope !== null) {
          if (row.problem !== null) differ(path, row.problem.reason);
          continue;
        }
        const room = liveEntry(store.manifest.slot(path));
        if (room === null) {
          if (row?.local != null) differ(path, 'here, and not in the room');
          // Whatever is remembered of the path: that the room deleted it once says nothing about what is there now.
          else if (await takesPart(path, stat)) differ(path, 'here, not yet looked at');
          if (row?.local == null) continue;
        } else {
          seen.add(path);
          const local = await readNow(path, stat, row);
          if (local?.kind === 'file') {
            files += 1;
            bytes += local.size;
            if (local.private && local.openToOthers)
              differ(path, 'private in the room, and others may read it here: chmod 600 it');
          }
          if (!sameLocal(local, room, folder.traits))
            differ(path, store.row(path)?.hold == null ? 'differs from the room' : 'an open conflict');
        }
        if (stat.kind === 'directory') await walk(path);
      }
    };
    await walk('');
    for (const { path, slot } of store.manifest.slotsBetween(null, null)) {
      if (liveEntry(slot) === null || seen.has(path)) continue;
      const row = store.row(path);
      if (row?.outOfScope == null) differ(path, 'in the room, and not here');
      else {
        leftOut[row.outOfScope] = (leftOut[row.outOfScope] ?? 0) + 1;
        // However many the rules leave out, the others are named.
        const names = wishedReasons.includes(row.outOfScope) ? wished : troubled;
        if (names.length < listedMax) names.push({ path, reason: outOfScopeWords[row.outOfScope] });
      }
    }
    const pending = store.counts().pending;
    if (pending > 0 && differenceCount === 0) differ('', `${pending} paths are still to be sent or applied`);
    const agreeing: string[] = [];
    // Equal to the room as this machine has it says nothing when others have it otherwise.
    for (const { name, device, agrees } of live.peers()) {
      if (agrees === true) agreeing.push(name);
      if (agrees === false)
        differ('', `${name} (device ${device.slice(0, 12)}) has another content of the room at this record`);
    }
    return {
      ok: differenceCount === 0,
      root: store.root(),
      head: store.head(),
      files,
      bytes,
      differenceCount,
      differences,
      leftOut,
      leftOutPaths: [...troubled, ...wished],
      agreeing,
    };
  }

  /** By its name, its kind and the ignore rules on disk. */
  async function takesPart(path: RelPath, stat: Stat): Promise<boolean> {
    if (stat.kind === 'other' || (await live.scanner.explain(path)).length > 0) return false;
    return !live.scanner.isIgnored(path, stat.kind === 'directory');
  }

  async function readNow(path: RelPath, stat: Stat, row: Row | undefined): Promise<LocalEntry | null> {
    if (stat.kind === 'directory') return { kind: 'directory' };
    if (stat.kind === 'symlink') {
      const target = await folder.readLink(path);
      return typeof target === 'string' ? { kind: 'symlink', target } : null;
    }
    if (stat.kind !== 'file') return null;
    const known = row?.local?.kind === 'file' ? row.local : undefined;
    const agreed = modeOfFile(row?.base ?? null);
    const handle = await folder.openFile(path);
    if ('kind' in handle) return null;
    try {
      const hash = hashing.createSha256();
      let size = 0;
      for (;;) {
        const piece = await handle.read(256 * 1024);
        if (piece.length === 0) break;
        hash.update(piece);
        size += piece.length;
        await live.pause();
      }
      return {
        kind: 'file',
        digest: bytesToHex(hash.digest()) as Extract<LocalEntry, { kind: 'file' }>['digest'],
        size,
        ...scannedMode({ ...stat, fingerprint: fingerprintOf(stat) }, known, agreed),
        openToOthers: stat.openToOthers,
        mtimeMs: 0,
        fingerprint: '' as Extract<LocalEntry, { kind: 'file' }>['fingerprint'],
        racy: false,
      };
    } finally {
      await handle.close();
    }
  }

  async function resolve(text: string, keep: Keep): Promise<ControlAnswer> {
    const path = pathOf(text);
    const row = path === undefined ? undefined : store.row(path);
    if (path === undefined || row === undefined || store.variants(path).length === 0) {
      const open = conflictInfos().map((conflict) => conflict.path);
      return answer(
        open.length === 0
          ? 'there is no open conflict'
          : `${text} has no open conflict; open: ${open.slice(0, 20).join(', ')}`,
        false,
      );
    }
    if (row.outOfScope !== null)
      return answer(
        `${path} takes no part here now (driftless explain says why); resolve its conflict on another machine`,
        false,
      );
    await live.command(async () => {
      const now = store.row(path);
      const own =
        now?.hold?.variant ??
        store.variants(path).find((variant) => sameLocal(now?.local ?? null, variant.entry, folder.traits))?.id ??
        null;
      store.setHold(path, { variant: own, choice: keep });
    });
    return answer(live.running ? `${path}: ${keptOf(keep)}` : `${path}: ${keptOf(keep)}, when sync runs`);
  }

  async function conflictSides(text: string): Promise<ConflictSides> {
    const path = pathOf(text);
    const row = path === undefined ? undefined : store.row(path);
    if (path === undefined || row === undefined) return { base: null, mine: null, theirs: null };
    const variants = store.variants(path);
    const own =
      variants.find((variant) => variant.id === row.hold?.variant) ??
      variants.find((variant) => sameLocal(row.local, variant.entry, folder.traits));
    const newest = [...variants].sort((a, b) => b.timeMs - a.timeMs)[0];
    const other = own !== undefined ? liveEntry(row.remote) : (newest?.entry ?? null);
    const baseDigest = (own ?? newest)?.baseDigest ?? null;
    const [mine, base, theirs] = await Promise.all([
      diskBytes(path),
      baseDigest === null ? null : baseBytes(row, baseDigest),
      other?.kind === 'file' ? bytesAtHand(other.content) : null,
    ]);
    const encoded = (bytes: Uint8Array | NotAtHand | null): string | null =>
      bytes instanceof Uint8Array ? bytesToBase64(bytes) : null;
    const missing = (
      [
        ['base', base],
        ['theirs', theirs],
      ] as const
    ).flatMap(([side, bytes]) => (typeof bytes === 'string' ? [side] : []));
    return { base: encoded(base), mine, theirs: encoded(theirs), ...(missing.length === 0 ? {} : { missing }) };
  }

  async function baseBytes(row: Row, digest: Digest): Promise<Uint8Array | NotAtHand> {
    const cached = store.cachedContent(digest);
    if (cached !== undefined) return cached;
    const isKnown = row.base?.kind === 'file' && row.base.content.digest === digest;
    return isKnown && row.base?.kind === 'file' ? bytesAtHand(row.base.content) : 'missing';
  }

  async function mergeUnsaved(text: string, bufferText: string, merged: string | null): Promise<BufferMerge> {
    const path = pathOf(text);
    const remote = path === undefined ? null : liveEntry(store.row(spelled(path))?.remote ?? null);
    const base = path === undefined ? null : live.unsaved.madeFrom(path, merged as Digest | null);
    if (remote?.kind !== 'file' || base?.kind !== 'file') return { kind: 'waits' };
    if (Math.max(remote.content.size, base.content.size, bufferText.length) > mergeBytesMax) return { kind: 'waits' };
    const [theirs, baseBytes] = await Promise.all([bytesAtHand(remote.content), bytesAtHand(base.content)]);
    if (theirs === 'missing' || baseBytes === 'missing') return { kind: 'waits' };
    if (theirs === 'late' || baseBytes === 'late') return { kind: 'later' };
    const edits = mergeIntoBuffer({ base: baseBytes, text: bufferText, theirs });
    if (edits === undefined) return { kind: 'waits' };
    // What the buffer is made from by then is the base of what is saved.
    const version = remote.content.digest;
    store.cacheContent(version, theirs, parts.clock.nowMs());
    return { kind: 'merged', version, edits };
  }

  /** Whoever asks does not wait for a network that is dead: what is not here comes soon, or is late. */
  async function bytesAtHand(content: Content): Promise<Uint8Array | NotAtHand> {
    const session = live.session();
    const arriving = live.contents.bytesOf(content, session).catch((error: unknown): NotAtHand => {
      if (error instanceof StateStoreError) throw error;
      const isKnownMissing = error instanceof ChunksMissing || error instanceof ContentDamaged;
      return session !== null && isKnownMissing ? 'missing' : 'late';
    });
    return await new Promise((resolve, reject) => {
      const timer = parts.clock.after(sideWaitMsMax, () => resolve('late'));
      void arriving.then(resolve, reject).finally(() => timer.cancel());
    });
  }

  async function diskBytes(path: RelPath): Promise<string | null> {
    const handle = await folder.openFile(path);
    if ('kind' in handle) return null;
    try {
      const pieces: Uint8Array[] = [];
      for (;;) {
        const piece = await handle.read(256 * 1024);
        if (piece.length === 0) return bytesToBase64(new Uint8Array(Buffer.concat(pieces)));
        pieces.push(piece.slice());
      }
    } finally {
      await handle.close();
    }
  }

  async function explain(text: string): Promise<{ lines: string[] }> {
    const path = pathOf(text);
    if (path === undefined) return { lines: [`${text} is not a path inside the folder`] };
    const row = store.row(path);
    const slot = store.manifest.slot(path);
    const stat = await folder.stat(path);
    const lines: string[] = [];
    const ruled =
      stat !== null && stat.kind !== 'problem' && stat.kind !== 'other' ? await live.scanner.explain(path) : [];
    if (row === undefined && slot === null) {
      if (stat === null) return { lines: ['neither here nor in the room'] };
      return { lines: ruled.length > 0 ? [...ruled] : ['here, not yet looked at'] };
    }
    if (row?.outOfScope != null) {
      const why = isIgnored(row.outOfScope) ? await live.scanner.explain(path) : [];
      lines.push(
        ...(why.length > 0 ? why : [`out of scope on this machine: ${outOfScopeWords[row.outOfScope]}`]),
        'it is not sent, applied or deleted here',
      );
      if (row.outOfScope === 'awaiting-confirmation') lines.push(...waysOut(path));
    }
    const unread = row?.outOfScope != null && stat !== null;
    lines.push(`here: ${unread ? 'present, not looked at' : describeLocal(row?.local ?? null)}`);
    lines.push(
      `in the room: ${slot === null ? 'absent' : slot.kind === 'tombstone' ? `deleted at record ${slot.height}` : describeEntry(slot)}`,
    );
    lines.push(`last agreed: ${row?.base == null ? 'absent' : describeEntry(row.base)}`);
    if (row !== undefined) lines.push(...verdicts(row, stat));
    return { lines };
  }

  function waysOut(path: RelPath): string[] {
    const hold = live.holds.list().find(({ kind, paths }) => kind === 'scope' && paths.includes(path));
    return [
      `to publish it: driftless confirm ${shellWord(parts.dir)}${hold === undefined ? '' : ` ${hold.id}`}`,
      `to keep it here: add ${ignoreLineFor(path, false)} to ${ownIgnoreFile}`,
    ];
  }

  /** A link or directory that waits beside the files which a hold lists. */
  function heldBeside({ path, local }: Row): HoldInfo | undefined {
    if (!store.isParked(path)) return undefined;
    const direction = local === null ? 'outgoing' : 'incoming';
    return live.holds.list().find((hold) => hold.kind === 'deletions' && hold.direction === direction);
  }

  function verdicts(row: Row, stat: Stat | PathProblem | null): string[] {
    const lines: string[] = [];
    const held = live.holds.holding(row.path) ?? heldBeside(row);
    if (row.hold !== null || store.variants(row.path).length > 0)
      lines.push(`an open conflict; see: driftless conflicts ${shellWord(parts.dir)}`);
    else if (held !== undefined && row.outOfScope === null)
      lines.push(`held: ${held.reason}; to let it go: driftless confirm ${shellWord(parts.dir)} ${held.id}`);
    if (row.problem !== null && row.outOfScope !== null) lines.push(row.problem.reason);
    else if (row.problem !== null) lines.push(failed(row.problem));
    if (row.outOfScope !== null) return lines;
    if (row.declined)
      lines.push(`its deletion was declined here: it ${row.local === null ? 'comes back' : 'is sent again'}`);
    if (!isAsLooked(row.local, stat))
      return [...lines, `the disk has changed since it was looked at last${live.running ? '' : '; no peer runs'}`];
    if (lines.length > 0) return lines;
    const localSame = sameLocal(row.local, row.base, folder.traits);
    const remoteSame = sameLocal(row.local, liveEntry(row.remote), folder.traits);
    return [remoteSame ? 'in sync' : localSame ? toApply(row) : toSend(row)];
  }

  function failed({ attempts, reason, retryAtMs }: RowProblem): string {
    const waits = live.running && !isRetryDue({ retryAtMs }, parts.clock.nowMs());
    const next = waits ? `tried again at ${new Date(retryAtMs).toISOString()}` : 'to be tried again';
    return `failed ${attempts} ${attempts === 1 ? 'time' : 'times'}, ${next}: ${reason}`;
  }

  /** By its stamps: nothing is read for an answer. */
  function isAsLooked(local: LocalEntry | null, stat: Stat | PathProblem | null): boolean {
    if (local === null || stat === null) return local === null && stat === null;
    if (stat.kind === 'problem') return true;
    return local.kind === 'file'
      ? stat.kind === 'file' && local.fingerprint === fingerprintOf(stat)
      : stat.kind === local.kind;
  }

  const toApply = ({ remote }: Row): string =>
    liveEntry(remote) === null ? 'deleted in the room: to be deleted here' : 'to be applied here';
  const toSend = ({ local }: Row): string =>
    local === null ? 'deleted here: the deletion is to be sent' : 'to be sent from here';

  const modeWords = (mode: FileMode): string =>
    `${mode.executable ? ', executable' : ''}${mode.private ? ', private' : ''}`;
  const describeEntry = (entry: NonNullable<ReturnType<typeof liveEntry>>): string =>
    entry.kind === 'file'
      ? `file, ${entry.content.size} bytes, ${entry.content.digest.slice(0, 12)}${modeWords(entry)}`
      : entry.kind === 'symlink'
        ? `link to ${entry.target}`
        : 'directory';
  const describeLocal = (local: LocalEntry | null): string =>
    local === null
      ? 'absent'
      : local.kind === 'file'
        ? `file, ${local.size} bytes, ${local.digest.slice(0, 12)}${modeWords(local)}`
        : local.kind === 'symlink'
          ? `link to ${local.target}`
          : 'directory';

  async function untrack(text: string): Promise<ControlAnswer> {
    const path = pathOf(text);
    if (path === undefined || liveEntry(store.manifest.slot(path)) === null)
      return answer(`${text} is not in the room`, false);
    const ignored = isIgnored(store.row(path)?.outOfScope);
    try {
      await live.command(() => live.untracks.request(path));
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      return answer(`${path} stays in the room: ${error.message}`, false);
    }
    return answer(
      `${path} leaves the room and stays on every disk${ignored ? '' : `; it is now listed in ${ownIgnoreFile}`}`,
    );
  }

  const confirm = (choice: HoldChoice): Promise<ConfirmAnswer> => letGo(choice, live.holds.confirm);
  const decline = (choice: HoldChoice): Promise<ConfirmAnswer> =>
    letGo(choice, (one) =>
      live.holds.decline(one, (held) =>
        keepWhatWouldGo(held, store, {
          isOnHeldDisk: live.isOnHeldDisk,
          isConfirmed: (path) => live.holds.isConfirmed(held.source, path),
        }),
      ),
    );

  async function letGo(choice: HoldChoice, answerOf: (choice: HoldChoice) => ConfirmAnswer): Promise<ConfirmAnswer> {
    // Chosen by what is held now, and let go between two turns only if it still is exactly that.
    const picked = live.holds.pick(choice);
    if (!picked.ok) return picked;
    let answered: ConfirmAnswer = picked;
    await live.command(async () => {
      answered = answerOf({ id: picked.holds[0]?.id ?? '' });
      if (answered.ok) live.onAnswered();
    });
    if (!answered.ok || live.running) return answered;
    return { ...answered, message: `${answered.message}; it takes effect when sync runs` };
  }

  return {
    status,
    verify,
    conflicts: async () => conflictInfos(),
    resolve,
    conflictSides,
    explain,
    pause: async () => {
      await live.command(async () => store.setSetting('paused', 'yes'));
      return answer('sync is paused; nothing is sent or applied');
    },
    resume: async () => {
      await live.command(async () => store.setSetting('paused', null));
      return answer(
        live.running ? 'sync goes on' : `sync goes on when it runs: driftless sync ${shellWord(parts.dir)}`,
      );
    },
    holds: async () => live.holds.list(),
    confirm: (choice = {}) => confirm(choice),
    decline: (choice = {}) => decline(choice),
    untrack,
    invite: async () => parts.makeInvite(),
    trustRelay: async (key) => {
      if (!/^[0-9a-f]{64}$/.test(key))
        return answer(
          'the identity of a relay has 64 hexadecimal digits: "driftless relay --show-key" shows it there',
          false,
        );
      return answer(
        live.onTrustRelay(key)
          ? "the relay's new identity is trusted"
          : `this identity is trusted when the relay shows it${live.running ? '' : ' and sync runs'}`,
      );
    },
    holdUnsaved: async (window, edits) => {
      live.unsaved.hold(
        window,
        edits.flatMap(({ path: text, loaded, merged }) => {
          const path = pathOf(text);
          return path === undefined ? [] : [{ path, loaded: loaded as Digest | null, merged: merged as Digest | null }];
        }),
      );
      return null;
    },
    windowLost: async (window) => {
      live.unsaved.lost(window);
      return null;
    },
    mergeUnsaved,
    savedMerged: async (text, merged) => {
      const path = pathOf(text);
      if (path !== undefined) live.unsaved.savedMerged(path, merged as Digest);
      return null;
    },
  };
}
