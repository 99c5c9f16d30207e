/** The packaged extension: one file for every platform, small, and nothing in it that does not belong there. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { inflateRawSync } from 'node:zlib';
import { beforeAll, describe, expect, it } from 'vitest';
import { packageExtension } from '../extension/scripts/package.ts';

const packageBytesMax = 1_000_000;
const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..');

let bytes: Buffer;
let files: ReadonlyMap<string, Buffer>;
beforeAll(async () => {
  const into = mkdtempSync(path.join(tmpdir(), 'driftless-package-'));
  bytes = readFileSync(await packageExtension(into));
  rmSync(into, { recursive: true });
  files = readZip(bytes);
});

describe('the packaged extension', () => {
  it('is below 1 MB', () => {
    expect(bytes.length).toBeLessThan(packageBytesMax);
  });

  it('holds exactly what it needs: no sources, no native modules, no dependencies beside the bundles', () => {
    expect([...files.keys()].sort()).toEqual([
      '[Content_Types].xml',
      'extension.vsixmanifest',
      'extension/LICENSE.txt',
      'extension/dist/engine-process.cjs',
      'extension/dist/extension.cjs',
      'extension/dist/relay-process.cjs',
      'extension/dist/sqlite-store-worker.cjs',
      'extension/media/icon.png',
      'extension/package.json',
      'extension/readme.md',
    ]);
  });

  it('is for every platform', () => {
    expect(text('extension.vsixmanifest')).not.toMatch(/TargetPlatform/);
  });

  it('starts from a file that is there, and asks for vscode in the editor part alone', () => {
    const { main } = JSON.parse(text('extension/package.json')) as { readonly main: string };
    expect(files.has(path.posix.join('extension', main))).toBe(true);
    const asksForEditor = [...files.keys()].filter(
      (name) => name.endsWith('.cjs') && /require\("vscode"\)/.test(text(name)),
    );
    expect(asksForEditor).toEqual(['extension/dist/extension.cjs']);
  });

  it('keeps sync and relay out of the part that runs in the editor', () => {
    expect(text('extension/dist/extension.cjs')).not.toMatch(/node:sqlite|require\("(node:)?worker_threads"\)/);
  });

  it('names no folder of the machine that built it', () => {
    for (const [name, content] of files) expect(content.includes(root), name).toBe(false);
  });
});

function text(name: string): string {
  const content = files.get(name);
  if (content === undefined) throw new Error(`${name} is not in the package`);
  return content.toString('utf8');
}

/** By the central directory; stored and deflated entries, no more, which is what a .vsix has. */
function readZip(zip: Buffer): ReadonlyMap<string, Buffer> {
  const end = zip.lastIndexOf(Buffer.from([0x50, 0x4b, 5, 6]));
  const entries = new Map<string, Buffer>();
  let at = zip.readUInt32LE(end + 16);
  for (let left = zip.readUInt16LE(end + 10); left > 0; left -= 1) {
    const method = zip.readUInt16LE(at + 10);
    const packedBytes = zip.readUInt32LE(at + 20);
    const nameBytes = zip.readUInt16LE(at + 28);
    const local = zip.readUInt32LE(at + 42);
    const name = zip.toString('utf8', at + 46, at + 46 + nameBytes);
    const begin = local + 30 + zip.readUInt16LE(local + 26) + zip.readUInt16LE(local + 28);
    const packed = zip.subarray(begin, begin + packedBytes);
    entries.set(name, method === 0 ? packed : inflateRawSync(packed));
    at += 46 + nameBytes + zip.readUInt16LE(at + 30) + zip.readUInt16LE(at + 32);
  }
  return entries;
}
