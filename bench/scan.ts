/**
 * The scan of a folder of small files: first, unchanged, one edit, and after the rename of its biggest directory. One JSON
 * line; `stallMsMax` is the longest time that timers waited. Usage: node bench/scan.ts [files]
 */
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { RelPath } from '@driftless/protocol';
import { createHolds } from '../engine/src/guards/holds.ts';
import { createMounts } from '../engine/src/guards/mounts.ts';
import { nodeClock } from '../engine/src/node/node-clock.ts';
import { createNodeFolder } from '../engine/src/node/node-folder.ts';
import { nodeHashing } from '../engine/src/node/node-hashing.ts';
import { openStateStore } from '../engine/src/node/sqlite-state-store.ts';
import { createPause } from '../engine/src/pause.ts';
import { createScanner, type ScanRequest } from '../engine/src/scan.ts';

const files = Number(process.argv[2] ?? 100_000);
const filesPerDirectory = 100;
const fileBytesMax = 1024 * 1024 * 1024;

const root = mkdtempSync(join(tmpdir(), 'driftless-bench-scan-'));
const home = mkdtempSync(join(tmpdir(), 'driftless-bench-home-'));
try {
  const text = 'a line of source code\n'.repeat(64);
  for (let index = 0; index < files; index += 1) {
    const directory = join(root, index < 5_000 ? 'big' : 'src', `module-${Math.floor(index / filesPerDirectory)}`);
    if (index % filesPerDirectory === 0) mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, `file-${index}.ts`), `${index}\n${text}`);
  }
  const store = openStateStore({ file: join(home, 'state.db'), holdsModes: true });
  let reads = 0;
  const hashing = {
    ...nodeHashing,
    createSha256: () => {
      reads += 1;
      return nodeHashing.createSha256();
    },
  };
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  // A minute ahead: the files just made count as settled.
  const clock = { ...nodeClock, nowMs: () => nodeClock.nowMs() + 60_000 };
  const folder = createNodeFolder(root);
  const mounts = createMounts({ dir: root, folder, store, holds: createHolds({ store, hashing, clock }) });
  const scanner = createScanner({
    folder,
    store,
    clock,
    hashing,
    log,
    fileBytesMax,
    isScopeConfirmed: () => false,
    pause: createPause(clock),
    mounts,
  });
  const delay = monitorEventLoopDelay({ resolution: 1 });
  const scan = async (paths: readonly ScanRequest[] | 'all') => {
    reads = 0;
    delay.reset();
    delay.enable();
    const startMs = performance.now();
    await scanner.scan({ paths, signal: new AbortController().signal });
    const ms = Math.round((performance.now() - startMs) * 100) / 100;
    delay.disable();
    return { ms, reads, stallMsMax: Math.round(delay.max / 1e4) / 100 };
  };
  const first = await scan('all');
  const unchanged = await scan('all');
  const edited = 'big/module-0/file-7.ts' as RelPath;
  writeFileSync(join(root, edited), 'edited');
  const edit = await scan([{ path: edited, deep: false }]);
  const edits: number[] = [];
  for (let round = 0; round < 20; round += 1) {
    writeFileSync(join(root, edited), `edited ${round}`);
    edits.push((await scan([{ path: edited, deep: false }])).ms);
  }
  const editMedianMs = edits.sort((a, b) => a - b)[10];
  renameSync(join(root, 'big'), join(root, 'moved'));
  const rename = await scan(['big', 'moved'].map((path) => ({ path: path as RelPath, deep: true })));

  const listStartMs = performance.now();
  for (const entry of readdirSync(root, { recursive: true, withFileTypes: true }))
    lstatSync(join(entry.parentPath, entry.name), { bigint: true });
  const listAndStatMs = Math.round(performance.now() - listStartMs);
  console.log(
    JSON.stringify({
      bench: 'scan',
      files,
      first,
      unchanged,
      listAndStatMs,
      edit,
      editMedianMs,
      rename,
      movedFiles: Math.min(files, 5_000),
    }),
  );
  store.close();
  await folder.close();
} finally {
  rmSync(root, { recursive: true, force: true });
  rmSync(home, { recursive: true, force: true });
}
