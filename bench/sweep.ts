/**
 * What the sweep costs: processor time a file, of a first sweep after a start and of later ones, the share of a core that this is
 * over the sweep's period, and the longest time for which timers waited. The waits of the sweep are skipped. One JSON line.
 * Usage: node bench/sweep.ts [files]
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { sweepPeriodMs } from '../engine/src/core/pacing/sweep-period.ts';
import { createHolds } from '../engine/src/guards/holds.ts';
import { createMounts } from '../engine/src/guards/mounts.ts';
import { nodeClock } from '../engine/src/node/node-clock.ts';
import { createNodeFolder } from '../engine/src/node/node-folder.ts';
import { nodeHashing } from '../engine/src/node/node-hashing.ts';
import { openStateStore } from '../engine/src/node/sqlite-state-store.ts';
import { createPause } from '../engine/src/pause.ts';
import type { Clock } from '../engine/src/ports/clock.ts';
import { createSweep } from '../engine/src/scan/sweep.ts';
import { createScanner } from '../engine/src/scan.ts';
import { makeTree, report, sizeArgument } from './folder-tree.ts';

const files = sizeArgument(20_000);
const sweeps = 6;
const fileBytesMax = 1024 ** 3;
const tree = makeTree(files);
const home = mkdtempSync(join(tmpdir(), 'driftless-bench-home-'));
try {
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  const store = openStateStore({ file: join(home, 'state.db'), holdsModes: true });
  const folder = createNodeFolder(tree.rootPath);
  // A minute ahead: the files just made count as settled.
  const scanClock = { ...nodeClock, nowMs: () => nodeClock.nowMs() + 60_000 };
  const scanner = createScanner({
    folder,
    store,
    clock: scanClock,
    hashing: nodeHashing,
    log,
    fileBytesMax,
    isScopeConfirmed: () => false,
    pause: createPause(nodeClock),
    mounts: createMounts({
      dir: tree.rootPath,
      folder,
      store,
      holds: createHolds({ store, hashing: nodeHashing, clock: scanClock }),
    }),
    sights: {
      listed: (directory, listed) => sweep.listed(directory, listed),
      uncertain: (path) => sweep.uncertain(path),
      recorded: (path, file) => sweep.recorded(path, file),
    },
  });
  const closing = new AbortController();

  /** Waits end at once, and count as time that passed. */
  let skippedMs = 0;
  const clock: Clock = {
    nowMs: () => scanClock.nowMs() + skippedMs,
    monotonicMs: () => nodeClock.monotonicMs() + skippedMs,
    after(delayMs, action) {
      countSweep();
      skippedMs += delayMs;
      return nodeClock.after(0, action);
    },
  };
  let lookedAtMs: number | null = null;
  const countSweep = (): void => {
    if (sweep.lookedAtMs() === lookedAtMs) return;
    lookedAtMs = sweep.lookedAtMs();
    costs.push(cpuMs() - lastCpuMs);
    lastCpuMs = cpuMs();
    if (costs.length === sweeps) closing.abort();
  };
  const cpuMs = (): number => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1_000;
  };
  const costs: number[] = [];
  let hints = 0;
  let lastCpuMs = 0;
  const delay = monitorEventLoopDelay({ resolution: 1 });
  const sweep = createSweep({
    folder,
    store,
    clock,
    log,
    pause: createPause(nodeClock),
    watcher: {
      watch: () => {},
      isWatched: () => true,
      unwatched: () => ({ everything: null, places: new Map() }),
    },
    fileBytesMax,
    signal: closing.signal,
    mayRun: () => true,
    rulesChanged: scanner.rulesChanged,
    isWaiting: () => false,
    hint: () => {
      hints += 1;
    },
    onLoss: () => {
      hints += 1;
    },
  });
  await scanner.scan({ paths: 'all', signal: closing.signal });
  delay.enable();
  lastCpuMs = cpuMs();
  await sweep.run();
  const [first = 0, ...later] = costs;
  const mean = later.reduce((sum, cost) => sum + cost, 0) / later.length;
  const periodMs = sweepPeriodMs(files);
  report({
    bench: 'sweep',
    files,
    periodMs,
    firstUsPerFile: Math.round((first * 1e4) / files) / 10,
    laterUsPerFile: Math.round((mean * 1e4) / files) / 10,
    firstPercentOfCore: Math.round((first * 1e5) / periodMs) / 1e3,
    laterPercentOfCore: Math.round((mean * 1e5) / periodMs) / 1e3,
    stallMsMax: Math.round(delay.max / 1e4) / 100,
    hints,
  });
  store.close();
} finally {
  tree.remove();
  rmSync(home, { recursive: true, force: true });
}
