/**
 * All that a person reads in VS Code goes through here. Names, reasons and addresses come from other machines, and VS Code makes links,
 * commands and icons of what it shows: `[text](command:x)` in a notification runs the command. So every text is shown as it is, one line,
 * bounded (rule SHOWN); icons and the few lines of a dialog or tooltip are given beside it. Buttons and command ids are our own words.
 */
import { shownJson, shownText } from '@driftless/protocol';
import * as vscode from 'vscode';
import type { StatusBarModel, Tooltip } from './present/status-bar.ts';

/** VS Code cuts what is longer. */
const messageCharactersMax = 1_000;
/** A name of thousands of characters must not push the buttons from the screen. */
const lineCharactersMax = 500;
const linesMax = 40;
const briefMs = 5_000;

export type Tone = 'info' | 'warning' | 'error';

/** A notification. Resolves with the button that was chosen. */
export function tell(tone: Tone, text: string, ...buttons: readonly string[]): Thenable<string | undefined> {
  const message = shownText(text, messageCharactersMax);
  switch (tone) {
    case 'info':
      return vscode.window.showInformationMessage(message, ...buttons);
    case 'warning':
      return vscode.window.showWarningMessage(message, ...buttons);
    case 'error':
      return vscode.window.showErrorMessage(message, ...buttons);
  }
}

/** A word in the status bar, for a moment. */
export function tellBriefly(text: string): void {
  vscode.window.setStatusBarMessage(shownText(text, messageCharactersMax), briefMs);
}

export interface Question {
  readonly text: string;
  /** Lines below it; an empty one parts paragraphs. */
  readonly detail: readonly string[];
  /** Beside Cancel. The first is what Enter presses. */
  readonly answers: readonly string[];
}

/** A modal dialog. Resolves with the answer, undefined when it was cancelled. */
export function ask({ text, detail, answers }: Question): Thenable<string | undefined> {
  const lines = boundedList(detail).map((line) => shownText(line, lineCharactersMax));
  const options: vscode.MessageOptions = { modal: true, detail: lines.join('\n') };
  return vscode.window.showWarningMessage(shownText(text, messageCharactersMax), options, ...answers);
}

function boundedList(lines: readonly string[]): readonly string[] {
  return lines.length <= linesMax ? lines : [...lines.slice(0, linesMax), `… and ${lines.length - linesMax} more`];
}

export interface Choice {
  /** Name of a product icon. */
  readonly icon?: string;
  readonly label: string;
  readonly description?: string;
  readonly detail?: string;
}

/** Resolves with what was chosen from the list, undefined when it was left. */
export async function pick<Item extends Choice>(
  choices: readonly Item[],
  { title, placeHolder }: { readonly title: string; readonly placeHolder: string },
): Promise<Item | undefined> {
  const items = choices.map((choice) => ({
    label: `${choice.icon === undefined ? '' : `$(${choice.icon}) `}${shownText(choice.label, messageCharactersMax)}`,
    description: shownText(choice.description ?? '', messageCharactersMax),
    detail: shownText(choice.detail ?? '', messageCharactersMax),
    choice,
  }));
  const chosen = await vscode.window.showQuickPick(items, {
    title: shownText(title),
    placeHolder: shownText(placeHolder, messageCharactersMax),
    matchOnDescription: true,
    matchOnDetail: true,
  });
  return chosen?.choice;
}

/** Resolves with what was typed, undefined when the box was left. It stays open while another window has the focus. */
export function askForText(options: {
  readonly title: string;
  readonly prompt: string;
  readonly placeHolder: string;
  readonly password?: boolean;
  /** Why a text is not taken; undefined: it is. */
  readonly refusalOf: (text: string) => string | undefined | Promise<string | undefined>;
}): Thenable<string | undefined> {
  const { title, prompt, placeHolder, password = false, refusalOf } = options;
  return vscode.window.showInputBox({
    title: shownText(title),
    prompt: shownText(prompt),
    placeHolder: shownText(placeHolder),
    password,
    ignoreFocusOut: true,
    validateInput: async (text) => {
      const refusal = await refusalOf(text);
      return refusal === undefined ? undefined : shownText(refusal, messageCharactersMax);
    },
  });
}

