/** One question to a linked folder's peer, running or not, and its answer in words or as one JSON object. */

import { isAbsolute, relative, sep } from 'node:path';
import { copiedText } from '@driftless/protocol';
import type {
  ConfirmAnswer,
  ConflictInfo,
  ControlAnswer,
  HoldChoice,
  Keep,
  PeerControl,
  VerifyResult,
} from '../control.ts';
import { shellWord } from '../core/shell-word.ts';
import type { FolderHost } from '../host-api.ts';
import type { Output } from './output.ts';
import { holdLines, listed, statusLines } from './status-view.ts';
import { exitCodes } from './usage-error.ts';

export interface Question {
  readonly host: FolderHost;
  readonly dir: string;
  readonly output: Output;
}

/** Asks, shows, closes; resolves with the exit code. */
async function ask<Answer extends object>(
  { host, dir, output }: Question,
  question: (control: PeerControl) => Promise<Answer>,
  show: (answer: Answer) => readonly string[],
  succeeded: (answer: Answer) => boolean = () => true,
): Promise<number> {
  const control = await host.control(dir);
  try {
    const answer = await question(control);
    output.object(answer);
    if (!output.json) for (const line of show(answer)) output.line(line);
    return succeeded(answer) ? exitCodes.ok : exitCodes.failed;
  } finally {
    await control.close();
  }
}

/** An answer that is a refusal goes to stderr and fails the command. */
const act = (question: Question, action: (control: PeerControl) => Promise<ControlAnswer>): Promise<number> =>
  ask(
    question,
    async (control) => {
      const answer = await action(control);
      if (!answer.ok) question.output.warn(`driftless: ${answer.message}`);
      return answer;
    },
    (answer) => (answer.ok ? [answer.message] : []),
    (answer) => answer.ok,
  );

export const askStatus = (question: Question): Promise<number> =>
  ask(
    question,
    (control) => control.status(),
    (status) => statusLines(status, question.dir),
  );

export const askVerify = (question: Question): Promise<number> =>
  ask(
    question,
    (control) => control.verify(),
    verifyLines,
    (result) => result.ok,
  );

export const askConflicts = (question: Question): Promise<number> =>
  ask(
    question,
    async (control) => ({
      conflicts: await control.conflicts(),
      copies: (await control.status()).conflictCopies,
    }),
    ({ conflicts, copies }) => [
      ...(conflicts.length === 0
        ? ['no open conflicts']
        : conflicts.flatMap((conflict) => conflictLines(conflict, question.dir))),
      ...(copies.length === 0 ? [] : ['copies that were kept beside their files, until you merge and delete them:']),
      ...listed('copy', copies),
    ],
  );

export const askExplain = (question: Question, path: string): Promise<number> =>
  ask(
    question,
    (control) => control.explain(pathInRoom(question, path)),
    ({ lines }) => lines,
  );

export const askResolve = (question: Question, path: string, keep: Keep): Promise<number> =>
  act(question, (control) => control.resolve(pathInRoom(question, path), keep));
export const askUntrack = (question: Question, path: string): Promise<number> =>
  act(question, (control) => control.untrack(pathInRoom(question, path)));
export const askPause = (question: Question): Promise<number> => act(question, (control) => control.pause());
export const askResume = (question: Question): Promise<number> => act(question, (control) => control.resume());
export const askConfirm = (question: Question, choice: HoldChoice): Promise<number> =>
  letGo(question, (control) => control.confirm(choice));
export const askDecline = (question: Question, choice: HoldChoice): Promise<number> =>
  letGo(question, (control) => control.decline(choice));

/** What was let go is shown; of what is held beside each other, nothing is. */
const letGo = (question: Question, answerOf: (control: PeerControl) => Promise<ConfirmAnswer>): Promise<number> =>
  ask(
    question,
    async (control) => {
      const answer = await answerOf(control);
      if (!answer.ok) question.output.warn(`driftless: ${answer.message}`);
      return answer;
    },
    (answer) => [
      ...answer.holds.flatMap((hold) => holdLines(hold, question.dir, { isOpen: !answer.ok })),
      ...(answer.ok ? [answer.message] : []),
    ],
    (answer) => answer.ok,
  );
export const askTrustRelay = (question: Question, key: string): Promise<number> =>
  act(question, (control) => control.trustRelay(key.toLowerCase()));

/** Paths are relative to the folder, and may be copied from what was shown; an absolute one below it is taken as well, as shells complete them. */
function pathInRoom({ dir }: Question, path: string): string {
  const given = copiedText(path);
  const inside = isAbsolute(given) ? relative(dir, given) : given;
  const slashed = sep === '\\' ? inside.replaceAll('\\', '/') : inside;
  return slashed.replace(/^(\.\/+)+/, '').replace(/\/+$/, '');
}

function verifyLines(result: VerifyResult): readonly string[] {
  const leftOut = Object.values(result.leftOut).reduce((sum, count) => sum + count, 0);
  const rest =
    leftOut === 0
      ? ''
      : `, but for ${leftOut} path${leftOut === 1 ? '' : 's'} that ${leftOut === 1 ? 'is' : 'are'} left out here`;
  const verdict = result.ok ? `the folder is exactly the room${rest}` : `${result.differenceCount} differences`;
  return [
    `${verdict}: ${result.files} files, ${result.bytes} bytes, head ${result.head?.height ?? 'none'}, root ${result.root}`,
    result.agreeing.length === 0
      ? '  compared  with no other machine: none that is here is at this record'
      : `  compared  with ${result.agreeing.join(', ')}: the same root`,
    ...listed(
      'differs',
      result.differences.map(({ path, reason }) => (path === '' ? reason : `${path}: ${reason}`)),
      result.differenceCount,
    ),
    ...listed(
      'left out',
      result.leftOutPaths.map(({ path, reason }) => `${path}: ${reason}`),
    ),
  ];
}

function conflictLines(conflict: ConflictInfo, dir: string): readonly string[] {
  return [
    conflict.path,
    ...conflict.variants.map(
      (variant) => `  ${variant.mine ? 'mine' : 'theirs'}  ${variant.device}, ${variant.time}, ${variant.size} bytes`,
    ),
    `  keep one with: driftless resolve ${shellWord(dir)} ${shellWord(conflict.path)} --keep mine|theirs|both`,
  ];
}
