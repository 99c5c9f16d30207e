/** Makes `extension/driftless-<version>.vsix`: one file for every platform. `npm run package` at the root. */
import { copyFile, cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { createVSIX } from '@vscode/vsce';
import { buildExtension } from './build.ts';

const extensionFolder = path.join(path.dirname(fileURLToPath(import.meta.url)), '..');
const sources = ['package.json', 'README.md', '.vscodeignore', 'media', '../LICENSE'];

/**
 * Answers where the package lies. It is made in a folder of its own: several may be made at once, and none takes `dist/` from
 * under an editor that runs from it.
 */
export async function packageExtension(into = extensionFolder): Promise<string> {
  const staging = await mkdtemp(path.join(tmpdir(), 'driftless-package-'));
  try {
    for (const source of sources)
      await cp(path.join(extensionFolder, source), path.join(staging, path.basename(source)), { recursive: true });
    await buildExtension(path.join(staging, 'dist'));
    const { version } = JSON.parse(await readFile(path.join(extensionFolder, 'package.json'), 'utf8')) as {
      readonly version: string;
    };
    const name = `driftless-${version}.vsix`;
    const unfinished = path.join(staging, name);
    await createVSIX({ cwd: staging, packagePath: unfinished, dependencies: false, allowMissingRepository: true });
    const finished = path.join(into, name);
    await copyFile(unfinished, finished);
    return finished;
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const packagePath = await packageExtension();
  console.log(path.relative(process.env['INIT_CWD'] ?? process.cwd(), packagePath));
}
