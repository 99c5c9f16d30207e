import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { commandIds, conflictOpenContext, extensionId, settingIds } from './contributions.ts';

interface Manifest {
  readonly publisher: string;
  readonly name: string;
  readonly extensionKind: readonly string[];
  readonly capabilities: {
    readonly untrustedWorkspaces: { readonly supported: string; readonly restrictedConfigurations: readonly string[] };
  };
  readonly contributes: {
    readonly commands: readonly { readonly command: string; readonly category: string }[];
    readonly menus: Readonly<Record<string, readonly { readonly command: string; readonly when: string }[]>>;
    readonly configuration: { readonly properties: Readonly<Record<string, { readonly scope: string }>> };
    readonly configurationDefaults: Readonly<Record<string, Readonly<Record<string, boolean>>>>;
  };
}

const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as Manifest;

describe('contributions', () => {
  it('names the extension that links open', () => {
    expect(`${manifest.publisher}.${manifest.name}`).toBe(extensionId);
  });

  it('knows every contributed command, and contributes every one it knows, under Sync', () => {
    expect(manifest.contributes.commands.map((each) => each.command).sort()).toEqual(Object.values(commandIds).sort());
    expect(new Set(manifest.contributes.commands.map((each) => each.category))).toEqual(new Set(['Sync']));
  });

  it('shows in menus only its own commands, under its own context', () => {
    for (const item of Object.values(manifest.contributes.menus).flat()) {
      expect(Object.values(commandIds)).toContain(item.command);
      expect(item.when).toBe(conflictOpenContext);
    }
  });

  it('knows every setting; a workspace chooses none that says where bytes go', () => {
    const { properties } = manifest.contributes.configuration;
    expect(Object.keys(properties).sort()).toEqual(Object.values(settingIds).sort());
    for (const [id, property] of Object.entries(properties)) {
      if (id === settingIds.onConflict)
        expect(manifest.capabilities.untrustedWorkspaces.restrictedConfigurations).toContain(id);
      else expect(property.scope).toBe('machine');
    }
  });

  it('hides our own directory from explorer, search and watcher', () => {
    for (const id of ['files.exclude', 'search.exclude', 'files.watcherExclude']) {
      expect(Object.keys(manifest.contributes.configurationDefaults[id] ?? {}).join()).toMatch(/\.driftless/);
    }
  });

  it('runs where the files are, and limited in untrusted workspaces', () => {
    expect(manifest.extensionKind).toEqual(['workspace']);
    expect(manifest.capabilities.untrustedWorkspaces.supported).toBe('limited');
  });
});
