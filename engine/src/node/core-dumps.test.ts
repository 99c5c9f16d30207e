import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'driftless-core-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const module = path.join(import.meta.dirname, 'core-dumps.ts');
/** Made at run time, so that no source that is mapped into the process holds it. */
const marker = ['the', 'key', 'of', 'a', 'room'];
const crash = `
  import { keepMemoryOutOfCoreDumps } from ${JSON.stringify(module)};
  keepMemoryOutOfCoreDumps();
  globalThis.kept = Buffer.from(${JSON.stringify(marker)}.join('~').repeat(1000));
  process.abort();`;
const isWrittenHere =
  process.platform === 'linux' && !/^[|/]/.test(readFileSync('/proc/sys/kernel/core_pattern', 'utf8'));

test.skipIf(!isWrittenHere)('a crash leaves a dump without the memory', () => {
  const command = 'ulimit -c unlimited 2>/dev/null; exec "$0" --input-type=module -e "$1"';
  expect(() =>
    execFileSync('sh', ['-c', command, process.execPath, crash], { cwd: directory, stdio: 'ignore' }),
  ).toThrow();
  for (const dump of readdirSync(directory))
    expect(readFileSync(path.join(directory, dump)).includes(marker.join('~'))).toBe(false);
});

test.skipIf(process.platform !== 'linux')('its children take it over', () => {
  const script = `
    import { execFileSync } from 'node:child_process';
    import { keepMemoryOutOfCoreDumps } from ${JSON.stringify(module)};
    keepMemoryOutOfCoreDumps();
    process.stdout.write(execFileSync('cat', ['/proc/self/coredump_filter']));`;
  const filter = execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  expect(filter.trim()).toMatch(/^0+$/);
});
