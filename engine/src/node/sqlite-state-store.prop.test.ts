/** Laws: the store against a naive model in memory, over random work (rules TREE, FAST3, RB3, IG2). */
import {
  comparePaths,
  type Digest,
  type Entry,
  type Head,
  noRecordId,
  type RecordId,
  type RelPath,
  type Slot,
  type VariantId,
} from '@driftless/protocol';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { liveEntry, sameEntry, sameLocal } from '../core/entry-encoding.ts';
import { linuxTraits } from '../core/folder-traits.ts';
import type { Fingerprint, LocalEntry } from '../core/local-entry.ts';
import { cutPages, emptyRoot, rootOf } from '../core/page-tree.ts';
import type { OutOfScopeReason, Row } from '../core/row.ts';
import type { StateStore } from '../ports/state-store.ts';
import { nodeHashing } from './node-hashing.ts';
import { openStateStore } from './sqlite-state-store.ts';

const { sha256 } = nodeHashing;
// Neighbours in bytewise order: '.' < '/' < '0', and an astral character after U+FFFD.
const paths = ['a', 'a/b', 'a/b/c', 'a/b/d', 'a/z', 'a.x', 'a0', 'a\u{1f600}', 'a\ufffd', 'b', 'b/c'] as RelPath[];
const digests = ['11', '22', '33'].map((pair) => pair.repeat(32) as Digest);

const path = fc.constantFrom(...paths);
const entry: fc.Arbitrary<Entry> = fc.oneof(
  fc
    .record({ digest: fc.constantFrom(...digests), executable: fc.boolean(), private: fc.boolean() })
    .map(({ digest, ...mode }): Entry => {
      const content = { digest, size: 5, epoch: 0, refs: { depth: 0, ids: [] } };
      return { kind: 'file', content, ...mode };
    }),
  fc.constant<Entry>({ kind: 'directory' }),
  fc.constantFrom('x', '../y').map((target): Entry => ({ kind: 'symlink', target })),
);
const slot: fc.Arbitrary<Slot | null> = fc.oneof(
  entry,
  fc.constant(null),
  fc
    .record({ digest: fc.constantFrom(null, ...digests), height: fc.nat(300) })
    .map((rest): Slot => ({ kind: 'tombstone', ...rest })),
);
const local: fc.Arbitrary<LocalEntry | null> = fc.oneof(
  fc.constant(null),
  fc.tuple(entry, fc.boolean(), fc.constantFrom('1.2.3.4', '1.2.9.4')).map(([of, racy, fingerprint]): LocalEntry => {
    if (of.kind !== 'file') return of;
    const { digest, size } = of.content;
    return {
      kind: 'file',
      digest,
      size,
      executable: of.executable,
      private: of.private,
      openToOthers: racy !== of.private,
      mtimeMs: 1.5,
      fingerprint: fingerprint as Fingerprint,
      racy,
    };
  }),
);
const reason = fc.constantFrom<OutOfScopeReason | null>(null, 'ignored', 'unreadable', 'too-large');

type Step =
  | { readonly kind: 'local'; readonly path: RelPath; readonly local: LocalEntry | null }
  | { readonly kind: 'base'; readonly path: RelPath; readonly base: Entry | null }
  | { readonly kind: 'scope'; readonly path: RelPath; readonly reason: OutOfScopeReason | null }
  | { readonly kind: 'hold' | 'problem'; readonly path: RelPath; readonly on: boolean }
  | { readonly kind: 'commit'; readonly updates: readonly { readonly path: RelPath; readonly slot: Slot | null }[] }
  | { readonly kind: 'move'; readonly from: RelPath; readonly to: RelPath }
  | { readonly kind: 'rollBack'; readonly records: number }
  | { readonly kind: 'load'; readonly updates: readonly { readonly path: RelPath; readonly slot: Slot | null }[] };

const updates = fc.uniqueArray(fc.record({ path, slot }), { maxLength: 5, selector: (update) => update.path });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('local' as const), path, local }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('base' as const), path, base: fc.option(entry) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('scope' as const), path, reason }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constantFrom('hold' as const, 'problem' as const), path, on: fc.boolean() }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('commit' as const), updates }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(['a', 'q'], ['b', 'a/q'], ['a/b', 'b/n']).map(([from, to]) => {
      return { kind: 'move' as const, from: from as RelPath, to: to as RelPath };
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('rollBack' as const), records: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('load' as const), updates }) },
);

