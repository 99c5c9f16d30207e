import { beforeEach, describe, expect, it, vi } from 'vitest';
import { commandIds } from './contributions.ts';

/** Everything that VS Code was given to show, by the function that shows it. */
const given: Record<string, unknown[]> = {};
const takes =
  (name: string, answer?: unknown) =>
  (...parameters: unknown[]): Promise<unknown> => {
    given[name] = parameters;
    return Promise.resolve(typeof answer === 'function' ? answer(...parameters) : answer);
  };
const logged: string[] = [];
const statusItem = { show() {}, hide() {}, dispose() {} } as Record<string, unknown>;

vi.mock('vscode', () => ({
  window: {
    showInformationMessage: takes('information', 'Yes'),
    showWarningMessage: takes('warning', (_text: string, _options: object, ...items: unknown[]) => items.at(-1)),
    showErrorMessage: takes('error'),
    setStatusBarMessage: takes('brief'),
    showQuickPick: takes('pick', (items: readonly unknown[]) => items[0]),
    showInputBox: takes('input', (options: { validateInput: (text: string) => unknown }) => options.validateInput('x')),
    withProgress: takes('progress', (_options: object, work: (progress: object, token: object) => unknown) =>
      work({ report: takes('report') }, {}),
    ),
    createStatusBarItem: () => statusItem,
    createOutputChannel: () => ({
      error: (line: string) => logged.push(line),
      info: (line: string) => logged.push(line),
    }),
  },
  commands: { executeCommand: takes('command') },
  Uri: { file: (path: string) => ({ path }) },
  MarkdownString: class {
    readonly value: string;
    constructor(value: string) {
      this.value = value;
    }
  },
  ThemeColor: class {},
  StatusBarAlignment: { Left: 1 },
  ProgressLocation: { Notification: 15 },
}));

const { ask, askForText, createStatusItem, createWindowLog, openDiff, pick, tell, tellBriefly, withProgress } =
  await import('./window.ts');
const { Uri } = await import('vscode');

const bad = '[x](command:y) $(sync) a\nb \u202e https://evil.example';
const shown = '[x]\\u0028command:y) $\\u0028sync) a\\u000ab \\u202e https\\u003a//evil.example';

beforeEach(() => {
  for (const name of Object.keys(given)) delete given[name];
});

describe('SHOWN v11: what comes from outside, wherever VS Code shows it', () => {
  it('in notifications and the status bar', async () => {
    expect(await tell('info', bad, 'Yes')).toBe('Yes');
    expect(given['information']).toEqual([shown, 'Yes']);
    await tell('warning', bad);
    expect(given['warning']).toEqual([shown]);
    await tell('error', 'x'.repeat(9_000));
    expect(given['error']).toEqual([`${'x'.repeat(1_000)}… (8000 more characters)`]);
    tellBriefly(bad);
    expect(given['brief']?.[0]).toBe(shown);
  });

  it('in dialogs, where each line of ours is one and no name pushes the buttons away', async () => {
    const detail = [bad, '', ...Array.from({ length: 60 }, () => 'y'.repeat(600))];
    expect(await ask({ text: bad, detail, answers: ['Go'] })).toBe('Go');
    const [text, options] = given['warning'] as [string, { readonly modal: boolean; readonly detail: string }];
    expect(text).toBe(shown);
    const lines = options.detail.split('\n');
    expect(lines.slice(0, 3)).toEqual([shown, '', `${'y'.repeat(500)}… (100 more characters)`]);
    expect(lines).toHaveLength(41);
    expect(lines.at(-1)).toBe('… and 22 more');
  });

  it('in lists, with icons of ours alone; what is chosen is what was given', async () => {
    const choice = { icon: 'plug', label: bad, description: bad, detail: bad, path: bad };
    expect(await pick([choice], { title: bad, placeHolder: bad })).toBe(choice);
    expect(given['pick']).toMatchObject([
      [{ label: `$(plug) ${shown}`, description: shown, detail: shown }],
      { title: shown, placeHolder: shown },
    ]);
  });

  it('in input boxes and progress', async () => {
    expect(await askForText({ title: bad, prompt: bad, placeHolder: bad, refusalOf: () => bad })).toBe(shown);
    expect(given['input']).toMatchObject([{ title: shown, prompt: shown, placeHolder: shown }]);
    await withProgress({ title: bad }, async (_token, report) => report(bad));
    expect(given['progress']?.[0]).toMatchObject({ title: shown });
    expect(given['report']).toEqual([{ message: shown }]);
  });

  it('in the status bar item and its tooltip', () => {
    createStatusItem().show({
      icon: 'check',
      label: bad,
      tooltips: [
        {
          name: bad,
          label: 'in sync',
          lines: ['see www.evil.example', { text: 'Peers:', list: ['# big', '![i](j)'] }],
        },
      ],
      command: commandIds.showActions,
      severity: 'none',
    });
    expect(statusItem['text']).toBe(`$(check) Sync: ${shown}`);
    expect(statusItem['tooltip']).toEqual({
      value: `**${shown.replace(/[!-/:-@[-`{-~]/g, '\\$&')}**: in sync\n\nsee www\\.evil\\.example\n\nPeers\\:\n\n- \\# big\n- \\!\\[i\\]\\\\u0028j\\)`,
    });
  });

  it('in the log, a line each, and in titles of editors', () => {
    const log = createWindowLog();
    log.write('info', bad, { path: 'a\nb\u202e' });
    const error = new Error(bad);
    error.stack = `Error: ${bad}\n    at main.ts:1`;
    log.failed(error);
    expect(logged).toEqual([`${shown} {"path":"a\\nb\\u202e"}`, `Error: ${shown}`, '    at main.ts:1']);
    openDiff(Uri.file('/a'), Uri.file('/b'), bad);
    expect(given['command']?.slice(0, 1)).toEqual(['vscode.diff']);
    expect(given['command']?.[3]).toBe(shown);
  });
});
