/** Mount points as Linux lists them, and a bind mount that only the list tells of. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parseMountPoints } from './mount-points.ts';

test('the fifth field of each line, unescaped', () => {
  const text = [
    '22 28 0:21 / /sys rw,nosuid shared:7 - sysfs sysfs rw',
    '99 28 8:1 /data /srv/data/with\\040space\\134 rw - ext4 /dev/sda1 rw',
    '',
  ].join('\n');
  expect(parseMountPoints(text)).toEqual(['/sys', '/srv/data/with space\\']);
  expect(parseMountPoints('nonsense\n\n')).toEqual([]);
});

const mayMount = process.platform === 'linux' && spawnSync('unshare', ['-m', 'true']).status === 0;

test.runIf(mayMount)('a bind mount of the same file system is a boundary while it is there', () => {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'driftless-mounts-')));
  for (const name of ['from', 'folder', 'folder/at']) mkdirSync(join(root, name));
  const look = `
    import { execFileSync } from 'node:child_process';
    import { createNodeFolder } from ${JSON.stringify(new URL('./node-folder.ts', import.meta.url).href)};
    import { diskAt } from ${JSON.stringify(new URL('../guards/mounts.ts', import.meta.url).href)};
    const root = process.argv[1];
    const folder = createNodeFolder(root + '/folder');
    const look = async () => console.log((await diskAt(folder, 'at')) !== null);
    await look();
    execFileSync('mount', ['--bind', root + '/from', root + '/folder/at']);
    await look();
    execFileSync('umount', [root + '/folder/at']);
    await look();
  `;
  try {
    const out = execFileSync('unshare', ['-m', process.execPath, '--input-type=module', '-e', look, root], {
      encoding: 'utf8',
    });
    expect(out.trim().split('\n')).toEqual(['false', 'true', 'false']);
  } finally {
    rmSync(root, { recursive: true });
  }
});

test.runIf(mayMount).each(['tmpfs', 'bind'])(
  'a mount point (%s) is neither removed nor renamed, and said to be one',
  (kind) => {
    const root = realpathSync(mkdtempSync(join(tmpdir(), 'driftless-mounts-')));
    for (const name of ['from', 'folder', 'folder/at']) mkdirSync(join(root, name));
    const look = `
    import { execFileSync } from 'node:child_process';
    import { createNodeFolder } from ${JSON.stringify(new URL('./node-folder.ts', import.meta.url).href)};
    const [, root, kind] = process.argv;
    const mount = kind === 'bind' ? ['--bind', root + '/from'] : ['-t', 'tmpfs', 'none'];
    execFileSync('mount', [...mount, root + '/folder/at']);
    const folder = createNodeFolder(root + '/folder');
    const removed = await folder.removeDirectory('at');
    const renamed = await folder.rename({
      fromPath: 'at', toPath: 'to', asideName: 'a', expected: { kind: 'directory' },
    });
    console.log(JSON.stringify([removed, renamed.code, await folder.stat('to')]));
  `;
    try {
      const out = execFileSync('unshare', ['-m', process.execPath, '--input-type=module', '-e', look, root, kind], {
        encoding: 'utf8',
      });
      expect(JSON.parse(out)).toEqual([{ kind: 'not-empty', isMountPoint: true }, 'EBUSY', null]);
    } finally {
      rmSync(root, { recursive: true });
    }
  },
);

test.runIf(mayMount)(
  'what lies aside on a disk goes along when a directory above the disk is renamed, and stays ours',
  () => {
    const root = realpathSync(mkdtempSync(join(tmpdir(), 'driftless-mounts-')));
    for (const name of ['media', 'media/disk']) mkdirSync(join(root, name));
    const look = `
    import { execFileSync } from 'node:child_process';
    import { renameSync, writeFileSync } from 'node:fs';
    import { createNodeFolder } from ${JSON.stringify(new URL('./node-folder.ts', import.meta.url).href)};
    import { fingerprintOf } from ${JSON.stringify(new URL('../core/fingerprint.ts', import.meta.url).href)};
    const root = process.argv[1];
    execFileSync('mount', ['-t', 'tmpfs', 'none', root + '/media/disk']);
    writeFileSync(root + '/media/disk/file', 'bytes');
    const folder = createNodeFolder(root);
    await folder.initialise('marker');
    const expected = { kind: 'file', fingerprint: fingerprintOf(await folder.stat('media/disk/file')) };
    const removed = await folder.removeFile({ path: 'media/disk/file', asideName: 'aside', expected });
    renameSync(root + '/media', root + '/m');
    const before = await folder.statTrash('aside');
    const listed = await folder.list('m/disk');
    const restored = await folder.restoreTrash({ name: 'aside', path: 'm/disk/back' });
    console.log(JSON.stringify([removed.kind, before.code, listed.entries.length, restored.kind]));
  `;
    try {
      const out = execFileSync('unshare', ['-m', process.execPath, '--input-type=module', '-e', look, root], {
        encoding: 'utf8',
      });
      expect(JSON.parse(out)).toEqual(['done', 'disk-away', 0, 'done']);
    } finally {
      rmSync(root, { recursive: true });
    }
  },
);