interface Model {
  readonly rows: ReadonlyMap<RelPath, Row>;
  readonly heads: readonly { readonly head: Head | null; readonly rows: ReadonlyMap<RelPath, Row> }[];
}
const emptyRow = {
  base: null,
  remote: null,
  remoteMtimeMs: 0,
  local: null,
  outOfScope: null,
  hold: null,
  problem: null,
  declined: false,
};
const hold = { variant: 'ab'.repeat(8) as VariantId, choice: null };
const problem = { reason: 'full', attempts: 2, retryAtMs: 1_000 };

function withRow(rows: ReadonlyMap<RelPath, Row>, at: RelPath, changes: Partial<Row>): Map<RelPath, Row> {
  const next = new Map(rows);
  next.set(at, { ...emptyRow, path: at, ...rows.get(at), ...changes });
  return next;
}

const stateOf = (of: LocalEntry | null) =>
  of?.kind === 'file' ? { ...of, fingerprint: '', racy: false, mtimeMs: 0 } : of;

/** What the port says each step does. */
function modelStep(model: Model, work: Step): Model {
  const { rows } = model;
  const after = (next: ReadonlyMap<RelPath, Row>): Model => ({ ...model, rows: next });
  switch (work.kind) {
    case 'local': {
      const before = rows.get(work.path)?.local ?? null;
      const same = JSON.stringify(stateOf(before)) === JSON.stringify(stateOf(work.local));
      return after(withRow(rows, work.path, { local: work.local, ...(same ? {} : { problem: null }) }));
    }
    case 'base':
      return after(withRow(rows, work.path, { base: work.base }));
    case 'scope': {
      if ((rows.get(work.path)?.outOfScope ?? null) === work.reason) return model;
      const forgets = work.reason === 'ignored' ? { base: null } : {};
      return after(withRow(rows, work.path, { outOfScope: work.reason, local: null, problem: null, ...forgets }));
    }
    case 'hold':
      return after(withRow(rows, work.path, { hold: work.on ? hold : null }));
    case 'problem':
      return after(withRow(rows, work.path, { problem: work.on ? problem : null }));
    case 'move': {
      let next: ReadonlyMap<RelPath, Row> = rows;
      for (const row of rows.values()) {
        if (row.path !== work.from && !row.path.startsWith(`${work.from}/`)) continue;
        if (row.base === null && row.local === null && row.outOfScope === null) continue;
        const target = (work.to + row.path.slice(work.from.length)) as RelPath;
        next = withRow(next, row.path, { base: null, local: null, outOfScope: null, problem: null });
        next = withRow(next, target, { base: row.base, local: row.local, outOfScope: row.outOfScope, problem: null });
      }
      return after(next);
    }
    case 'commit': {
      const next = withSlots(rows, work.updates, 7);
      return { rows: next, heads: [...model.heads, { head: nextHead(model), rows: next }] };
    }
    case 'load': {
      const gone = [...rows.values()]
        .filter((row) => row.remote !== null)
        .map((row) => ({ path: row.path, slot: null }));
      const kept = work.updates.filter((update) => update.slot !== null);
      const fresh = gone.filter((update) => !kept.some((other) => other.path === update.path));
      const next = withSlots(rows, [...fresh, ...kept], 0);
      return {
        rows: next,
        heads: [{ head: { height: (headOf(model)?.height ?? 0) + 10, id: idOf(9_000) }, rows: next }],
      };
    }
    case 'rollBack': {
      const kept = model.heads.slice(0, Math.max(1, model.heads.length - work.records));
      const common = kept.at(-1);
      if (common === undefined || kept.length === model.heads.length) return model;
      const updatesBack = model.heads.slice(kept.length).flatMap(({ rows: then }) => [...then.keys()]);
      const slots = [...new Set(updatesBack)].map((at) => common.rows.get(at) ?? { ...emptyRow, path: at });
      let next: ReadonlyMap<RelPath, Row> = rows;
      for (const row of slots) {
        const same = JSON.stringify(rows.get(row.path)?.remote ?? null) === JSON.stringify(row.remote);
        const { remote, remoteMtimeMs } = row;
        next = withRow(next, row.path, { remote, remoteMtimeMs, ...(same ? {} : { problem: null }) });
      }
      return { rows: next, heads: kept };
    }
  }
}

function withSlots(
  rows: ReadonlyMap<RelPath, Row>,
  of: readonly { readonly path: RelPath; readonly slot: Slot | null }[],
  mtimeMs: number,
) {
  let next = rows;
  for (const { path: at, slot: to } of of) {
    const same = JSON.stringify(rows.get(at)?.remote ?? null) === JSON.stringify(to);
    const remoteMtimeMs = to === null ? 0 : mtimeMs;
    next = withRow(next, at, { remote: to, remoteMtimeMs, ...(same ? {} : { problem: null }) });
  }
  return next;
}

