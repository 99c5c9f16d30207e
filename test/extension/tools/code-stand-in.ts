/**
 * Stands in for the desktop `code` executable in front of `@vscode/test-electron`: takes the arguments that VS Code is started
 * with for a test run, and carries them out in code-server and a headless browser. Exit code 0 only if the suite said so.
 * `EDITOR_SETTINGS` holds user settings as JSON; `EDITOR_WORKSPACE_TRUST=1` opens the window as an untrusted one.
 */
import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { format } from 'node:util';
import type { Browser } from './browser-types.ts';
import { type EditorServer, startEditorServer } from './editor-server.ts';
import { launchBrowser, openWindow } from './editor-window.ts';
import { ensureEditorTools } from './install.ts';

const suiteMsMax = 300_000;

interface Request {
  readonly developmentPaths: readonly string[];
  readonly testsPath: string;
  readonly folder: string | undefined;
}

function parseRequest(args: readonly string[]): Request {
  const values = (name: string) =>
    args
      .filter((each) => each.startsWith(`--${name}=`))
      .map((each) => path.resolve(each.slice(name.length + 3).replace(/^file:\/\//, '')));
  const [testsPath] = values('extensionTestsPath');
  if (testsPath === undefined)
    throw new Error('expected --extensionTestsPath=…: this executable only runs test suites');
  const folder = args.find((each) => !each.startsWith('-') && isFolder(each));
  return { developmentPaths: values('extensionDevelopmentPath'), testsPath, folder };
}

function isFolder(name: string): boolean {
  try {
    return statSync(name).isDirectory();
  } catch {
    return false;
  }
}

async function runSuite(request: Request): Promise<number> {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'driftless-editor-'));
  let server: EditorServer | undefined;
  let browser: Browser | undefined;
  const closeAll = async () => {
    await browser?.close();
    await server?.stop();
    rmSync(dir, { recursive: true, force: true });
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => void closeAll().finally(() => process.exit(1)));
  try {
    const tools = await ensureEditorTools((line) => console.log(line));
    const settings = JSON.parse(process.env['EDITOR_SETTINGS'] ?? '{}') as Readonly<Record<string, unknown>>;
    server = await startEditorServer({
      tools,
      dir,
      settings,
      testDriver: true,
      workspaceTrust: process.env['EDITOR_WORKSPACE_TRUST'] === '1',
      env: hostEnvironment(),
    });
    browser = await launchBrowser(tools);
    const folder = request.folder ?? path.join(dir, 'empty');
    mkdirSync(folder, { recursive: true });
    const { authority } = server;
    const remote = (file: string) => `vscode-remote://${authority}${file}`;
    let finish: (code: number) => void = () => undefined;
    const finished = new Promise<number>((resolve) => {
      finish = resolve;
    });
    await openWindow(browser, server, {
      folder,
      payload: [
        ...request.developmentPaths.map((each) => ['extensionDevelopmentPath', remote(each)] as const),
        ['extensionTestsPath', remote(request.testsPath)],
        ['skipWelcome', 'true'],
      ],
      expose: {
        codeAutomationLog: (_type: string, args: readonly unknown[]) => hear(args),
        codeAutomationExit: (code: number) => finish(code),
      },
    });
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<number>((resolve) => {
      timer = setTimeout(() => {
        console.error(`the suite did not end within ${suiteMsMax / 1_000} s`);
        resolve(124);
      }, suiteMsMax);
    });
    const code = await Promise.race([finished, late]);
    clearTimeout(timer);
    if (code !== 0) console.log(said.join('\n'));
    return code;
  } finally {
    await closeAll();
  }
}

/** What window and extension host said, most of it noise: shown when the suite did not pass. */
const said: string[] = [];
const linesSaidMax = 2_000;

function hear(args: readonly unknown[]): void {
  said.push(format(...args));
  if (said.length > linesSaidMax) said.shift();
}

/** What the suite is given by whoever starts the run. */
function hostEnvironment(): Readonly<Record<string, string>> {
  const entries = Object.entries(process.env).filter(
    (entry): entry is [string, string] => entry[0].startsWith('DRIFTLESS_TEST_') && entry[1] !== undefined,
  );
  return Object.fromEntries(entries);
}

process.exit(await runSuite(parseRequest(process.argv.slice(2))));
