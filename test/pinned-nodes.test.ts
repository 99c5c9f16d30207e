/** The Nodes that a checkout brings and runs are those whose hash was written down, and no others. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';

const root = path.dirname(import.meta.dirname);
const read = (file: string) => JSON.parse(readFileSync(path.join(root, file), 'utf8'));

test("the lockfile has a version and a hash for each platform's Node", () => {
  const { optionalDependencies } = read('package.json') as { readonly optionalDependencies: Record<string, string> };
  const { packages } = read('package-lock.json') as {
    readonly packages: Record<string, { readonly version: string; readonly integrity?: string }>;
  };
  const nodes = Object.entries(optionalDependencies).filter(([name]) => name.startsWith('node-'));
  expect(nodes.length).toBeGreaterThan(0);
  for (const [name, version] of nodes)
    expect(packages[`node_modules/${name}`]).toMatchObject({
      version,
      integrity: expect.stringMatching(/^sha512-[A-Za-z0-9+/]{86}==$/),
    });
});

test('what is run beside it comes through the one place that pins', () => {
  const source = readFileSync(path.join(root, 'scripts/test-nodes.ts'), 'utf8');
  expect(source).not.toMatch(/'npm'/);
});
