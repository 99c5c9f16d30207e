/**
 * Takes a path out of the room that stays on every disk (rule IG1): first a line in an ignore file, then, once everybody who
 * will hear of the removal has the line too, the removal. The wish is remembered before the first of it is done and forgotten
 * after the last, so that a process that ends in between goes on where it was.
 *
 * Leaves to others: what the rules mean, and telling the scan that they changed.
 */
import { bytesToHex, bytesToUtf8, concatBytes, type Digest, type RelPath, utf8ToBytes } from '@driftless/protocol';
import type { ReplaceJournal } from '../apply/replace-journal.ts';
import type { Contents } from '../contents.ts';
import { isRetryDue } from '../core/backoff.ts';
import { liveEntry, sameLocal } from '../core/entry-encoding.ts';
import { modeOfFile, plainMode } from '../core/file-mode.ts';
import { fingerprintOf } from '../core/fingerprint.ts';
import { ignoreFileNames } from '../core/ignore-rules.ts';
import type { LocalEntry } from '../core/local-entry.ts';
import { isIgnored } from '../core/row.ts';
import { ignoreFileBytesMax } from '../core/scope/ignore-text.ts';
import { ignoreLineFor } from '../core/scope/ignore-words.ts';
import { ancestorsOf } from '../core/tree-paths.ts';
import type { Clock } from '../ports/clock.ts';
import type { Folder } from '../ports/folder.ts';
import type { Hashing } from '../ports/hashing.ts';
import type { StateStore } from '../ports/state-store.ts';
import type { ExtraChange } from '../publish.ts';

export interface Untracks {
  /**
   * Remembers the wish and lists the path in an ignore file, durably. Errors: an Error whose message says what to do; then
   * nothing was changed, unless the disk failed in the middle: then `resume` goes on.
   */
  request(path: RelPath): Promise<void>;
  /** Writes the lines that are still missing. Comes before the first scan: nothing may be judged without them. */
  resume(): Promise<void>;
  /** The removals that may be published now. */
  changes(): Promise<readonly ExtraChange[]>;
  /** Some path is still to be taken out. */
  hasAny(): boolean;
}

export interface UntrackParts {
  readonly folder: Folder;
  /** That of the linked folder. */
  readonly marker: string;
  readonly store: StateStore;
  readonly clock: Clock;
  readonly hashing: Hashing;
  readonly contents: Pick<Contents, 'stageBytes'>;
  readonly journal: ReplaceJournal;
  /** By the rules on disk now. */
  readonly isIgnored: (path: RelPath) => Promise<boolean>;
  /** Asks for a scan. */
  readonly markDirty: (path: RelPath | '', deep: boolean) => void;
  readonly onProblem: (path: RelPath, error: unknown) => void;
  readonly onNote: (path: RelPath, note: string) => void;
}

/** One wish. `line`: still to be written into the ignore file. */
interface Wish {
  readonly path: RelPath;
  readonly line: string | null;
}

/** Setting: the wishes, as JSON. */
const untracks = 'untracks';
export const ownIgnoreFile = ignoreFileNames.driftless as RelPath;

