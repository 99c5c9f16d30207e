/**
 * Files that run, or say what runs, when a folder is opened or entered and nobody typed a command: whoever writes one of them in a room runs code
 * on every machine in it. They are synced like all others and named at the join. Not listed, for it takes a command to run them: scripts,
 * build files, `package.json`.
 */
import type { RelPath } from '@driftless/protocol';

export interface RunnableFile {
  readonly path: RelPath;
  readonly why: string;
}

/** Against the path in lower case: a disk that folds case takes `.VSCode` for `.vscode`. At any depth, for any folder may be opened. */
const kinds: readonly { readonly file: RegExp; readonly why: string }[] = [
  { file: /(?:^|\/)\.vscode\/tasks\.json$/, why: 'tasks, some of which run when the folder is opened' },
  {
    file: /(?:^|\/)\.vscode\/settings\.json$/,
    why: 'settings, which name programs that VS Code and its extensions start',
  },
  { file: /(?:^|\/)\.vscode\/launch\.json$/, why: 'launch configurations, which start programs' },
  { file: /(?:^|\/)\.vscode\/mcp\.json$/, why: 'servers that VS Code starts for its chat' },
  { file: /\.code-workspace$/, why: 'a workspace with settings, tasks and launch configurations' },
  { file: /(?:^|\/)\.devcontainer(?:\/|\.json$)/, why: 'a development container and the commands that set it up' },
  { file: /(?:^|\/)\.husky\//, why: 'hooks that git runs' },
  { file: /(?:^|\/)\.envrc$/, why: 'commands that direnv runs when the folder is entered' },
];

/** undefined: it is none of them. */
export function whyItRuns(path: RelPath): string | undefined {
  const folded = path.toLowerCase();
  return kinds.find(({ file }) => file.test(folded))?.why;
}
