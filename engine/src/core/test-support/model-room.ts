/**
 * Peers and a room in memory, to run the pure core as a whole: rows, disk and log, without clock, network or bytes. Disk and
 * room refuse whatever a real one would refuse (a missing parent, a directory that is not empty, a taken name, a void
 * record), so that a plan in a wrong order fails where it happens.
 */
import {
  type Change,
  comparePaths,
  type Digest,
  type Entry,
  type FileEntry,
  type RelPath,
  type VariantId,
} from '@driftless/protocol';
import { applyChanges } from '../apply-changes.ts';
import { agreedAfterMode } from '../decide.ts';
import { staysOutOfScope } from '../directory-scope.ts';
import { entryTag, liveEntry, sameEntry, sameLocal, variantIdOf } from '../entry-encoding.ts';
import { modeOf, sameMode } from '../file-mode.ts';
import { linuxTraits } from '../folder-traits.ts';
import type { Fingerprint, LocalEntry } from '../local-entry.ts';
import type { DiskStep, Plan, PublishStep } from '../plan.ts';
import { reconcile } from '../reconcile.ts';
import { type ResolutionStep, resolveAfterClose, resolveByPolicy } from '../resolution.ts';
import type { OutOfScopeReason, Row, RowView } from '../row.ts';
import { parentPath } from '../tree-paths.ts';
import { deviceOf, digestOf, file, rel, sha256 } from './entries.ts';
import { createMemoryManifest, type MemoryManifest } from './memory-manifest.ts';

export type Node =
  | { readonly kind: 'file'; readonly text: string; readonly executable: boolean; readonly private?: boolean }
  | { readonly kind: 'directory' }
  | { readonly kind: 'symlink'; readonly target: string };

export type Disk = Map<RelPath, Node>;

/** Every text that was ever written, by digest: the room's chunks. */
const texts = new Map<Digest, string>();

export function textOf(digest: Digest): string {
  const text = texts.get(digest);
  if (text === undefined) throw new Error(`no content ${digest}`);
  return text;
}

export class ModelRoom {
  readonly manifests: MemoryManifest[] = [createMemoryManifest(sha256)];
  readonly authors: string[] = [];
  /** How often each kind of step was planned: a run must show that it did something. */
  readonly planned = new Map<string, number>();
  /** All contents that records hold. */
  readonly history = new Set<Digest>();

  get height(): number {
    return this.manifests.length - 1;
  }
  get head(): MemoryManifest {
    return this.manifests[this.height] as MemoryManifest;
  }

  /** undefined: the head moved. Throws when the record would be void. */
  append(prev: number, author: string, changes: readonly Change[]): number | undefined {
    if (prev !== this.height) return undefined;
    const applied = applyChanges({
      view: this.head,
      changes,
      height: this.height + 1,
      device: deviceOf(author),
      deviceName: author,
      timeMs: this.height,
      sha256,
    });
    if (!applied.ok) throw new Error(`void record of ${author}: ${applied.error.reason}: ${JSON.stringify(changes)}`);
    for (const change of changes)
      if ((change.kind === 'put' || change.kind === 'variant') && change.entry.kind === 'file')
        this.history.add(change.entry.content.digest);
    this.manifests.push(this.head.after(applied.value));
    this.authors.push(author);
    return this.height;
  }
}

interface Sent {
  readonly height: number;
  readonly outcome: readonly { readonly path: RelPath; readonly entry: Entry | null }[];
}

export interface ModelPeerOptions {
  readonly policy?: 'ask' | 'keep-both' | 'newest';
  readonly ignored?: (path: RelPath) => boolean;
}

export class ModelPeer {
  readonly disk: Disk = new Map();
  readonly base = new Map<RelPath, Entry>();
  readonly holds = new Map<RelPath, Entry>();
  readonly outOfScope = new Map<RelPath, OutOfScopeReason>();
  private readonly blocked = new Set<RelPath>();
  readonly notes: string[] = [];
  pulled = 0;
  conflicts = 0;
  /** Lines that a merge, or a change of the executable bit alone, took into a content of this peer. */
  readonly mergedTags = new Set<string>();
  diskWrites = 0;
  /** A record that was appended and whose acknowledgement was lost (rule SENT). */
  private sent: Sent | null = null;
  private toClose: { readonly path: RelPath; readonly variants: readonly VariantId[] }[] = [];