export function createUntracks(parts: UntrackParts): Untracks {
  const { folder, store, clock, hashing, contents, journal } = parts;

  const wishes = (): readonly Wish[] => JSON.parse(store.setting(untracks) ?? '[]') as Wish[];
  const setWishes = (next: readonly Wish[]): void =>
    store.setSetting(untracks, next.length === 0 ? null : JSON.stringify(next));
  const without = (path: RelPath): readonly Wish[] => wishes().filter((wish) => wish.path !== path);

  async function request(path: RelPath): Promise<void> {
    const root = await folder.root();
    // An unmounted root is an empty directory, and what is written into it belongs to nobody.
    if (root.kind !== 'present' || root.marker !== parts.marker)
      throw new Error('the folder is missing, or is not the linked one: start sync there first');
    const isDirectory = liveEntry(store.manifest.slot(path))?.kind === 'directory';
    if (isIgnored(store.row(path)?.outOfScope)) {
      setWishes([...without(path), { path, line: null }]);
      return;
    }
    const line = ignoreLineFor(path, isDirectory);
    const before = wishes();
    setWishes([...without(path), { path, line }]);
    store.flush();
    try {
      await list({ path, line });
    } catch (error) {
      // What failed in the middle is settled, and gone on with, by the next turn or run.
      if (!journal.isCut) setWishes(before);
      throw error;
    }
  }

  async function resume(): Promise<void> {
    const problem = store.row(ownIgnoreFile)?.problem;
    if (problem != null && !isRetryDue(problem, clock.nowMs())) return;
    for (const { path, line } of wishes()) {
      if (line === null) continue;
      try {
        await list({ path, line });
      } catch (error) {
        if (journal.isCut || !(error instanceof Error)) throw error;
        parts.onProblem(ownIgnoreFile, error);
        return;
      }
    }
  }

  async function list({ path, line }: { readonly path: RelPath; readonly line: string }): Promise<void> {
    // What a run before left half-way is the file that is read here.
    for (const settled of (await journal.settle()).settled) parts.markDirty(settled, false);
    await addLine(line);
    setWishes(wishes().map((wish) => (wish.path === path ? { path, line: null } : wish)));
    parts.markDirty(ownIgnoreFile, false);
    parts.markDirty('', true);
  }

  async function addLine(line: string): Promise<void> {
    const { bytes, before } = await readIgnoreFile();
    if ((bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff))
      throw new Error(`${ownIgnoreFile} is UTF-16: save it as UTF-8`);
    // In bytes, because what is no UTF-8 is the user's as well.
    const text = bytesToUtf8(bytes) ?? new TextDecoder().decode(bytes);
    if (text.split(/\r?\n/).includes(line)) return;
    const isOpenEnded = bytes.length > 0 && bytes.at(-1) !== 0x0a;
    const next = concatBytes(bytes, utf8ToBytes(`${isOpenEnded ? '\n' : ''}${line}\n`));
    if (next.length > ignoreFileBytesMax)
      throw new Error(`${ownIgnoreFile} is larger than ${ignoreFileBytesMax} bytes, and what is beyond does not count`);
    const stagedName = await contents.stageBytes(ownIgnoreFile, next);
    try {
      const outcome = await journal.replace({
        path: ownIgnoreFile,
        before,
        incoming: {
          kind: 'file',
          stagedName,
          digest: bytesToHex(hashing.sha256(next)) as Digest,
          mode: modeOfFile(before) ?? plainMode,
        },
        base: store.row(ownIgnoreFile)?.base ?? null,
        reason: 'replaced',
        // The scan learns of it as of the user's own edit, and judges everything by the new rules.
        isRecorded: false,
      });
      if (outcome.kind === 'problem') throw new Error(outcome.reason);
      if (outcome.kind !== 'done') throw new Error(`${ownIgnoreFile} is being edited; try again`);
    } finally {
      if (!journal.isCut) await folder.discardStaged(stagedName);
    }
  }

  /** What was read just now is what may be replaced, scanned or not. */
  async function readIgnoreFile(): Promise<{ readonly bytes: Uint8Array; readonly before: LocalEntry | null }> {
    const stat = await folder.stat(ownIgnoreFile);
    if (stat === null) return { bytes: new Uint8Array(0), before: null };
    if (stat.kind === 'problem') throw new Error(stat.reason);
    if (stat.kind !== 'file') throw new Error(`${ownIgnoreFile} is not a file: make it one, or remove it`);
    const handle = await folder.openFile(ownIgnoreFile);
    if ('kind' in handle)
      throw new Error(handle.kind === 'absent' ? `${ownIgnoreFile} is being edited; try again` : handle.reason);
    try {
      const opened = await handle.stat();
      const bytes = await handle.readAt(0, ignoreFileBytesMax + 1);
      const before: LocalEntry = {
        kind: 'file',
        digest: bytesToHex(hashing.sha256(bytes)) as Digest,
        size: bytes.length,
        ...(modeOfFile(store.row(ownIgnoreFile)?.local ?? null) ?? plainMode),
        openToOthers: opened.openToOthers,
        mtimeMs: Number(opened.mtimeNs / 1_000_000n),
        fingerprint: fingerprintOf(opened),
        // Its bytes are compared again at the moment of the replace.
        racy: true,
      };
      return { bytes, before };
    } finally {
      await handle.close();
    }
  }

  async function changes(): Promise<readonly ExtraChange[]> {
    const all = wishes();
    if (all.length === 0) return [];
    const left: Wish[] = [];
    const found: ExtraChange[] = [];
    for (const wish of all) {
      const { path, line } = wish;
      const entry = liveEntry(store.manifest.slot(path));
      if (entry === null) continue;
      const isLeftOut = (store.row(path)?.outOfScope ?? null) !== null;
      if (line === null && !isLeftOut && !(await parts.isIgnored(path))) {
        parts.onNote(path, 'it stays in the room: another ignore rule takes it in, or its line was removed');
        continue;
      }
      left.push(wish);
      // The others must have the rule before the path leaves the room, or they would put it back.
      if (line === null && isLeftOut && areRulesInRoom(path))
        found.push({ change: { kind: 'untrack', path, subtree: entry.kind === 'directory' }, outcome: [] });
    }
    if (left.length !== all.length) setWishes(left);
    return found;
  }

  /** Whether every ignore file above `path` is in the room as it is here. */
  function areRulesInRoom(path: RelPath): boolean {
    return [...ancestorsOf(path), ''].every((directory) =>
      Object.values(ignoreFileNames).every((name) => {
        const row = store.row((directory === '' ? name : `${directory}/${name}`) as RelPath);
        return (
          row === undefined || row.outOfScope !== null || sameLocal(row.local, liveEntry(row.remote), folder.traits)
        );
      }),
    );
  }

  return { request, resume, changes, hasAny: () => store.setting(untracks) !== undefined };
}
