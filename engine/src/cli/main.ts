/**
 * Entry of the command line: builds the adapters, runs one command, ends with its exit code. Bad input is one line with the
 * next step and exit code 2, a refused or failed run one line and 1.
 */
import { shownText } from '@driftless/protocol';
import { CommanderError } from 'commander';
import { shellWord } from '../core/shell-word.ts';
import type { FolderHost } from '../host-api.ts';
import { parseInvite } from '../invite-code.ts';
import { keepMemoryOutOfCoreDumps } from '../node/core-dumps.ts';
import { createFileSecrets } from '../node/file-secrets.ts';
import { createFolderHost } from '../node/folder-host.ts';
import { homePathOf, messageOf, openHome } from '../node/home.ts';
import { ignoreInspectorSignal } from '../node/inspector-signal.ts';
import {
  askConfirm,
  askConflicts,
  askDecline,
  askExplain,
  askPause,
  askResolve,
  askResume,
  askStatus,
  askTrustRelay,
  askUntrack,
  askVerify,
  type Question,
} from './ask.ts';
import { createOutput, type Output } from './output.ts';
import { type Actions, type AskFlags, createProgram, type RunFlags } from './program.ts';
import { joinLines, readInvite } from './read-invite.ts';
import { runFolders } from './run-folders.ts';
import { createStderrLog } from './stderr-log.ts';
import { createStop, type Stop } from './stop.ts';
import { exitCodeOf, exitCodes, UsageError } from './usage-error.ts';

/** What is still open after the command's end (an output that nobody reads) must not keep the process. */
const lingerMsMax = 1_000;

const outputOf = (json: boolean): Output => createOutput({ json, streams: process });
/** For commands that go on until they are stopped. */
const lastingOutputOf = (json: boolean): Output => createOutput({ json, streams: process, outlivesReader: true });

async function openHost(flags: AskFlags, output: Output): Promise<FolderHost> {
  const home = await openHome(homePathOf(process.env));
  const log = createStderrLog(output, flags.verbose);
  return createFolderHost({ home, secrets: createFileSecrets(home), ownerKind: 'cli', environment: process.env, log });
}

/** Runs one question on a host of its own. */
async function withHost(flags: AskFlags, work: (host: FolderHost, output: Output) => Promise<number>): Promise<number> {
  const output = outputOf(flags.json);
  const host = await openHost(flags, output);
  try {
    return await work(host, output);
  } finally {
    await host.close();
  }
}

const unpinnedWarning = (dir: string): string =>
  `It does not name the relay's identity yet: whoever joins with it trusts the relay that it meets first. Once the relay has answered here, one that does is shown by: driftless invite ${shellWord(dir)}`;

const asking =
  (question: (question: Question) => Promise<number>) =>
  (dir: string, flags: AskFlags): Promise<number> =>
    withHost(flags, (host, output) => question({ host, dir, output }));

async function keepInSync(
  flags: RunFlags,
  output: Output,
  { host, stop, dirs }: { readonly host: FolderHost; readonly stop: Stop; readonly dirs: readonly string[] },
): Promise<number> {
  return runFolders({
    host,
    dirs,
    ...(flags.onConflict === undefined ? {} : { policy: flags.onConflict }),
    allowMassDelete: flags.allowMassDelete,
    output,
    log: createStderrLog(output, flags.verbose),
    stop,
  });
}

