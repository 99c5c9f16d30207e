/**
 * What the folder costs: listing and stat of a whole tree, and applying small files.
 * `node bench/folder.ts [files, default 100000]`; one JSON line a measurement.
 */
import type { RelPath } from '@driftless/protocol';
import { createNodeFolder } from '../engine/src/node/node-folder.ts';
import { makeTree, report, sizeArgument } from './folder-tree.ts';

const files = sizeArgument(100_000);
const applied = Math.min(files, 2_000);
const tree = makeTree(files);
try {
  const folder = createNodeFolder(tree.rootPath);
  await folder.initialise('bench');

  for (const cache of ['first', 'warm'] as const) {
    const startMs = performance.now();
    let entries = 0;
    for (const directory of tree.directories) {
      const listed = await folder.list(directory as RelPath | '');
      if (listed.kind === 'listed') entries += listed.entries.length;
    }
    const ms = performance.now() - startMs;
    report({
      bench: 'folder.list',
      cache,
      entries,
      directories: tree.directories.length,
      ms: Math.round(ms),
      entriesPerSecond: Math.round((entries / ms) * 1_000),
    });
  }

  for (const flush of [false, true]) {
    const count = flush ? Math.min(applied, 200) : applied;
    const startMs = performance.now();
    for (let index = 0; index < count; index++) {
      const path = `applied-${flush ? 'flushed' : 'plain'}/dir-${index % 20}/file-${index}` as RelPath;
      const writer = await folder.stage({ name: `s${index}`, near: path });
      await writer.write(new TextEncoder().encode(`content ${index}\n`));
      await writer.commit({ flush });
      const outcome = await folder.swapIn({
        path,
        stagedName: `s${index}`,
        asideName: `a${index}`,
        expected: null,
        dress: { mode: { executable: false, private: false }, wasPrivate: false },
      });
      if (outcome.kind !== 'done') throw new Error(`not applied: ${outcome.kind}`);
    }
    if (flush) await folder.flushDirectories();
    const ms = performance.now() - startMs;
    report({
      bench: 'folder.apply',
      flush: String(flush),
      files: count,
      ms: Math.round(ms),
      usPerFile: Math.round((ms * 1_000) / count),
    });
  }
} finally {
  tree.remove();
}
