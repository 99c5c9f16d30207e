/**
 * A window of VS Code in a headless browser, and the few gestures that tests make in it. Every step waits for what it needs to
 * see, never for time.
 */
import { mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import type { Browser, BrowserContext, BrowserType, Locator, Page } from './browser-types.ts';
import type { EditorServer } from './editor-server.ts';
import type { EditorTools } from './install.ts';

export interface EditorWindow {
  readonly page: Page;
  readonly context: BrowserContext;
}

export interface OpenWindowOptions {
  /** Absolute path of the folder to open, or of a `.code-workspace` file with `workspace`. */
  readonly folder?: string;
  readonly workspace?: string;
  /** Pairs that a workbench under the test driver understands. */
  readonly payload?: readonly (readonly [string, string])[];
  /** Functions that the page can call; there before anything of the page runs. */
  readonly expose?: Readonly<Record<string, (...args: never[]) => unknown>>;
  /** Reuse of a context keeps secrets and mementos. */
  readonly context?: BrowserContext;
}

export const stepMsMax = 60_000;

export function launchBrowser(tools: EditorTools): Promise<Browser> {
  const { chromium } = createRequire(tools.resolveFrom)('playwright-core') as { readonly chromium: BrowserType };
  const args = [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
  ];
  return chromium.launch({ executablePath: tools.chromium, headless: true, args });
}

/** Opens a window and waits until the workbench shows. */
export async function openWindow(
  browser: Browser,
  server: EditorServer,
  options: OpenWindowOptions,
): Promise<EditorWindow> {
  const context = options.context ?? (await browser.newContext({ viewport: { width: 1400, height: 900 } }));
  await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: `http://${server.authority}` });
  const page = await context.newPage();
  for (const [name, body] of Object.entries(options.expose ?? {})) await page.exposeFunction(name, body);
  await page.goto(windowAddress(server, options));
  await page.locator('.monaco-workbench').waitFor({ timeout: stepMsMax });
  return { page, context };
}

export function windowAddress(
  server: Pick<EditorServer, 'authority'>,
  options: Pick<OpenWindowOptions, 'folder' | 'workspace' | 'payload'>,
): string {
  const query = new URLSearchParams();
  if (options.folder !== undefined) query.set('folder', options.folder);
  if (options.workspace !== undefined) query.set('workspace', options.workspace);
  if (options.payload !== undefined) query.set('payload', JSON.stringify(options.payload));
  return `http://${server.authority}/?${query}`;
}

/** Runs a command through the palette, as a person would. */
export async function runCommand(page: Page, title: string): Promise<void> {
  await page.keyboard.press('F1');
  await fillQuickInput(page, `>${title}`);
  await quickRow(page, title).waitFor({ timeout: stepMsMax });
  await page.keyboard.press('Enter');
}

/** Chooses the row with `text` of the quick pick whose placeholder or title is on screen. */
export async function pickRow(page: Page, text: string): Promise<void> {
  const row = quickRow(page, text);
  await row.waitFor({ timeout: stepMsMax });
  await row.click();
}

/** Types into the input box that shows `prompt` somewhere, and accepts. */
export async function answerInput(page: Page, prompt: string, text: string): Promise<void> {
  await page.locator('.quick-input-widget', { hasText: prompt }).first().waitFor({ timeout: stepMsMax });
  await fillQuickInput(page, text);
  await page.keyboard.press('Enter');
}

export async function fillQuickInput(page: Page, text: string): Promise<void> {
  const box = page.locator('.quick-input-widget .quick-input-box input').first();
  await box.waitFor({ timeout: stepMsMax });
  await box.fill(text);
}

export function quickRow(page: Page, text: string): Locator {
  return page.locator('.quick-input-list .monaco-list-row', { hasText: text }).first();
}

export function statusItem(page: Page, text: string | RegExp): Locator {
  return page.locator('.statusbar-item', { hasText: text }).first();
}

export function notification(page: Page, text: string | RegExp): Locator {
  return page
    .locator('.notifications-toasts .notification-toast, .notifications-center .notification-list-item', {
      hasText: text,
    })
    .first();
}

/** Presses a button of the notification that says `text`. */
export async function pressInNotification(page: Page, text: string | RegExp, button: string): Promise<void> {
  const toast = notification(page, text);
  await toast.waitFor({ timeout: stepMsMax });
  await toast.locator('.monaco-button', { hasText: button }).first().click();
}

/** Presses a button of the modal dialog that says `text`. */
export async function pressInDialog(page: Page, text: string | RegExp, button: string | RegExp): Promise<void> {
  const dialog = page.locator('.monaco-dialog-box', { hasText: text }).first();
  await dialog.waitFor({ timeout: stepMsMax });
  await dialog.locator('.monaco-button', { hasText: button }).first().click();
}

/**
 * By its tab, or else from the Explorer, which follows the disk: Quick Open may search a listing from before the file was there. The
 * Explorer's rows move when files come and go, also under a double click.
 */
export async function openFile(page: Page, name: string): Promise<void> {
  const tab = page.locator('.tab', { hasText: new RegExp(`^${name.replaceAll('.', '\\.')}$`) }).first();
  if (await tab.isVisible()) {
    await tab.click();
    return page.locator('.tab.active', { hasText: name }).first().waitFor({ timeout: stepMsMax });
  }
  const row = page.locator('.explorer-folders-view .monaco-list-row', { hasText: name }).first();
  await row.waitFor({ timeout: stepMsMax });
  await row.dblclick();
  await page.locator('.tab.active', { hasText: name }).first().waitFor({ timeout: stepMsMax });
}

export async function screenshot(page: Page, folder: string, name: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  await page.screenshot({ path: path.join(folder, `${name}.png`) });
}