  readonly name: string;
  readonly room: ModelRoom;
  readonly options: ModelPeerOptions;

  constructor(name: string, room: ModelRoom, options: ModelPeerOptions = {}) {
    this.name = name;
    this.room = room;
    this.options = options;
  }

  get manifest(): MemoryManifest {
    return this.room.manifests[this.pulled] as MemoryManifest;
  }

  pull(): void {
    this.pulled = this.room.height;
    if (this.sent !== null && this.sent.height <= this.pulled) this.own(this.sent);
  }

  rows(): readonly Row[] {
    for (const path of this.outOfScope.keys()) {
      const hasChildren = [...this.disk.keys()].some((other) => other.startsWith(`${path}/`));
      const local = this.disk.get(path)?.kind ?? null;
      if (!staysOutOfScope({ local, hasChildren, remote: this.manifest.slot(path) })) this.outOfScope.delete(path);
    }
    const paths = new Set([...this.base.keys(), ...this.disk.keys(), ...this.outOfScope.keys()]);
    for (const { path } of this.manifest.entries()) paths.add(path);
    return [...paths].sort(comparePaths).map((path) => this.row(path));
  }

  row(path: RelPath): Row {
    const held = this.holds.get(path);
    const ignored = this.options.ignored?.(path) ?? false;
    return {
      path,
      base: this.base.get(path) ?? null,
      remote: this.manifest.slot(path),
      remoteMtimeMs: 0,
      local: localOf(this.disk.get(path)),
      outOfScope: ignored ? 'ignored' : (this.outOfScope.get(path) ?? null),
      hold: held === undefined ? null : { variant: this.variantOf(path, held), choice: null },
      problem: null,
      declined: false,
    };
  }

  pending(): readonly Row[] {
    return this.rows().filter(
      (row) => row.outOfScope === null && row.hold === null && !isAtRest(row) && !this.isBlocked(row.path),
    );
  }

  /** The room has a file where this disk has a directory of nothing but what is left out: a problem until that is cleared (rule IG1). */
  isBlocked(path: RelPath): boolean {
    return this.blocked.has(path) && this.isKept(path) && liveEntry(this.manifest.slot(path))?.kind !== 'directory';
  }

  plan(settled?: (path: RelPath) => boolean): Plan {
    const rows = this.rows();
    const byPath = new Map(rows.map((row) => [row.path, row]));
    const view: RowView = {
      row: (path) => byPath.get(path),
      rowsUnder: (path) => rows.filter((row) => row.path.startsWith(`${path}/`)),
      variants: (path) => this.manifest.variants(path),
    };
    return reconcile({
      rows: this.pending(),
      view,
      traits: linuxTraits,
      mergeable: (row) => row.path.endsWith('.txt'),
      ...(settled === undefined ? {} : { settled }),
    });
  }

  /** One turn of the loop. True when it changed anything anywhere. */
  turn(chaos: { readonly settled?: (path: RelPath) => boolean; readonly loseAck?: boolean } = {}): boolean {
    const before = this.diskWrites;
    const resolved = this.settleHolds();
    const plan = this.plan(chaos.settled);
    for (const { kind } of [...plan.scope, ...plan.agree, ...plan.disk, ...plan.publish])
      this.room.planned.set(kind, (this.room.planned.get(kind) ?? 0) + 1);
    for (const { path, note } of plan.notes) this.notes.push(`${path}: ${note}`);
    for (const { path, base } of plan.bases) this.setBase(path, base);
    for (const { kind, path } of plan.scope) {
      if (kind === 'enters') {
        this.outOfScope.delete(path);
        this.base.delete(path);
      } else {
        this.setBase(path, liveEntry(this.manifest.slot(path)));
        this.outOfScope.set(path, 'directory-of-out-of-scope');
      }
    }
    for (const { path } of plan.agree) this.setBase(path, liveEntry(this.manifest.slot(path)));
    for (const step of plan.disk) this.carryOut(step);
    const published = this.publish(plan.publish, chaos.loseAck ?? false);
    return (
      resolved ||
      published ||
      this.diskWrites !== before ||
      plan.scope.length + plan.agree.length + plan.disk.length > 0
    );
  }

