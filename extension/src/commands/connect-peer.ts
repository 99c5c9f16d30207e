/**
 * "Sync: Connect Peer": share a folder and offer its invite, or join with one. Nothing is made before every question is answered,
 * the long steps can be cancelled, and a cancelled one leaves the folder as it was. An invite is shown nowhere and logged nowhere.
 */
import * as vscode from 'vscode';
import { previewInviteRequest } from '../channel.ts';
import type { CommandContext } from '../context.ts';
import { refusalOf } from '../folders.ts';
import type { NamedFolder } from '../present/folder-view.ts';
import { inviteOf } from '../present/invite-text.ts';
import { type JoinQuestion, presentJoin, presentJoinByLink } from '../present/join.ts';
import { messages } from '../present/messages.ts';
import { ask, askForText, pick, tell, tellBriefly, withProgress } from '../window.ts';
import { agreeToPlain } from './agree-to-plain.ts';
import { offerInvite } from './copy-invite.ts';
import { followFirstSync } from './first-sync.ts';
import { pickFolder } from './pick-folder.ts';
import { pickRelay } from './pick-relay.ts';

const title = 'Sync: Connect Peer';
/** Counting more of a folder's files says nothing more. */
const previewFilesMax = 10_000;

/** With `invite` given (a link was opened) the folder joins that room. */
export async function connectPeer(context: CommandContext, invite?: string): Promise<void> {
  if (!vscode.workspace.isTrusted) {
    void tell('info', messages.notTrusted);
    return;
  }
  const named = context.folders.list().map((folder) => folder.name);
  const folder = await pickFolder(context, {
    title,
    fits: ({ view }) => view.kind === 'unlinked',
    nothing: messages.alreadyConnected(named.join(', ')),
  });
  if (folder === undefined) return;
  if (invite !== undefined) return join(context, folder, invite, { byLink: true });
  const way = await pick(
    [
      {
        icon: 'broadcast',
        label: 'Share this folder',
        detail: 'Makes a room from it, and an invite for your other machines.',
        way: 'share' as const,
      },
      {
        icon: 'plug',
        label: 'Join with an invite',
        detail: 'Connects this folder to one that another machine shares.',
        way: 'join' as const,
      },
    ],
    { title, placeHolder: `${folder.name}: share it, or join another machine's folder?` },
  );
  if (way?.way === 'share') await share(context, folder);
  if (way?.way === 'join') {
    const typed = await askForInvite(context);
    if (typed !== undefined) await join(context, folder, typed, { byLink: false });
  }
}

async function share(context: CommandContext, folder: NamedFolder): Promise<void> {
  const choice = await pickRelay(context, title);
  if (choice === undefined) return;
  const shared = await withPlainAgreed(choice.plainAgreed, (allowPlain) =>
    withProgress({ title: `Sharing ${folder.name}`, cancellable: true }, (token) =>
      context.folders.share({ dir: folder.dir, urls: choice.urls, allowPlain }, token).then(() => true),
    ),
  );
  if (shared === undefined) return;
  offerInvite(context, folder, { note: choice.note });
  await followFirstSync(context, folder.dir);
}

async function askForInvite(context: CommandContext): Promise<string | undefined> {
  return askForText({
    title,
    prompt: 'Paste the invite from the other machine. It is as secret as a password.',
    placeHolder: 'driftless1-…',
    password: true,
    refusalOf: async (text) => {
      if (text.trim() === '') return '';
      const preview = await context.host.request(previewInviteRequest, { text: inviteOf(text) });
      return preview.kind === 'valid' ? undefined : preview.reason;
    },
  });
}

async function join(
  context: CommandContext,
  folder: NamedFolder,
  text: string,
  { byLink }: { readonly byLink: boolean },
): Promise<void> {
  const invite = inviteOf(text);
  const preview = await context.host.request(previewInviteRequest, { text: invite });
  if (preview.kind === 'invalid') {
    void tell('error', preview.reason);
    return;
  }
  const files = await vscode.workspace.findFiles(
    new vscode.RelativePattern(vscode.Uri.file(folder.dir), '**/*'),
    null,
    previewFilesMax,
  );
  const facts = {
    folderName: folder.name,
    from: preview.from,
    urls: preview.urls,
    files: files.length,
    atLeast: files.length === previewFilesMax,
  };
  if (!(await agreesTo(presentJoin(facts)))) return;
  if (byLink && files.length > 0 && !(await agreesTo(presentJoinByLink(facts)))) return;
  const joined = await withPlainAgreed(false, (allowPlain) =>
    withProgress({ title: `Joining ${folder.name}`, cancellable: true }, (token) =>
      context.folders.join({ dir: folder.dir, invite, allowPlain }, token).then(() => true),
    ),
  );
  if (joined === undefined) return;
  await followFirstSync(context, folder.dir);
  tellBriefly(messages.joined(folder.name));
}

async function agreesTo(question: JoinQuestion): Promise<boolean> {
  const [, yes] = question.answers;
  return (await ask(question)) === yes;
}

/** Plain `ws://` to another machine needs a yes, once, from a person who knows what shows. undefined: no. */
async function withPlainAgreed<Answer>(
  agreed: boolean,
  work: (allowPlain: boolean) => Promise<Answer>,
): Promise<Answer | undefined> {
  try {
    return await work(agreed);
  } catch (error) {
    if (isCancelled(error)) return undefined;
    if (agreed || refusalOf(error) !== 'plain-refused') throw error;
  }
  return (await agreeToPlain()) ? work(true) : undefined;
}

function isCancelled(error: unknown): boolean {
  return error instanceof vscode.CancellationError || (error instanceof Error && error.message === 'Cancelled.');
}