const headOf = (model: Model): Head | null => model.heads.at(-1)?.head ?? null;
const idOf = (height: number): RecordId => height.toString(16).padStart(64, '0') as RecordId;
/** Each record has an id of its own, also when an earlier one was rolled back. */
let recordsMade = 0;
function nextHead(model: Model): Head {
  recordsMade += 1;
  return { height: (headOf(model)?.height ?? 0) + 1, id: idOf(10_000 + recordsMade) };
}

function storeStep(store: StateStore, work: Step, before: Model, after: Model): void {
  switch (work.kind) {
    case 'local':
      return store.setLocal(work.path, work.local);
    case 'base':
      return store.setBase(work.path, work.base);
    case 'scope':
      return store.setOutOfScope(work.path, work.reason);
    case 'hold':
      return store.setHold(work.path, work.on ? hold : null);
    case 'problem':
      return store.setProblem(work.path, work.on ? problem : null);
    case 'move':
      return store.moveLocalAndBase(work.from, work.to);
    case 'commit': {
      const head = headOf(after);
      if (head === null) throw new Error('no head');
      const change = {
        updates: [...work.updates].sort((a, b) => comparePaths(a.path, b.path)),
        variantsOpened: [],
        variantsClosed: [],
      };
      const bytes = new Uint8Array(3);
      const prev = headOf(before)?.id ?? noRecordId;
      const root = store.rootAfter(change);
      const meta = {
        head,
        prev,
        root,
        device: '',
        deviceName: '',
        timeMs: 0,
        label: '',
        massDeletion: 'none' as const,
        changes: 1,
        own: false,
      };
      const record = { header: bytes, body: bytes, writerSignature: bytes };
      const mtimes = new Map(work.updates.map((update) => [update.path, 7]));
      return store.commitRecord({ meta, record, ...change, mtimes, bytes: 6 });
    }
    case 'load': {
      const head = headOf(after);
      if (head === null) throw new Error('no head');
      return store.loadManifest({ head, root: modelRoot(after), slots: work.updates, variants: [] });
    }
    case 'rollBack':
      expect(store.rollBackTo(headOf(after) ?? { height: 0, id: noRecordId })).not.toBe(false);
  }
}

const inOrder = (rows: Iterable<Row>): Row[] => [...rows].sort((a, b) => comparePaths(a.path, b.path));
const isPresent = (row: Row) => row.base ?? row.remote ?? row.local ?? row.outOfScope ?? row.hold ?? row.problem;
const isPending = (row: Row) =>
  row.outOfScope === null &&
  row.hold === null &&
  (!sameLocal(row.local, row.base, linuxTraits) || !sameEntry(row.base, liveEntry(row.remote)));

function modelRoot(model: Model) {
  const slots = inOrder(model.rows.values()).flatMap((row) =>
    row.remote === null ? [] : [{ path: row.path, slot: row.remote, variants: [] }],
  );
  return rootOf(
    [...cutPages(slots, sha256)].map(({ page }) => page),
    sha256,
  );
}