  // ── disk ──

  private carryOut(step: DiskStep): void {
    this.diskWrites += 1;
    switch (step.kind) {
      case 'apply':
        must(sameNode(localOf(this.disk.get(step.path)), step.row.local), `${step.path} is not as it was`);
        if (step.to?.kind !== 'directory' && this.isKept(step.path)) {
          if (step.to === null) this.outOfScope.set(step.path, 'directory-of-out-of-scope');
          else {
            this.setBase(step.path, { kind: 'directory' });
            this.blocked.add(step.path);
          }
          return;
        }
        this.write(step.path, step.to);
        if (step.to?.kind === 'file' && !sameEntry(step.to, liveEntry(step.row.remote)))
          for (const line of textOf(step.to.content.digest).split('\n')) this.mergedTags.add(line);
        this.setBase(step.path, liveEntry(step.row.remote));
        return;
      case 'applyMode': {
        const node = this.disk.get(step.path);
        must(node?.kind === 'file', `${step.path} is no file`);
        if (node?.kind === 'file') this.disk.set(step.path, { ...node, ...step.mode });
        this.setBase(step.path, agreedAfterMode(step.row));
        return;
      }
      case 'applyMove':
        this.rename(step.fromPath, step.toPath);
        moveKeys(this.base, step.fromPath, step.toPath);
        return;
      case 'merge':
        this.merge(step.path, step.row);
        return;
      case 'moveAside':
        this.rename(step.path, this.freeName(step.path, this.name));
        this.holds.delete(step.path);
        return;
    }
  }

  /** A directory in which there is something, and nothing in scope (rules IG3, IG4). */
  private isKept(path: RelPath): boolean {
    const below = [...this.disk.keys()].filter((other) => other.startsWith(`${path}/`));
    return below.length > 0 && below.every((other) => this.row(other).outOfScope !== null);
  }

  private merge(path: RelPath, row: Row): void {
    const remote = liveEntry(row.remote);
    must(
      row.base?.kind === 'file' && row.local?.kind === 'file' && remote?.kind === 'file',
      `${path}: not three files`,
    );
    if (row.base?.kind !== 'file' || row.local?.kind !== 'file' || remote?.kind !== 'file') return;
    const text = mergeLines({
      base: textOf(row.base.content.digest),
      ours: textOf(row.local.digest),
      theirs: textOf(remote.content.digest),
    });
    this.disk.set(path, { kind: 'file', text, ...modeOf(row.local) });
    for (const line of text.split('\n')) this.mergedTags.add(line);
    texts.set(digestOf(text), text);
    this.base.set(path, remote);
  }

  private write(path: RelPath, to: Entry | null): void {
    const under = [...this.disk.keys()].filter((other) => other.startsWith(`${path}/`));
    if (to?.kind !== 'directory') must(under.length === 0, `${path} is not empty: ${under.join(' ')}`);
    if (to === null) {
      this.disk.delete(path);
      return;
    }
    this.mustHaveParent(path);
    if (to.kind !== 'file') this.disk.set(path, to);
    else this.disk.set(path, { kind: 'file', text: textOf(to.content.digest), ...modeOf(to) });
  }

  rename(fromPath: RelPath, toPath: RelPath): void {
    must(this.disk.has(fromPath), `${fromPath} is absent`);
    must(!this.disk.has(toPath), `${toPath} is taken`);
    this.mustHaveParent(toPath);
    moveKeys(this.disk, fromPath, toPath);
  }

  private mustHaveParent(path: RelPath): void {
    const parent = parentPath(path);
    must(parent === undefined || this.disk.get(parent)?.kind === 'directory', `${path} has no directory to lie in`);
  }

