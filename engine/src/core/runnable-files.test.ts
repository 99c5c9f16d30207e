import type { RelPath } from '@driftless/protocol';
import { expect, test } from 'vitest';
import { whyItRuns } from './runnable-files.ts';

test.each([
  '.vscode/tasks.json',
  '.vscode/settings.json',
  '.vscode/launch.json',
  '.vscode/mcp.json',
  'packages/a/.vscode/tasks.json',
  '.VSCode/Tasks.JSON',
  'work.code-workspace',
  'a/b.code-workspace',
  '.devcontainer/devcontainer.json',
  '.devcontainer/setup/run.sh',
  '.devcontainer.json',
  '.husky/pre-commit',
  '.envrc',
  'a/.envrc',
])('%s runs', (path) => {
  expect(whyItRuns(path as RelPath)).toMatch(/\w/);
});

test.each([
  'tasks.json',
  '.vscode/extensions.json',
  'x.vscode/tasks.json',
  '.vscode/tasks.json.bak',
  'src/main.ts',
  '.envrc.example',
  'husky/pre-commit',
  'devcontainer.json',
])('%s does not', (path) => {
  expect(whyItRuns(path as RelPath)).toBeUndefined();
});
