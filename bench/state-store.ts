/**
 * The state store at 1,000 and at 100,000 rows: one JSON line, milliseconds. What an edit costs must not grow with the
 * folder (rule FAST3): the ratios are the measurement, the times depend on the machine.
 */
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Digest, RecordId, RelPath, Slot } from '@driftless/protocol';
import { comparePaths, noRecordId } from '@driftless/protocol';
import type { Fingerprint } from '../engine/src/core/local-entry.ts';
import { openStateStore } from '../engine/src/node/sqlite-state-store.ts';
import type { StateStore } from '../engine/src/ports/state-store.ts';

const filesPerDirectory = 50;

function pathsOf(count: number): RelPath[] {
  const paths: RelPath[] = [];
  for (let index = 0; index < count; index += 1)
    paths.push(`src/module-${Math.floor(index / filesPerDirectory)}/component-${index}.ts` as RelPath);
  return paths.sort(comparePaths);
}

function digestOf(number: number): Digest {
  // Spread over the whole range, as digests are.
  return (Math.imul(number + 1, 0x9e3779b1) >>> 0).toString(16).padStart(8, '0').repeat(8) as Digest;
}

function slotOf(number: number): Slot {
  const digest = digestOf(number);
  return {
    kind: 'file',
    executable: false,
    private: false,
    content: { digest, size: 1_400, epoch: 0, refs: { depth: 0, ids: [digest as never] } },
  };
}

function commit(store: StateStore, updates: readonly { readonly path: RelPath; readonly slot: Slot }[]): void {
  const head = store.head();
  const height = (head?.height ?? 0) + 1;
  const change = { updates, variantsOpened: [], variantsClosed: [] };
  const root = store.rootAfter(change);
  const next = { height, id: height.toString(16).padStart(64, '0') as RecordId };
  const meta = {
    head: next,
    prev: head?.id ?? noRecordId,
    root,
    device: 'd',
    deviceName: 'n',
    timeMs: 0,
    label: '',
    massDeletion: 'none' as const,
    changes: updates.length,
    own: true,
  };
  const record = { header: new Uint8Array(400), body: new Uint8Array(200), writerSignature: new Uint8Array(64) };
  store.commitRecord({ meta, record, ...change, mtimes: new Map(), bytes: 664 });
}

function median(work: (index: number) => void, times: number): number {
  const taken: number[] = [];
  for (let index = 0; index < times; index += 1) {
    const startMs = performance.now();
    work(index);
    taken.push(performance.now() - startMs);
  }
  return taken.sort((a, b) => a - b)[Math.floor(times / 2)] ?? 0;
}

function measure(rows: number): Record<string, number> {
  const directory = mkdtempSync(join(tmpdir(), 'driftless-bench-'));
  const file = join(directory, 'state.db');
  let store = openStateStore({ file, holdsModes: true });
  const paths = pathsOf(rows);
  const fingerprint = '1400.1700000000000000000.1700000000000000000.123456' as Fingerprint;
  const setLocal = (path: RelPath, number: number): void =>
    store.setLocal(path, {
      kind: 'file',
      digest: digestOf(number),
      size: 1_400,
      executable: false,
      private: false,
      openToOthers: true,
      mtimeMs: 1,
      fingerprint,
      racy: false,
    });
  try {
    const scanStartMs = performance.now();
    for (let start = 0; start < rows; start += 256)
      store.transaction(() => {
        for (const [index, path] of paths.slice(start, start + 256).entries()) setLocal(path, start + index);
      });
    const firstScanMs = performance.now() - scanStartMs;

    const commitStartMs = performance.now();
    const batch = Math.min(2_000, rows);
    for (let start = 0; start < rows; start += batch)
      store.transaction(() => {
        const updates = paths.slice(start, start + batch).map((path, index) => ({ path, slot: slotOf(start + index) }));
        commit(store, updates);
        for (const { path, slot } of updates) if (slot.kind !== 'tombstone') store.setBase(path, slot);
      });
    const firstShareMs = performance.now() - commitStartMs;

    let number = 10_000_000;
    const pathAt = (index: number): RelPath => paths[Math.imul(index, 7_919) % rows] ?? ('x' as RelPath);
    const editMs = median((index) => {
      const path = pathAt(index);
      number += 1;
      setLocal(path, number);
      store.pendingRows({ limit: 50_000, nowMs: 0 });
      store.transaction(() => {
        commit(store, [{ path, slot: slotOf(number) }]);
        store.setBase(path, slotOf(number) as never);
      });
    }, 300);
    const editAgainMs = median((index) => {
      number += 1;
      setLocal(pathAt(index % 5), number);
      commit(store, [{ path: pathAt(index % 5), slot: slotOf(number) }]);
      store.setBase(pathAt(index % 5), slotOf(number) as never);
    }, 300);
    const setLocalMs = median((index) => setLocal(pathAt(index), number), 300);
    const rowMs = median((index) => store.row(pathAt(index)), 300);
    const childrenMs = median(
      (index) => store.localChildren(`src/module-${index % (rows / filesPerDirectory)}` as RelPath),
      20,
    );
    const commit2000Ms = median((round) => {
      const start = Math.imul(round, 30_011) % Math.max(1, rows - 2_000);
      const updates = paths
        .slice(start, start + 2_000)
        .map((path, index) => ({ path, slot: slotOf(20_000_000 + round * 2_000 + index) }));
      commit(store, updates);
    }, 7);
    store.flush();
    store.close();
    const openStartMs = performance.now();
    store = openStateStore({ file, holdsModes: true });
    const openMs = performance.now() - openStartMs;
    return {
      rows,
      firstScanMs,
      firstShareMs,
      editMs,
      editAgainMs,
      setLocalMs,
      rowMs,
      childrenMs,
      commit2000Ms,
      openMs,
      fileMiB: statSync(file).size / 1024 / 1024,
    };
  } finally {
    store.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

const small = measure(1_000);
const large = measure(100_000);
const rounded = (values: Record<string, number>) =>
  Object.fromEntries(Object.entries(values).map(([key, value]) => [key, Number(value.toFixed(4))]));
const ratio = (key: string) => Number(((large[key] ?? 0) / (small[key] ?? 1)).toFixed(2));
const ratios = Object.fromEntries(
  ['editMs', 'editAgainMs', 'setLocalMs', 'rowMs', 'childrenMs'].map((key) => [key, ratio(key)]),
);
console.log(JSON.stringify({ bench: 'state-store', small: rounded(small), large: rounded(large), ratios }));