  private freeName(path: RelPath, author: string): RelPath {
    for (let count = 1; ; count += 1) {
      const name = rel(`${path}.conflict-${author}${count === 1 ? '' : `-${count}`}`);
      if (!this.disk.has(name) && this.manifest.slot(name) === null) return name;
    }
  }

  // ── room ──

  private publish(steps: readonly PublishStep[], loseAck: boolean): boolean {
    const changes: Change[] = [];
    const outcome: { path: RelPath; entry: Entry | null }[] = [];
    const newHolds: { path: RelPath; entry: Entry }[] = [];
    for (const step of steps) this.draft(step, { changes, outcome, newHolds });
    // Judged anew and found the same: it stays open.
    const again = new Set(newHolds.map(({ path, entry }) => this.variantOf(path, entry)));
    this.toClose = this.toClose.map(({ path, variants }) => ({
      path,
      variants: variants.filter((id) => !again.has(id)),
    }));
    for (const { path, variants } of this.toClose) changes.push({ kind: 'resolve', path, variants });
    if (changes.length === 0) return false;
    const height = this.room.append(this.pulled, this.name, changes);
    if (height === undefined) {
      this.pull();
      return true;
    }
    this.toClose = [];
    for (const { path, entry } of newHolds) {
      this.conflicts += 1;
      this.holds.set(path, entry);
    }
    this.sent = { height, outcome };
    if (!loseAck) this.pull();
    return true;
  }

  private own({ outcome }: Sent): void {
    for (const { path, entry } of outcome) this.setBase(path, entry);
    this.sent = null;
  }

  /** A peer whose acknowledgement was lost does nothing before it has pulled. */
  get waitsForAck(): boolean {
    return this.sent !== null;
  }

  private draft(
    step: PublishStep,
    draft: {
      readonly changes: Change[];
      readonly outcome: { path: RelPath; entry: Entry | null }[];
      readonly newHolds: { path: RelPath; entry: Entry }[];
    },
  ): void {
    const { changes, outcome, newHolds } = draft;
    const { manifest } = this;
    switch (step.kind) {
      case 'publish': {
        const live = liveEntry(manifest.slot(step.path));
        if (step.local === null) {
          must(live !== null, `${step.path}: nothing to remove`);
          if (live !== null) changes.push({ kind: 'remove', path: step.path, replaces: entryTag(live, sha256) });
          outcome.push({ path: step.path, entry: null });
          return;
        }
        must(sameNode(localOf(this.disk.get(step.path)), step.local), `${step.path}: published, but not on disk`);
        const entry = entryOf(step.local);
        const replaces = live === null ? null : entryTag(live, sha256);
        changes.push({ kind: 'put', path: step.path, entry, mtimeMs: 0, replaces });
        outcome.push({ path: step.path, entry });
        return;
      }
      case 'publishMove': {
        const { fromPath, toPath, subtree } = step;
        changes.push({ kind: 'move', fromPath, toPath, subtree });
        const below = subtree ? [...manifest.slotsUnder(fromPath)].map(({ path }) => path) : [];
        for (const path of [fromPath, ...below]) {
          if (liveEntry(manifest.slot(path)) === null) continue;
          outcome.push({ path, entry: null });
          outcome.push({ path: rel(toPath + path.slice(fromPath.length)), entry: this.base.get(path) ?? null });
        }
        return;
      }
      case 'publishMoveAside':
        changes.push({ kind: 'move', fromPath: step.path, toPath: this.freeName(step.path, 'room'), subtree: false });
        return;
      case 'conflict': {
        must(step.row.local !== null, `${step.path}: no local content`);
        if (step.row.local === null) return;
        const entry = entryOf(step.row.local);
        changes.push({ kind: 'variant', path: step.path, entry, mtimeMs: 0, baseDigest: null });
        newHolds.push({ path: step.path, entry });
        return;
      }
    }
  }

  // ── conflicts ──

