/** Takes an invite from stdin or a file, where other users of the machine cannot see it, and says what accepting one means. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { shellWord } from '../core/shell-word.ts';
import type { Invite } from '../invite.ts';
import { codeOf } from '../node/home.ts';
import type { Output } from './output.ts';
import type { InviteSource } from './program.ts';
import { UsageError } from './usage-error.ts';

/** An invite is some 200 characters; more is something else. */
const inviteCharactersMax = 16_384;

/** Errors: UsageError when there is nothing, far too much, or a file that others can read. */
export async function readInvite(
  source: InviteSource,
  { stdin, output }: { readonly stdin: Readable & { readonly isTTY?: boolean }; readonly output: Output },
): Promise<string> {
  switch (source.kind) {
    case 'argument':
      output.warn(
        'driftless: an invite given as an argument is seen by other users of this machine, and stays in the shell\'s history; "-" reads it from stdin',
      );
      return source.text;
    case 'stdin':
      if (stdin.isTTY === true) output.warn('Paste the invite, then press Enter:');
      return firstLine(stdin, 'stdin');
    case 'file':
      await assertPrivate(source.path);
      return firstLine(createReadStream(source.path), source.path);
  }
}

async function assertPrivate(file: string): Promise<void> {
  const facts = await stat(file).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') throw new UsageError(`There is no file ${file}.`);
    throw error;
  });
  if (!facts.isFile()) throw new UsageError(`${file} is no file.`);
  if (process.platform !== 'win32' && (facts.mode & 0o077) !== 0)
    throw new UsageError(`${file} is open to other users and holds a key. Run: chmod 600 ${shellWord(file)}`);
}

/** Up to the first line end, or the end of the input. */
async function firstLine(input: Readable, where: string): Promise<string> {
  let text = '';
  input.setEncoding('utf8');
  for await (const piece of input) {
    text += String(piece);
    if (text.length > inviteCharactersMax)
      throw new UsageError(
        `What ${where} holds is no invite. Pipe one in: driftless invite DIR | driftless join - DIR`,
      );
    const line = text.trimStart().split('\n', 2);
    if (line.length === 2) break;
  }
  const invite = text.trim().split('\n', 1)[0]?.trim() ?? '';
  if (invite === '')
    throw new UsageError(`There is no invite in ${where}. Pipe one in: driftless invite DIR | driftless join - DIR`);
  return invite;
}

/** What a person should know who accepts it. */
export function joinLines({ from, urls }: Pick<Invite, 'from' | 'urls'>, dir: string): readonly string[] {
  return [
    `Joining the room of an invite that calls itself "${from}" (nothing proves that name), through ${urls.join(', ')}.`,
    `All that is in ${dir} is sent to its members, now and from now on. They can run code here: tasks, settings and scripts are synced.`,
  ];
}