const actions: Actions = {
  async relay(flags) {
    const { relayCommand } = await import('./relay-command.ts');
    const output = lastingOutputOf(true);
    return relayCommand(flags, output, createStop(output));
  },

  async share(dir, flags) {
    const output = lastingOutputOf(flags.json);
    const stop = createStop(output);
    const host = await openHost(flags, output);
    const existing = await host.linkOf(dir);
    const urls = flags.relay.length > 0 ? flags.relay : (existing?.urls ?? []);
    const { link, invite, pinsRelay } = await host.share({
      dir,
      urls,
      name: flags.name,
      policy: flags.onConflict ?? 'keep-both',
      allowPlain: flags.allowPlain || flags.relay.length === 0,
    });
    output.object({ event: 'invite', invite, pinsRelay, dir: link.dir, time: new Date().toISOString() });
    if (!output.json) {
      output.line("Invite (it carries the room's secret: give it to your own machines only, by paste or in a file):");
      output.line(invite);
      output.line('There, run: driftless join - DIR, and paste it.');
      if (!pinsRelay) output.line(unpinnedWarning(link.dir));
    }
    return keepInSync(flags, output, { host, stop, dirs: [dir] });
  },

  async join(source, dir, flags) {
    const output = lastingOutputOf(flags.json);
    const invite = await readInvite(source, { stdin: process.stdin, output });
    const parsed = parseInvite(invite);
    if (parsed.ok) for (const line of joinLines(parsed.value, dir)) output.line(line);
    const stop = createStop(output);
    const host = await openHost(flags, output);
    await host.join({
      invite,
      dir,
      name: flags.name,
      policy: flags.onConflict ?? 'keep-both',
      allowPlain: flags.allowPlain,
    });
    return keepInSync(flags, output, { host, stop, dirs: [dir] });
  },

  async sync(dirs, flags) {
    const output = lastingOutputOf(flags.json);
    const stop = createStop(output);
    const host = await openHost(flags, output);
    const chosen = dirs.length > 0 ? dirs : (await host.links()).map((link) => link.dir);
    if (chosen.length === 0)
      throw new UsageError('No folder is linked. Link one: driftless share DIR --relay URL, or driftless join - DIR');
    // Named twice is named once; what is not linked is said before anything starts.
    const linked = new Set<string>();
    for (const dir of chosen) linked.add((await host.linkOf(dir))?.dir ?? dir);
    return keepInSync(flags, output, { host, stop, dirs: [...linked] });
  },

  unlink: (dir, flags) =>
    withHost(flags, async (host, output) => {
      await host.unlink(dir);
      output.object({ event: 'unlinked', dir });
      if (!output.json) output.line(`${dir} is no longer linked; its files stay.`);
      return exitCodes.ok;
    }),
  invite: (dir, flags) =>
    withHost(flags, async (host, output) => {
      const { invite, pinsRelay } = await host.invite(dir);
      output.object({ event: 'invite', invite, pinsRelay, dir });
      if (!output.json) output.line(invite);
      if (!output.json && !pinsRelay) output.warn(unpinnedWarning(dir));
      return exitCodes.ok;
    }),
  status: asking(askStatus),
  verify: asking(askVerify),
  conflicts: asking(askConflicts),
  pause: asking(askPause),
  resume: asking(askResume),
  confirm: (dir, flags, choice) => withHost(flags, (host, output) => askConfirm({ host, dir, output }, choice)),
  decline: (dir, flags, choice) => withHost(flags, (host, output) => askDecline({ host, dir, output }, choice)),
  trustRelay: (dir, key, flags) => withHost(flags, (host, output) => askTrustRelay({ host, dir, output }, key)),
  explain: (dir, path, flags) => withHost(flags, (host, output) => askExplain({ host, dir, output }, path)),
  untrack: (dir, path, flags) => withHost(flags, (host, output) => askUntrack({ host, dir, output }, path)),
  resolve: (dir, path, flags) => withHost(flags, (host, output) => askResolve({ host, dir, output }, path, flags.keep)),
  async completion(script) {
    outputOf(false).script(script);
    return exitCodes.ok;
  },
};

async function main(): Promise<number> {
  let exitCode: number = exitCodes.ok;
  const program = createProgram(actions, (code) => {
    exitCode = code;
  });
  // Set on every command: subcommands were made before.
  for (const command of [program, ...program.commands]) {
    command.exitOverride();
    command.configureOutput({
      outputError: (text, write) =>
        write(
          `driftless: ${shownText(
            text
              .trim()
              .replace(/^error: /, '')
              .replaceAll('\n', ' ')
              .replace(/\.+$/, ''),
          )}. Run: driftless ${command === program ? '' : `${command.name()} `}--help\n`,
        ),
    });
  }
  try {
    await program.parseAsync(process.argv);
    return exitCode;
  } catch (error) {
    // Commander has said what was wrong; help and version are no errors.
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
    outputOf(true).warn(`driftless: ${messageOf(error)}`);
    return exitCodeOf(error);
  }
}

keepMemoryOutOfCoreDumps();
ignoreInspectorSignal();
process.exitCode = await main();
setTimeout(() => process.exit(), lingerMsMax).unref();