  private settleHolds(): boolean {
    let any = false;
    for (const [path, entry] of this.holds) {
      const row = this.row(path);
      const variants = this.manifest.variants(path);
      const ownVariant = this.variantOf(path, entry);
      const unchanged = sameLocal(row.local, entry, linuxTraits);
      if (!unchanged) {
        // Edited, or deleted, while it waited: judged anew.
        this.holds.delete(path);
        this.toClose.push({ path, variants: [ownVariant] });
        any = true;
        continue;
      }
      const open = variants.some(({ id }) => id === ownVariant);
      const remote = liveEntry(row.remote);
      const steps = open
        ? resolveByPolicy({ variants, ownVariant, remote, remoteMtimeMs: 0 }, this.options.policy ?? 'keep-both')
        : resolveAfterClose(true);
      for (const step of steps) this.resolve(path, step, remote);
      any ||= steps.length > 0;
    }
    return any;
  }

  private resolve(path: RelPath, step: ResolutionStep, remote: Entry | null): void {
    switch (step.kind) {
      case 'write-copy': {
        const name = this.freeName(path, step.variant.deviceName);
        this.write(name, step.variant.entry);
        return;
      }
      case 'take-remote':
        this.write(path, remote);
        this.setBase(path, remote);
        this.holds.delete(path);
        return;
      case 'take-variant':
        this.write(path, step.variant.entry);
        return;
      case 'publish-local':
        this.setBase(path, remote);
        this.holds.delete(path);
        return;
      case 'close':
        this.toClose.push({ path, variants: step.variants });
        return;
    }
  }

  private variantOf(path: RelPath, entry: Entry): VariantId {
    return variantIdOf({ path, device: deviceOf(this.name), entry }, sha256);
  }

  private setBase(path: RelPath, entry: Entry | null): void {
    if (entry === null) this.base.delete(path);
    else this.base.set(path, entry);
  }
}

export function localOf(node: Node | undefined): LocalEntry | null {
  if (node === undefined) return null;
  if (node.kind !== 'file') return node;
  const digest = digestOf(node.text);
  texts.set(digest, node.text);
  const { text, executable, private: isPrivate = false } = node;
  const fingerprint = digest as string as Fingerprint;
  const mode = { executable, private: isPrivate, openToOthers: !isPrivate };
  return { kind: 'file', digest, size: text.length, ...mode, mtimeMs: 0, fingerprint, racy: false };
}

export function entryOf(local: LocalEntry): Entry {
  if (local.kind !== 'file') return local;
  return file(textOf(local.digest), modeOf(local)) satisfies FileEntry;
}

function isAtRest(row: Row): boolean {
  const remote = liveEntry(row.remote);
  return sameLocal(row.local, row.base, linuxTraits) && sameLocal(row.local, remote, linuxTraits);
}

function sameNode(a: LocalEntry | null, b: LocalEntry | null): boolean {
  if (a === null || b === null) return a === b;
  if (a.kind === 'file') return b.kind === 'file' && a.digest === b.digest && sameMode(a, b);
  return a.kind === 'symlink' ? b.kind === 'symlink' && a.target === b.target : b.kind === 'directory';
}

function moveKeys<Value>(map: Map<RelPath, Value>, fromPath: RelPath, toPath: RelPath): void {
  for (const [path, value] of [...map]) {
    if (path !== fromPath && !path.startsWith(`${fromPath}/`)) continue;
    map.delete(path);
    map.set(rel(toPath + path.slice(fromPath.length)), value);
  }
}

/** Lines are unique tags: a set is enough to stand for a text merge. */
function mergeLines({ base, ours, theirs }: { base: string; ours: string; theirs: string }): string {
  const [baseLines, ourLines, theirLines] = [base, ours, theirs].map((text) => new Set(text.split('\n'))) as [
    Set<string>,
    Set<string>,
    Set<string>,
  ];
  const keeps = (line: string): boolean =>
    baseLines.has(line) ? ourLines.has(line) && theirLines.has(line) : ourLines.has(line) || theirLines.has(line);
  return [...new Set([...baseLines, ...ourLines, ...theirLines])].filter(keeps).sort().join('\n');
}

function must(condition: boolean, message: string): void {
  if (!condition) throw new Error(message);
}
