/** A throw-away tree for benches: ten files a directory, ten directories a directory. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Tree {
  readonly rootPath: string;
  /** Relative, with `/`. */
  readonly directories: readonly string[];
  remove(): void;
}

export function makeTree(fileCount: number): Tree {
  const rootPath = mkdtempSync(join(tmpdir(), 'driftless-bench-'));
  mkdirSync(join(rootPath, '.driftless'), { mode: 0o700 });
  const directories = [''];
  let made = 0;
  for (let index = 0; made < fileCount; index++) {
    const directory = directories[index] ?? '';
    for (let file = 0; file < 10 && made < fileCount; file++, made++) {
      writeFileSync(join(rootPath, directory, `file-${file}.ts`), `export const value = ${made};\n`);
    }
    for (let child = 0; child < 10 && directories.length * 10 < fileCount; child++) {
      const path = directory === '' ? `d${child}` : `${directory}/d${child}`;
      mkdirSync(join(rootPath, path));
      directories.push(path);
    }
  }
  return { rootPath, directories, remove: () => rmSync(rootPath, { recursive: true, force: true }) };
}

/** The number given as first argument, else `fallback`. */
export function sizeArgument(fallback: number): number {
  const given = Number(process.argv[2] ?? fallback);
  if (!Number.isSafeInteger(given) || given < 1 || given > 1_000_000) throw new Error('size: 1 to 1,000,000 files');
  return given;
}

export function report(measurement: Readonly<Record<string, string | number>>): void {
  console.log(JSON.stringify(measurement));
}

/** Value at a share of the sorted list, e.g. 0.5 and 0.95. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
