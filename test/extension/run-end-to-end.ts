/**
 * End to end, as two people would: two VS Code windows on two servers with the packaged extension, and a relay. They connect with
 * `Sync: Connect Peer`, edit, disagree, settle it, reload. Screenshots lie in `.artifacts/e2e/`; a failure adds what both windows showed
 * and what their servers said. Exit code 0 only if every step passed; the file that `DRIFTLESS_TEST_REPORT` names gets the counts.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { createRelay, type RunningRelay } from '@driftless/relay';
import { packageExtension } from '../../extension/scripts/package.ts';
import { type Machine, startMachine } from './e2e/machine.ts';
import { runSteps, type Step, until } from './e2e/scenario.ts';
import type { Browser, Page } from './tools/browser-types.ts';
import { type EditorServer, freePort } from './tools/editor-server.ts';
import {
  answerInput,
  launchBrowser,
  notification,
  openFile,
  openWindow,
  pickRow,
  pressInDialog,
  pressInNotification,
  runCommand,
  screenshot,
  statusItem,
  stepMsMax,
} from './tools/editor-window.ts';
import { startGuarded } from './tools/guard.ts';
import { ensureEditorTools } from './tools/install.ts';

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '../..');
const artifacts = path.join(root, '.artifacts/e2e');
const dir = mkdtempSync(path.join(os.tmpdir(), 'driftless-e2e-'));
const servers: EditorServer[] = [];
const stops: (() => Promise<void>)[] = [];
let browser: Browser | undefined;
let relay: RunningRelay | undefined;
let desktop: Machine;
let laptop: Machine;
let invite = '';

const steps: readonly Step[] = [
  {
    name: 'two windows open with the packaged extension, and say that nothing is connected',
    run: async () => {
      const tools = await ensureEditorTools((line) => console.log(line));
      const vsix = await packageExtension(dir);
      relay = await createRelay({ storage: { dataDir: path.join(dir, 'relay') }, port: 0 });
      const opened = await launchBrowser(tools);
      browser = opened;
      const hostedRelayPort = await freePort();
      const open = (name: string): Promise<Machine> =>
        startMachine({
          name,
          dir,
          vsix,
          tools,
          browser: opened,
          settings: { 'driftless.hostedRelayPort': hostedRelayPort },
          onServer: (server) => servers.push(server),
        });
      desktop = await open('desktop');
      writeFileSync(path.join(desktop.folder, 'hello.txt'), 'hello from the desktop\n');
      laptop = await open('laptop');
      await desktop.waitForStatus('Sync: not connected');
      await laptop.waitForStatus('Sync: not connected');
    },
  },
  {
    name: 'the desktop shares its folder, and the invite is on its clipboard once it is asked for',
    run: async () => {
      const { page } = desktop;
      await runCommand(page, 'Sync: Connect Peer');
      await pickRow(page, 'Share this folder');
      await pickRow(page, 'Type an address');
      await answerInput(page, 'Address of the relay', relay?.url ?? '');
      await notification(page, 'Another machine joins with its invite').waitFor({ timeout: stepMsMax });
      if ((await page.evaluate<string>('navigator.clipboard.readText()')).includes('driftless1-'))
        throw new Error('the clipboard was written unasked');
      await pressInNotification(page, 'Another machine joins with its invite', 'Copy Invite');
      await notification(page, 'The invite is on the clipboard').waitFor({ timeout: stepMsMax });
      invite = await page.evaluate<string>('navigator.clipboard.readText()');
      if (!invite.startsWith('driftless1-')) throw new Error('the clipboard holds no invite');
      await desktop.waitForStatus('Sync: in sync');
      await screenshot(page, artifacts, '1-shared');
    },
  },
  {
    name: 'the laptop joins with the invite, and has the file',
    run: async () => {
      const { page } = laptop;
      await runCommand(page, 'Sync: Connect Peer');
      await pickRow(page, 'Join with an invite');
      await answerInput(page, 'Paste the invite', invite);
      const asked = 'calls itself "desktop". Nothing proves that name';
      await page.locator('.monaco-dialog-box', { hasText: asked }).first().waitFor({ timeout: stepMsMax });
      await screenshot(page, artifacts, '2-join-question');
      await pressInDialog(page, asked, /^Join$/);
      await laptop.waitForText('hello.txt', 'hello from the desktop\n');
      await laptop.waitForStatus('Sync: in sync');
      await openFile(page, 'hello.txt');
      await laptop.waitForEditor('hello from the desktop');
      await screenshot(page, artifacts, '2-joined');
    },
  },
  {
    name: 'an edit saved on the desktop appears in the open editor of the laptop, and both say in sync',
    run: async () => {
      await desktop.edit('hello.txt', 'edited on the desktop');
      await laptop.waitForEditor('edited on the desktop');
      await desktop.waitForStatus('Sync: in sync');
      await laptop.waitForStatus('Sync: in sync');
      await statusItem(laptop.page, 'Sync: in sync').hover();
      await laptop.page.locator('.monaco-hover', { hasText: 'desktop' }).first().waitFor({ timeout: stepMsMax });
      await screenshot(desktop.page, artifacts, '3-edited-desktop');
      await screenshot(laptop.page, artifacts, '3-edited-laptop');
    },
  },
  {
    name: 'an edit saved on the laptop appears on the desktop',
    run: async () => {
      await laptop.edit('hello.txt', 'edited on the laptop');
      await desktop.waitForEditor('edited on the laptop');
    },
  },
  {
    name: 'a line saved on the desktop comes into the unsaved edits of the laptop, cursor kept, and the save has both on both',
    run: async () => {
      await bringToBoth('shared.txt', 'one\ntwo\nthree\n');
      const { page } = laptop;
      await openFile(page, 'shared.txt');
      await laptop.waitForEditor('three');
      await focusEditor(page);
      await page.keyboard.press('Control+End');
      await page.keyboard.type('the laptop types');
      await laptop.waitForEditor('the laptop types');
      writeFileSync(path.join(desktop.folder, 'shared.txt'), 'one\na line of the desktop\ntwo\nthree\n');
      await laptop.waitForEditor('a line of the desktop');
      await laptop.waitForStatus('waiting for your unsaved edits');
      await hoverStatus(page, 'waiting for your unsaved edits', 'Save to merge, or revert');
      await screenshot(page, artifacts, 'unsaved-1-merged-into-buffer');
      if (laptop.read('shared.txt') !== 'one\ntwo\nthree\n')
        throw new Error('the file changed under the unsaved edits');
      // Where the cursor was, although a line came in above it.
      await page.keyboard.type(' on');
      await page.keyboard.press('Control+s');
      for (const machine of [desktop, laptop])
        await machine.waitForText('shared.txt', 'one\na line of the desktop\ntwo\nthree\nthe laptop types on');
      await laptop.waitForStatus('Sync: in sync');
      await desktop.waitForStatus('Sync: in sync');
      await assertNothingSays(page, 'newer');
      await screenshot(page, artifacts, 'unsaved-2-saved');
    },
  },
  {
    name: 'what came into the buffer is one step to undo, and the save brings it back: no line of the desktop is lost',
    run: async () => {
      await bringToBoth('shared.txt', 'alpha\nbeta\ngamma\n');
      const { page } = laptop;
      await openFile(page, 'shared.txt');
      await laptop.waitForEditor('gamma');
      await focusEditor(page);
      await page.keyboard.press('Control+End');
      await page.keyboard.type('typed');
      writeFileSync(path.join(desktop.folder, 'shared.txt'), 'ALPHA\nBETA\ngamma\n');
      await laptop.waitForEditor('BETA');
      await page.keyboard.press('Control+z');
      await laptop.waitForEditor('alpha');
      await laptop.waitForEditor('beta');
      await laptop.waitForEditor('typed');
      await page.keyboard.press('Control+s');
      for (const machine of [desktop, laptop]) await machine.waitForText('shared.txt', 'ALPHA\nBETA\ngamma\ntyped');
      await laptop.waitForStatus('Sync: in sync');
    },
  },
  {
    name: 'typing on and on while the desktop changes another line again and again loses nothing of either',
    run: async () => {
      await bringToBoth('shared.txt', 'first\nmiddle\nlast\n');
      const { page } = laptop;
      await openFile(page, 'shared.txt');
      await laptop.waitForEditor('middle');
      await focusEditor(page);
      await page.keyboard.press('Control+End');
      let typed = 'begun: ';
      await page.keyboard.type(typed);
      await page.locator('.tab.active.dirty', { hasText: 'shared.txt' }).first().waitFor({ timeout: stepMsMax });
      let count = 0;
      for (const word of 'the quick brown fox jumps over the lazy dog and goes on for quite a while after that'.split(
        ' ',
      )) {
        count += 1;
        writeFileSync(path.join(desktop.folder, 'shared.txt'), `first ${'.'.repeat(count)}\nmiddle\nlast\n`);
        await page.keyboard.type(`${word} `);
        typed += `${word} `;
      }
      await laptop.waitForEditor(`first ${'\\.'.repeat(count)}`);
      await page.keyboard.press('Control+s');
      const both = `first ${'.'.repeat(count)}\nmiddle\nlast\n${typed}`;
      for (const machine of [desktop, laptop]) await machine.waitForText('shared.txt', both);
      await laptop.waitForStatus('Sync: in sync');
      await assertNothingSays(page, 'newer');
      await screenshot(page, artifacts, 'unsaved-3-typed-on-and-on');
    },
  },
  {
    name: 'an overlapping line waits for the unsaved edits, is shown, and becomes a conflict with the save',
    run: async () => {
      await bringToBoth('shared.txt', 'red\ngreen\nblue\n');
      const { page } = laptop;
      await openFile(page, 'shared.txt');
      await laptop.waitForEditor('blue');
      await focusEditor(page);
      await page.keyboard.press('Control+Home');
      await page.keyboard.type('the laptop types: ');
      await laptop.waitForEditor('the laptop types: red');
      writeFileSync(path.join(desktop.folder, 'shared.txt'), 'the desktop saves: red\ngreen\nblue\n');
      await laptop.waitForStatus('waiting for your unsaved edits');
      await hoverStatus(page, 'waiting for your unsaved edits', 'shared.txt');
      await screenshot(page, artifacts, 'unsaved-4-overlap-waits');
      if (laptop.read('shared.txt') !== 'red\ngreen\nblue\n')
        throw new Error('the file changed under the unsaved edits');
      await page.keyboard.press('Control+s');
      await pressInNotification(page, 'Both versions are kept until you choose', 'Show Conflict');
      await waitForDiff(page, 'the desktop saves: red', 'the laptop types: red');
      await screenshot(page, artifacts, 'unsaved-5-conflict-on-save');
      await pressInNotification(page, 'Which one stays?', 'Accept Mine');
      for (const machine of [desktop, laptop]) {
        await machine.waitForText('shared.txt', 'the laptop types: red\ngreen\nblue\n');
        await machine.waitForStatus('Sync: in sync');
      }
    },
  },
  {
    name: 'a file that is deleted on the desktop while the laptop edits it is kept, said, and saved',
    run: async () => {
      await bringToBoth('shared.txt', 'to be deleted\n');
      const { page } = laptop;
      await openFile(page, 'shared.txt');
      await laptop.waitForEditor('to be deleted');
      await focusEditor(page);
      await page.keyboard.press('Control+End');
      await page.keyboard.type('kept');
      await laptop.waitForEditor('kept');
      rmSync(path.join(desktop.folder, 'shared.txt'));
      await laptop.waitForStatus('waiting for your unsaved edits');
      await hoverStatus(page, 'waiting for your unsaved edits', 'deleted or renamed there');
      await screenshot(page, artifacts, 'unsaved-6-deleted-there');
      await page.keyboard.press('Control+s');
      for (const machine of [desktop, laptop]) await machine.waitForText('shared.txt', 'to be deleted\nkept');
      await laptop.waitForStatus('Sync: in sync');
    },
  },
  {
    name: 'overlapping edits made while apart open the conflict diff, and Accept Theirs settles it on both',
    run: async () => {
      await makeConflict('desktop says red', 'laptop says blue');
      await pressInNotification(laptop.page, 'Both versions are kept until you choose', 'Show Conflict');
      await waitForDiff(laptop.page, 'desktop says red', 'laptop says blue');
      await laptop.waitForStatus('1 conflict');
      await screenshot(laptop.page, artifacts, '4-conflict');
      await laptop.page.locator('.editor-actions .action-label', { hasText: 'Accept Theirs' }).first().click();
      await laptop.waitForText('hello.txt', 'desktop says red');
      await laptop.waitForStatus('Sync: in sync');
      await desktop.waitForStatus('Sync: in sync');
      await desktop.waitForText('hello.txt', 'desktop says red');
      await screenshot(laptop.page, artifacts, '5-settled');
    },
  },
  {
    name: 'Show Conflicts lists the next one, and Keep Both leaves both on both',
    run: async () => {
      await makeConflict('desktop says north', 'laptop says south');
      await laptop.waitForStatus('1 conflict');
      await runCommand(laptop.page, 'Sync: Show Conflicts');
      await pickRow(laptop.page, 'hello.txt');
      await waitForDiff(laptop.page, 'desktop says north', 'laptop says south');
      await pressInNotification(laptop.page, 'Which one stays?', 'Keep Both');
      for (const machine of [desktop, laptop]) {
        const copy = await until(`${machine.name}: the copy`, () =>
          machine.files().find((file) => /^hello\.conflict-laptop-.*\.txt$/.test(file)),
        );
        await machine.waitForText(copy, 'laptop says south');
        await machine.waitForText('hello.txt', 'desktop says north');
        await machine.waitForStatus('Sync: in sync');
      }
      await laptop.waitForEditor('desktop says north');
      await screenshot(laptop.page, artifacts, '6-both-kept');
    },
  },
  {
    name: 'a deletion of most files is held; declined in its dialog, they are back',
    run: async () => {
      const names = Array.from({ length: 230 }, (_, index) => `many/file ${index}.txt`);
      mkdirSync(path.join(desktop.folder, 'many'));
      for (const name of names) writeFileSync(path.join(desktop.folder, name), `${name}\n`);
      for (const name of names) await laptop.waitForText(name, `${name}\n`);
      await desktop.waitForStatus('Sync: in sync');
      rmSync(path.join(desktop.folder, 'many'), { recursive: true });
      await desktop.waitForStatus('held');
      await runCommand(desktop.page, 'Sync: Review Held Changes');
      await desktop.page
        .locator('.monaco-dialog-box', { hasText: 'delete them, or keep them' })
        .first()
        .waitFor({ timeout: stepMsMax });
      await screenshot(desktop.page, artifacts, '6-deletion-held');
      await pressInDialog(desktop.page, 'delete them, or keep them', 'Bring Back Here');
      for (const machine of [desktop, laptop]) for (const name of names) await machine.waitForText(name, `${name}\n`);
      await desktop.waitForStatus('Sync: in sync');
      await laptop.waitForStatus('Sync: in sync');
    },
  },
  {
    name: 'a window that is loaded again resumes by itself',
    run: async () => {
      await laptop.page.reload();
      await laptop.waitForStatus('Sync: in sync');
      await desktop.edit('hello.txt', 'after the reload');
      await laptop.waitForText('hello.txt', 'after the reload');
    },
  },
  {
    name: 'a second window on the same folder says who owns it',
    run: async () => {
      const { page } = await laptop.openAlso(laptop.folder);
      await statusItem(page, 'Sync: owned by another process').waitFor({ timeout: stepMsMax });
      await statusItem(page, 'Sync: owned by another process').hover();
      await page
        .locator('.monaco-hover', { hasText: /kept in sync by VS Code/ })
        .first()
        .waitFor({ timeout: stepMsMax });
      await laptop.waitForStatus('Sync: in sync');
      await screenshot(page, artifacts, '7-second-window');
      await page.close();
    },
  },
  {
    name: 'the relay goes away: both say offline',
    run: async () => {
      await relay?.close();
      await desktop.waitForStatus('Sync: offline');
      await laptop.waitForStatus('Sync: offline');
      await screenshot(desktop.page, artifacts, '8-offline');
    },
  },
  {
    name: 'a folder is shared through a relay hosted on this machine, until that is stopped',
    run: async () => {
      const folder = path.join(dir, 'another');
      mkdirSync(folder);
      writeFileSync(path.join(folder, 'a.txt'), 'a\n');
      const { page } = await laptop.openAlso(folder);
      await statusItem(page, 'Sync: not connected').waitFor({ timeout: stepMsMax });
      await runCommand(page, 'Sync: Connect Peer');
      await pickRow(page, 'Share this folder');
      await pickRow(page, 'Host a relay on this machine');
      await pickRow(page, 'This machine only');
      await notification(page, 'another is shared').waitFor({ timeout: stepMsMax });
      await statusItem(page, 'Sync: in sync').waitFor({ timeout: stepMsMax });
      await screenshot(page, artifacts, '9-hosted-relay');
      await runCommand(page, 'Sync: Stop the Relay on This Machine');
      await pressInDialog(page, 'Stop the relay on this machine?', 'Stop It');
      await statusItem(page, 'Sync: offline').waitFor({ timeout: stepMsMax });
      await page.close();
    },
  },
  {
    name: 'in another browser profile the keys are missing: it says what to do, and disconnecting keeps the files',
    run: async () => {
      await laptop.page.close();
      if (browser === undefined) throw new Error('there is no browser');
      const { page } = await openWindow(browser, laptop.server, { folder: laptop.folder });
      await statusItem(page, 'Sync: needs attention').waitFor({ timeout: stepMsMax });
      await pressInNotification(page, 'Join again with an invite', 'Disconnect, to Join Again');
      await pressInDialog(page, 'Its files stay as they are', 'Disconnect');
      await statusItem(page, 'Sync: not connected').waitFor({ timeout: stepMsMax });
      await laptop.waitForText('hello.txt', 'after the reload');
      if (existsSync(path.join(laptop.folder, '.driftless'))) throw new Error('.driftless is still there');
      await page.close();
    },
  },
  {
    name: '`npm run start:vscode` opens two connected windows, and ends with all that it started',
    run: async () => {
      const started = await startGuarded({
        file: process.execPath,
        args: [path.join(root, 'scripts/start-vscode.ts')],
        // No desktop `code` of the developer who runs this: its windows could not be looked into.
        env: { ...process.env, DRIFTLESS_DEMO_DIR: path.join(dir, 'demo'), PATH: path.dirname(process.execPath) },
        logFile: path.join(dir, 'start-vscode.log'),
      });
      stops.push(started.stop);
      const printed = () => readFileSync(path.join(dir, 'start-vscode.log'), 'utf8');
      await until(
        'two addresses are printed',
        () => printed().includes('Ctrl-C ends everything') || (!started.isRunning() && fail(printed())),
      );
      const addresses = [...printed().matchAll(/(http:\/\/127\.0\.0\.1:\S+)/g)].map(([address]) => address);
      if (addresses.length !== 2 || browser === undefined) throw new Error(printed());
      const opened = browser;
      const pages = await Promise.all(addresses.map((address) => openAddress(opened, address)));
      for (const page of pages) await statusItem(page, 'Sync: in sync').waitFor({ timeout: stepMsMax });
      const [first, second] = ['desktop', 'laptop'].map((name) => path.join(dir, 'demo/vscode', name, 'project'));
      await until('the demo file is in the second folder', () => existsSync(path.join(second ?? '', 'hello.md')));
      writeFileSync(path.join(second ?? '', 'back.md'), 'and back\n');
      await until('a new file is in the first folder', () => existsSync(path.join(first ?? '', 'back.md')));
      for (const page of pages) await page.close();
      process.kill(started.pid, 'SIGTERM');
      if ((await started.exited) !== 0) throw new Error(`it did not end well: ${printed()}`);
      for (const address of addresses) {
        const answered = await fetch(address).then(
          () => true,
          () => false,
        );
        if (answered) throw new Error(`${address} still answers`);
      }
    },
  },
];

function fail(text: string): never {
  throw new Error(text);
}

async function openAddress(opened: Browser, address: string): Promise<Page> {
  const page = await (await opened.newContext({ viewport: { width: 1400, height: 900 } })).newPage();
  await page.goto(address);
  await page.locator('.monaco-workbench').waitFor({ timeout: stepMsMax });
  return page;
}

/** Written on the desktop, as by any program. Other words each time: an editor that shows them has loaded them. */
async function bringToBoth(file: string, text: string): Promise<void> {
  writeFileSync(path.join(desktop.folder, file), text);
  await laptop.waitForText(file, text);
  await laptop.waitForStatus('Sync: in sync');
}

