/** Takes an invite from stdin, where other users of the machine cannot see it. */
import type { Readable } from 'node:stream';
import type { Output } from './output.ts';
import { UsageError } from './usage-error.ts';

/** An invite is some 200 characters; more is something else. */
const inviteCharactersMax = 16_384;

/** Up to the first line end, or the end of the input. Errors: UsageError when there is nothing, or far too much. */
export async function readInvite(input: Readable & { readonly isTTY?: boolean }, output: Output): Promise<string> {
  if (input.isTTY === true) output.warn('Paste the invite, then press Enter:');
  let text = '';
  input.setEncoding('utf8');
  for await (const piece of input) {
    text += String(piece);
    if (text.length > inviteCharactersMax)
      throw new UsageError('What stdin holds is no invite. Pipe one in: driftless invite DIR | driftless join - DIR');
    const line = text.trimStart().split('\n', 2);
    if (line.length === 2) break;
  }
  const invite = text.trim().split('\n', 1)[0]?.trim() ?? '';
  if (invite === '')
    throw new UsageError('There is no invite on stdin. Pipe one in: driftless invite DIR | driftless join - DIR');
  return invite;
}