function expectEqual(store: StateStore, model: Model): void {
  const rows = inOrder(model.rows.values()).filter((row) => isPresent(row) !== null);
  const present = rows.filter((row) => row.outOfScope === null && row.local !== null);
  expect(store.rowsFrom('', 1_000)).toEqual(rows);
  expect(store.counts()).toEqual({
    files: present.filter((row) => row.local?.kind === 'file').length,
    entries: present.length,
    pending: rows.filter((row) => isPending(row) || (row.outOfScope !== null && row.problem !== null)).length,
    held: rows.filter((row) => row.hold !== null).length,
    outOfScope: rows.filter((row) => row.outOfScope !== null).length,
  });
  const due = rows.filter((row) => isPending(row) && row.problem === null);
  expect(store.pendingRows({ limit: 1_000, nowMs: 999 })).toEqual(due);
  expect(store.pendingRows({ limit: 1_000, nowMs: 1_000 })).toEqual(rows.filter(isPending));
  const lost = rows.filter((row) => isPending(row) && row.base?.kind === 'file');
  const byPath = <T extends { readonly path: string }>(facts: readonly T[]): T[] =>
    [...facts].sort((a, b) => (a.path < b.path ? -1 : 1));
  const factOf = ({ path, base }: Row) => ({ path, digest: base?.kind === 'file' ? base.content.digest : '' });
  expect(byPath(store.lostFiles({ side: 'local', limit: 1_000 }))).toEqual(
    byPath(lost.filter((row) => row.local === null && sameEntry(liveEntry(row.remote), row.base)).map(factOf)),
  );
  const isAsAgreed = ({ local, base }: Row): boolean =>
    local?.kind === 'file' && base?.kind === 'file' && local.digest === base.content.digest;
  expect(byPath(store.lostFiles({ side: 'remote', limit: 1_000 }))).toEqual(
    byPath(lost.filter((row) => liveEntry(row.remote) === null && isAsAgreed(row)).map(factOf)),
  );
  expect(store.unagreedFiles()).toBe(
    rows.filter((row) => isPending(row) && row.local?.kind === 'file' && row.base?.kind !== 'file').length,
  );
  expect(store.heldRows()).toEqual(rows.filter((row) => row.hold !== null));
  expect(store.outOfScopeRows(1_000)).toEqual(rows.filter((row) => row.outOfScope !== null));
  expect(store.outOfScopeRows(1_000, ['ignored'])).toEqual(
    rows.filter((row) => row.outOfScope !== null && row.outOfScope !== 'ignored'),
  );
  expect(Object.fromEntries(store.outOfScopeCounts())).toEqual(
    Object.fromEntries(
      [...Map.groupBy(rows, (row) => row.outOfScope)].flatMap(([reason, { length }]) =>
        reason === null ? [] : [[reason, length]],
      ),
    ),
  );
  expect(store.outOfScopePaths()).toEqual(rows.filter((row) => row.outOfScope !== null).map(({ path }) => path));
  expect(store.outOfScopePaths('ignored')).toEqual(
    rows.filter((row) => row.outOfScope === 'ignored').map(({ path }) => path),
  );
  expect(store.problemRows(1_000)).toEqual(rows.filter((row) => row.problem !== null));
  for (const directory of ['', 'a', 'a/b'] as const) {
    const prefix = directory === '' ? '' : `${directory}/`;
    const below = rows.filter((row) => row.path.startsWith(prefix));
    const children = below.filter(
      (row) => !row.path.slice(prefix.length).includes('/') && (row.local !== null || row.outOfScope !== null),
    );
    expect(store.localChildren(directory as RelPath | '')).toEqual(children);
    if (directory !== '') expect([...store.rowsUnder(directory as RelPath)]).toEqual(below);
  }
  for (const digest of digests) {
    const holders = present.filter((row) => row.local?.kind === 'file' && row.local.digest === digest);
    expect(store.localFilesByDigest(digest, 1_000)).toEqual(holders);
    const known = rows.filter((row) => {
      const remote = liveEntry(row.remote);
      return remote?.kind === 'file' && remote.content.digest === digest;
    });
    expect(store.contentByDigest(digest)?.digest).toBe(known.length > 0 ? digest : undefined);
    const comes = known.some(({ outOfScope }) => [null, 'unreadable', 'unmounted'].includes(outOfScope));
    expect(store.contentByDigest(digest, { toReceive: true })?.digest).toBe(comes ? digest : undefined);
  }
  expect(store.head()).toEqual(headOf(model));
  expect(store.root()).toBe(modelRoot(model));
}

test('the store does what the model does, step by step (TREE, FAST3, RB3)', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 25 }), (steps) => {
      const store = openStateStore({ file: ':memory:', holdsModes: true });
      let model: Model = { rows: new Map(), heads: [{ head: null, rows: new Map() }] };
      expect(store.root()).toBe(emptyRoot(sha256));
      for (const work of steps) {
        const next = modelStep(model, work);
        storeStep(store, work, model, next);
        expectEqual(store, next);
        model = next;
      }
      store.close();
    }),
    { seed: 20_261_121, numRuns: 150 },
  );
});

test('a transaction that throws leaves no trace, in the database or in memory', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 8 }), fc.array(step, { minLength: 1, maxLength: 8 }), (kept, lost) => {
      const store = openStateStore({ file: ':memory:', holdsModes: true });
      let model: Model = { rows: new Map(), heads: [{ head: null, rows: new Map() }] };
      const run = (work: Step): void => {
        const next = modelStep(model, work);
        storeStep(store, work, model, next);
        model = next;
      };
      for (const work of kept) run(work);
      const before = model;
      const boom = new Error('boom');
      expect(() =>
        store.transaction(() => {
          for (const work of lost) run(work);
          throw boom;
        }),
      ).toThrow(boom);
      expectEqual(store, before);
      store.close();
    }),
    { seed: 20_261_121, numRuns: 80 },
  );
});