const focusEditor = (page: Page): Promise<void> =>
  page.locator('.editor-instance .monaco-editor .view-lines').first().click();

async function hoverStatus(page: Page, item: string, text: string): Promise<void> {
  await statusItem(page, item).hover();
  await page.locator('.monaco-hover', { hasText: text }).first().waitFor({ timeout: stepMsMax });
}

async function assertNothingSays(page: Page, text: string): Promise<void> {
  if ((await notification(page, text).count()) > 0) throw new Error(`a notification says "${text}"`);
}

/** The laptop is paused while both save: neither saw the other's edit. */
async function makeConflict(onDesktop: string, onLaptop: string): Promise<void> {
  await runCommand(laptop.page, 'Sync: Pause');
  await laptop.waitForStatus('Sync: paused');
  await desktop.edit('hello.txt', onDesktop);
  await desktop.waitForStatus('Sync: in sync');
  await laptop.edit('hello.txt', onLaptop);
  await runCommand(laptop.page, 'Sync: Resume');
}

async function waitForDiff(page: Page, theirs: string, mine: string): Promise<void> {
  const line = (side: 'original' | 'modified', text: string) =>
    page
      .locator(`.monaco-diff-editor .${side} .view-line`, { hasText: new RegExp(text.replace(/ /g, '[ \u00a0]')) })
      .first();
  await line('original', theirs).waitFor({ timeout: stepMsMax });
  await line('modified', mine).waitFor({ timeout: stepMsMax });
}

async function keepEvidence(): Promise<void> {
  mkdirSync(artifacts, { recursive: true });
  for (const machine of [desktop, laptop]) {
    if (machine === undefined) continue;
    await screenshot(machine.page, artifacts, `failed-${machine.name}`);
    writeFileSync(path.join(artifacts, `failed-${machine.name}.log`), machine.server.log());
  }
}

async function closeAll(): Promise<void> {
  await browser?.close();
  await Promise.all([...servers.map((server) => server.stop()), ...stops.map((stop) => stop())]);
  await relay?.close();
  rmSync(dir, { recursive: true, force: true });
}

for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void closeAll().finally(() => process.exit(1)));
rmSync(artifacts, { recursive: true, force: true });
const { passed, failed } = await runSteps(steps, keepEvidence).finally(closeAll);
const report = process.env['DRIFTLESS_TEST_REPORT'];
if (report !== undefined) writeFileSync(report, JSON.stringify({ passed, failed }));
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
