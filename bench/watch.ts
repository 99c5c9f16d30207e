/**
 * What watching costs: start, memory, and the time from a write to its hint.
 * `node bench/watch.ts [files, default 100000] [directories | chokidar | both]`; one JSON line a measurement. Each backend runs in a
 * process of its own, so that memory is its own.
 */
import { spawnSync } from 'node:child_process';
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { nodeClock } from '../engine/src/node/node-clock.ts';
import { createNodeWatcher, type WatchBackendName } from '../engine/src/node/watch/node-watcher.ts';
import { followWatches } from '../engine/src/testing/follow-watches.ts';
import { makeTree, quantile, report, sizeArgument } from './folder-tree.ts';

const latencySamples = 200;
const burstFiles = 5_000;
const newTreeTries = 30;
/** A hint that has not come by then is missed. */
const missedAfterMs = 2_000;
const burstMissedAfterMs = 20_000;

const files = sizeArgument(100_000);
const wanted = process.argv[3] ?? 'both';
if (wanted === 'directories' || wanted === 'chokidar') await measure(wanted);
else {
  for (const backend of ['directories', 'chokidar']) {
    const { status } = spawnSync(process.execPath, [import.meta.filename, String(files), backend], {
      stdio: 'inherit',
    });
    if (status !== 0) process.exitCode = 1;
  }
}

async function measure(backend: WatchBackendName): Promise<void> {
  const tree = makeTree(files);
  const rssBefore = process.memoryUsage.rss();
  let onHint: (path: string, deep: boolean) => void = () => {};
  const reasons: string[] = [];
  const watcher = createNodeWatcher({
    rootPath: tree.rootPath,
    clock: nodeClock,
    log: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
    backend,
  });
  const followed = { rootPath: tree.rootPath, isIgnored: () => false };
  const startMs = performance.now();
  await watcher.start({
    isIgnoredDirectory: () => false,
    onHint: (hint) => {
      onHint(hint.path, hint.deep);
      for (const path of followWatches(watcher, followed, hint)) onHint(path, false);
    },
    onLoss: (reason) => reasons.push(reason),
    onCoverage: () => {},
  });
  followWatches(watcher, followed, { path: '', deep: true });
  const readyMs = performance.now() - startMs;
  const rssMiB = (process.memoryUsage.rss() - rssBefore) / 2 ** 20;
  report({
    bench: 'watch.start',
    backend,
    files,
    directories: tree.directories.length,
    readyMs: Math.round(readyMs),
    rssMiB: Math.round(rssMiB),
    unwatched: watcher.unwatched().places.size,
    losses: reasons.length,
  });

  /** Resolves with the time that passed, or with undefined when no fitting hint comes. */
  const heard = (
    fits: (path: string, deep: boolean) => boolean,
    act: () => void,
    waitMs = missedAfterMs,
  ): Promise<number | undefined> =>
    new Promise((resolve) => {
      const from = performance.now();
      const timer = setTimeout(() => resolve(undefined), waitMs);
      onHint = (path, deep) => {
        if (!fits(path, deep)) return;
        clearTimeout(timer);
        resolve(performance.now() - from);
      };
      act();
    });

  const latencies: number[] = [];
  for (let index = 0; index < latencySamples; index++) {
    const path = [tree.directories[(index * 7_919) % tree.directories.length], 'file-0.ts'].filter(Boolean).join('/');
    const ms = await heard(
      (hinted) => hinted === path,
      () => appendFileSync(join(tree.rootPath, path), '// more\n'),
    );
    if (ms !== undefined) latencies.push(ms);
  }
  report({
    bench: 'watch.latency',
    backend,
    files,
    samples: latencySamples,
    missed: latencySamples - latencies.length,
    p50Ms: round(quantile(latencies, 0.5)),
    p95Ms: round(quantile(latencies, 0.95)),
  });

  const missing = new Set(Array.from({ length: burstFiles }, (_, index) => `burst-${index}`));
  const burstMs = await heard(
    (path) => missing.delete(path) && missing.size === 0,
    () => {
      for (const name of missing) writeFileSync(join(tree.rootPath, name), 'x');
    },
    burstMissedAfterMs,
  );
  report({
    bench: 'watch.burst',
    backend,
    files: burstFiles,
    missed: missing.size,
    ms: Math.round(burstMs ?? burstMissedAfterMs),
  });

  let found = 0;
  for (let index = 0; index < newTreeTries; index++) {
    const directory = `new-${index}/a/b/c`;
    const ms = await heard(
      (path, deep) =>
        path === directory || path === `${directory}/file` || (deep && `${directory}/`.startsWith(`${path}/`)),
      () => {
        mkdirSync(join(tree.rootPath, directory), { recursive: true });
        writeFileSync(join(tree.rootPath, directory, 'file'), 'x');
      },
    );
    if (ms !== undefined) found += 1;
  }
  report({ bench: 'watch.newDirectories', backend, tries: newTreeTries, found });

  await watcher.close();
  tree.remove();
}

function round(ms: number): number {
  return Math.round(ms * 100) / 100;
}
