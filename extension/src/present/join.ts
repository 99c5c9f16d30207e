/**
 * The questions before a folder joins a room. Whoever holds the invite's secret decides what comes into the folder, sees all that is in it, and
 * can run code here; the name in the invite is anybody's word. Enter joins nothing.
 */
import { plural } from './text.ts';

export interface JoinFacts {
  readonly folderName: string;
  /** What the invite calls itself. */
  readonly from: string;
  readonly urls: readonly string[];
  readonly files: number;
  /** There are more of them than were counted. */
  readonly atLeast: boolean;
}
export interface JoinQuestion {
  readonly text: string;
  readonly detail: readonly string[];
  /** Beside Cancel. */
  readonly answers: readonly [no: string, yes: string];
}

const answers = ['Do Not Join', 'Join'] as const;

export function presentJoin(facts: JoinFacts): JoinQuestion {
  const { folderName, from, urls } = facts;
  return {
    text: `Join ${folderName} to the room at ${urls.join(', ')}?`,
    detail: [
      `The invite calls itself "${from}". Nothing proves that name: accept an invite only from somebody who gave it to you.`,
      '',
      `All that is in this folder is sent to the members of the room, now and from now on. ${heldText(facts)}`,
      '',
      'Members can run code here: tasks, settings and scripts are synced like every file.',
      '',
      'Nothing in it is deleted or overwritten: equal files are recognised, others of its own are shared, and a file that differs becomes a conflict for you to settle.',
    ],
    answers,
  };
}

/** Asked once more of a folder that is not empty, when nobody asked to join anything: a link was opened. */
export function presentJoinByLink(facts: JoinFacts): JoinQuestion {
  const { folderName, from } = facts;
  return {
    text: `Send what is in ${folderName} to whoever made this link?`,
    detail: [
      `A link was opened, perhaps by a page or a message, and ${folderName} is not empty. ${heldText(facts)}`,
      '',
      `To join the room of "${from}" with nothing of yours, open an empty folder first.`,
    ],
    answers: ['Do Not Join', `Send and Join`],
  };
}

function heldText({ files, atLeast }: JoinFacts): string {
  return files === 0 ? 'It is empty.' : `It holds ${atLeast ? 'at least ' : ''}${plural(files, 'file')}.`;
}
