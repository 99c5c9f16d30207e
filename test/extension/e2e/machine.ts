/** One machine of the scenario: a server of its own with the packaged extension, a folder, and a window on it. */
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { Browser } from '../tools/browser-types.ts';
import { type EditorServer, type EditorServerOptions, installVsix, startEditorServer } from '../tools/editor-server.ts';
import { type EditorWindow, openFile, openWindow, statusItem, stepMsMax } from '../tools/editor-window.ts';
import type { EditorTools } from '../tools/install.ts';
import { until } from './scenario.ts';

export interface Machine extends EditorWindow {
  readonly name: string;
  readonly folder: string;
  readonly server: EditorServer;
  /** Opens another window on `folder`, in the same browser profile. */
  openAlso(folder: string): Promise<EditorWindow>;
  /** Text of a file on disk; undefined if there is none. */
  read(file: string): string | undefined;
  files(): readonly string[];
  waitForText(file: string, text: string): Promise<void>;
  /** Waits until the status bar says so. */
  waitForStatus(text: string | RegExp): Promise<void>;
  /** Replaces what the file's editor holds, and saves. */
  edit(file: string, text: string): Promise<void>;
  /** Waits until the active editor shows `text`. */
  waitForEditor(text: string): Promise<void>;
}

export async function startMachine(options: {
  readonly name: string;
  readonly dir: string;
  readonly vsix: string;
  readonly tools: EditorTools;
  readonly browser: Browser;
  readonly settings: Readonly<Record<string, unknown>>;
  /** Told at once, so that it is stopped also when the rest fails. */
  readonly onServer: (server: EditorServer) => void;
}): Promise<Machine> {
  const serverOptions: EditorServerOptions = {
    tools: options.tools,
    dir: path.join(options.dir, options.name),
    settings: { 'driftless.deviceName': options.name, 'files.autoSave': 'off', ...options.settings },
  };
  const folder = path.join(options.dir, options.name, 'project');
  mkdirSync(folder, { recursive: true });
  await installVsix(serverOptions, options.vsix);
  const server = await startEditorServer(serverOptions);
  options.onServer(server);
  const { page, context } = await openWindow(options.browser, server, { folder });

  const read = (file: string): string | undefined => {
    try {
      return readFileSync(path.join(folder, file), 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  };

  return {
    name: options.name,
    folder,
    server,
    page,
    context,
    openAlso: (other) => openWindow(options.browser, server, { folder: other, context }),
    read,
    files: () => readdirSync(folder).filter((file) => file !== '.driftless'),
    waitForText: async (file, text) => {
      await until(
        `${options.name}: ${file} is ${JSON.stringify(text)}, not ${JSON.stringify(read(file))}`,
        () => read(file) === text,
      );
    },
    waitForStatus: (text) => statusItem(page, text).waitFor({ timeout: stepMsMax }),
    edit: async (file, text) => {
      await openFile(page, file);
      await page.locator('.editor-instance .monaco-editor .view-lines').first().click();
      await page.keyboard.press('Control+a');
      await page.keyboard.type(text);
      await page.keyboard.press('Control+s');
      await until(`${options.name}: ${file} is saved`, () => read(file)?.trimEnd() === text);
    },
    // Monaco shows spaces as no-break spaces.
    waitForEditor: (text) =>
      page
        .locator('.editor-instance .view-line', { hasText: new RegExp(text.replace(/ /g, '[ \u00a0]')) })
        .first()
        .waitFor({ timeout: stepMsMax }),
  };
}
