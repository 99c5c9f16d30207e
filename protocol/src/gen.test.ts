/** The generated code is what the schema says: `buf generate` writes it again and nothing differs. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const packageDir = fileURLToPath(new URL('..', import.meta.url));
const binDir = join(packageDir, '..', 'node_modules', '.bin');

test('protocol/src/gen is up to date with protocol/proto', () => {
  const outDir = mkdtempSync(join(tmpdir(), 'driftless-gen-'));
  try {
    const path = [binDir, dirname(process.execPath), process.env['PATH']].join(delimiter);
    const options = { cwd: packageDir, env: { ...process.env, PATH: path }, shell: process.platform === 'win32' };
    execFileSync(join(binDir, 'buf'), ['generate', '--output', outDir], options);
    const generated = (dir: string) =>
      Object.fromEntries(readdirSync(dir).map((name) => [name, readFileSync(join(dir, name), 'utf8')]));
    const fresh = generated(join(outDir, 'src', 'gen'));
    expect(Object.keys(fresh).length).toBeGreaterThan(1);
    expect(generated(join(packageDir, 'src', 'gen'))).toEqual(fresh);
  } finally {
    rmSync(outDir, { recursive: true, force: true });
  }
});