/** A notification for as long as the work takes; with `cancellable` the token tells that it was cancelled. */
export async function withProgress<Answer>(
  { title, cancellable = false }: { readonly title: string; readonly cancellable?: boolean },
  work: (token: vscode.CancellationToken, report: (message: string) => void) => Promise<Answer>,
): Promise<Answer> {
  return vscode.window.withProgress(
    {
      location: vscode.ProgressLocation.Notification,
      title: shownText(title, messageCharactersMax),
      cancellable,
    },
    (progress, token) =>
      work(token, (message) => progress.report({ message: shownText(message, messageCharactersMax) })),
  );
}

export function openDiff(left: vscode.Uri, right: vscode.Uri, title: string): Thenable<unknown> {
  const label = shownText(title, lineCharactersMax);
  return vscode.commands.executeCommand('vscode.diff', left, right, label, { preview: false });
}

export interface StatusItem extends vscode.Disposable {
  show(model: StatusBarModel): void;
  hide(): void;
}

export function createStatusItem(): StatusItem {
  const item = vscode.window.createStatusBarItem('driftless.status', vscode.StatusBarAlignment.Left, 50);
  item.name = 'Driftless';
  return {
    show({ icon, label, tooltips, command, severity }) {
      const shown = shownText(label, lineCharactersMax);
      item.text = `$(${icon}) Sync: ${shown}`;
      item.tooltip = new vscode.MarkdownString(tooltips.map(tooltipMarkdown).join('\n\n---\n\n'));
      item.command = command;
      item.accessibilityInformation = { label: `Driftless sync: ${shown}` };
      item.backgroundColor =
        severity === 'none' ? undefined : new vscode.ThemeColor(`statusBarItem.${severity}Background`);
      item.show();
    },
    hide: () => item.hide(),
    dispose: () => item.dispose(),
  };
}

function tooltipMarkdown({ name, label, lines }: Tooltip): string {
  const paragraphs = lines.map((line) =>
    typeof line === 'string'
      ? markdown(line)
      : [`${markdown(line.text)}\n`, ...boundedList(line.list).map((each) => `- ${markdown(each)}`)].join('\n'),
  );
  return [`**${markdown(name)}**: ${markdown(label)}`, ...paragraphs].join('\n\n');
}

/** CommonMark takes a backslash before any punctuation, and then reads the mark itself: no link, address, list, image or icon is left. */
function markdown(text: string): string {
  return shownText(text, messageCharactersMax).replace(/[!-/:-@[-`{-~]/g, '\\$&');
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export interface WindowLog extends vscode.Disposable {
  write(level: LogLevel, text: string, fields?: object): void;
  failed(error: unknown): void;
  show(): void;
}

export function createWindowLog(): WindowLog {
  const channel = vscode.window.createOutputChannel('Driftless', { log: true });
  return {
    write: (level, text, fields) =>
      channel[level](
        fields === undefined || Object.keys(fields).length === 0
          ? shownText(text)
          : `${shownText(text)} ${shownJson(fields)}`,
      ),
    failed(error) {
      for (const line of failureLines(error)) channel.error(shownText(line));
    },
    show: () => channel.show(),
    dispose: () => channel.dispose(),
  };
}

/** The message is one line, whatever it quotes; the frames of the stack are one each. */
function failureLines(error: unknown): readonly string[] {
  if (!(error instanceof Error)) return [String(error)];
  const head = `${error.name}: ${error.message}`;
  const { stack = head } = error;
  return [head, ...(stack.startsWith(head) ? stack.slice(head.length).split('\n').slice(1) : [])];
}
