/** Makes `extension/driftless-<version>.vsix`: one file for every platform. `npm run package` at the root. */
import { copyFile, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { createVSIX } from '@vscode/vsce';
import { buildExtension } from './build.ts';

const extensionFolder = path.join(path.dirname(fileURLToPath(import.meta.url)), '..');

/** Answers where the package lies. */
export async function packageExtension(): Promise<string> {
  await buildExtension();
  const { version } = JSON.parse(await readFile(path.join(extensionFolder, 'package.json'), 'utf8')) as {
    readonly version: string;
  };
  const packagePath = path.join(extensionFolder, `driftless-${version}.vsix`);
  const license = path.join(extensionFolder, 'LICENSE');
  await rm(packagePath, { force: true });
  await copyFile(path.join(extensionFolder, '../LICENSE'), license);
  try {
    await createVSIX({ cwd: extensionFolder, packagePath, dependencies: false, allowMissingRepository: true });
  } finally {
    await rm(license, { force: true });
  }
  return packagePath;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const packagePath = await packageExtension();
  console.log(path.relative(process.env['INIT_CWD'] ?? process.cwd(), packagePath));
}
