/** The command line: what each command takes, in words that people read, and which function carries it out. */
import { hostname } from 'node:os';
import { limits } from '@driftless/protocol';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { ConflictPolicy, HoldChoice, HoldKind, Keep } from '../control.ts';
import { completionScript } from './completion.ts';
import { UsageError } from './usage-error.ts';
import { version } from './version.ts';

export interface RelayFlags {
  readonly host?: string;
  readonly port?: number;
  readonly data?: string;
  readonly allowPlain: boolean;
  readonly showKey: boolean;
  readonly verbose: boolean;
}
export interface RunFlags {
  readonly name: string;
  readonly onConflict?: ConflictPolicy;
  readonly allowMassDelete: boolean;
  readonly allowPlain: boolean;
  readonly relay: readonly string[];
  readonly json: boolean;
  readonly verbose: boolean;
}
/** Where `join` takes the invite from. */
export type InviteSource =
  | { readonly kind: 'stdin' }
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'argument'; readonly text: string };
export interface AskFlags {
  readonly json: boolean;
  readonly verbose: boolean;
}

/** What main.ts gives: each resolves with the exit code. */
export interface Actions {
  relay(flags: RelayFlags): Promise<number>;
  share(dir: string, flags: RunFlags): Promise<number>;
  join(source: InviteSource, dir: string, flags: RunFlags): Promise<number>;
  sync(dirs: readonly string[], flags: RunFlags): Promise<number>;
  unlink(dir: string, flags: AskFlags): Promise<number>;
  invite(dir: string, flags: AskFlags): Promise<number>;
  status(dir: string, flags: AskFlags): Promise<number>;
  verify(dir: string, flags: AskFlags): Promise<number>;
  conflicts(dir: string, flags: AskFlags): Promise<number>;
  resolve(dir: string, path: string, flags: AskFlags & { readonly keep: Keep }): Promise<number>;
  explain(dir: string, path: string, flags: AskFlags): Promise<number>;
  pause(dir: string, flags: AskFlags): Promise<number>;
  resume(dir: string, flags: AskFlags): Promise<number>;
  confirm(dir: string, flags: AskFlags, choice: HoldChoice): Promise<number>;
  decline(dir: string, flags: AskFlags, choice: HoldChoice): Promise<number>;
  untrack(dir: string, path: string, flags: AskFlags): Promise<number>;
  trustRelay(dir: string, key: string, flags: AskFlags): Promise<number>;
  completion(script: string): Promise<number>;
}

const policies: readonly ConflictPolicy[] = ['keep-both', 'newest', 'ask'];
const holdKinds: readonly HoldKind[] = ['deletions', 'root', 'disk', 'scope', 'record', 'checkpoint'];
const pathHelp = 'in the folder, also as another command showed it (\\u and four hex digits are a character)';
const defaultPort = 4747;

/** `onExit` is told the exit code of the command that ran. */
export function createProgram(actions: Actions, onExit: (code: number) => void): Command {
  const program = new Command('driftless')
    .description('Keeps folders on several machines in sync, in real time, end-to-end encrypted.')
    .version(version)
    .helpCommand(true)
    .addHelpText(
      'after',
      `
Two folders in sync:
  $ driftless relay                                              on a machine that both can reach
  $ driftless share ~/notes --relay ws://127.0.0.1:4747          prints an invite
  $ driftless join - ~/notes-too                                 asks for that invite

Exit codes: 0 done · 1 refused or failed · 2 bad input.
State and keys lie below $DRIFTLESS_HOME (default: the platform's data directory).`,
    );

  const asking = (name: string, description: string): Command =>
    program
      .command(name)
      .description(description)
      .option('--json', 'one JSON object on stdout', false)
      .option('--verbose', 'diagnostics on stderr', false);
  const answering = (name: 'confirm' | 'decline', description: string): Command =>
    asking(name, description)
      .argument('<dir>')
      .argument('[id]', 'which one, as `driftless status` lists them; needed when several things are held')
      .addOption(new Option('--kind <kind>', 'which one, by its kind').choices(holdKinds))
      .action(async (dir: string, id: string | undefined, flags: AskFlags & { readonly kind?: HoldKind }) =>
        onExit(
          await actions[name](dir, flags, {
            ...(id === undefined ? {} : { id }),
            ...(flags.kind === undefined ? {} : { kind: flags.kind }),
          }),
        ),
      );
  const running = (name: string, description: string): Command =>
    program
      .command(name)
      .description(description)
      .addOption(new Option('--on-conflict <policy>', 'what becomes of overlapping edits').choices(policies))
      .option(
        '--allow-mass-delete',
        'let a deletion of most files through without asking, here and from other machines; nothing else that is held',
        false,
      )
      .option('--json', 'one JSON object a line on stdout; words for people on stderr', false)
      .option('--verbose', 'diagnostics on stderr', false);
  const named = (command: Command): Command =>
    command
      .option('--name <name>', 'name of this device, for the others', parseName, defaultName())
      .option('--allow-plain', 'allow ws:// to other machines', false);

  program
    .command('relay')
    .description('run a relay: it orders, stores and forwards what it cannot read')
    .option('--host <address>', 'address to listen on (default: 127.0.0.1)')
    .option('--port <number>', `port to listen on; 0 takes a free one (default: ${defaultPort})`, parsePort)
    .option('--data <dir>', 'where it stores (default: below $DRIFTLESS_HOME)')
    .option('--allow-plain', 'listen without TLS beyond this machine', false)
    .option('--show-key', "print the relay's key, which invites pin, and end", false)
    .option('--json', 'as always: the listening line is JSON')
    .option('--verbose', 'diagnostics on stderr', false)
    .addHelpText(
      'after',
      '\nPrints {"event":"listening","url":"ws://…","key":"…"} once it listens; ends on SIGINT or SIGTERM.\n\nExample:\n  $ driftless relay --data /var/lib/driftless',
    )
    .action(async (flags: RelayFlags) => onExit(await actions.relay(flags)));

  named(running('share', 'make a room from a folder, print its invite, keep it in sync'))
    .argument('<dir>', 'the folder')
    .option('--relay <url>', 'address of the relay; repeat it for more than one', collect, [])
    .addHelpText(
      'after',
      '\nThe relay need not be up yet. On a folder that is linked already: prints its invite and goes on.\n\nExample:\n  $ driftless share ~/notes --relay ws://127.0.0.1:4747 --name desktop',
    )
    .action(async (dir: string, flags: RunFlags) => onExit(await actions.share(dir, flags)));

  named(running('join', 'join the room of an invite with a folder, keep it in sync'))
    .usage('[options] - <dir>\n       driftless join [options] --invite-file <file> <dir>')
    .argument(
      '<where...>',
      '"-", which reads the invite from stdin, and the folder; it is made when it is missing, nothing in it is overwritten or deleted',
    )
    .option('--invite-file <file>', 'read the invite from a file that only you can read')
    .addHelpText(
      'after',
      `
An invite is a password: in the arguments of a command other users of this machine can read it, and it stays in the shell's history.
All that is in the folder is sent to the room's members. They can run code here, through tasks, settings and scripts that are synced.

Examples:
  $ driftless join - ~/notes                                            asks for the invite
  $ ssh desktop driftless invite notes | driftless join - ~/notes
  $ driftless join --invite-file ~/invite.txt ~/notes`,
    )
    .action(async (where: readonly string[], { inviteFile, ...flags }: RunFlags & { readonly inviteFile?: string }) => {
      const { source, dir } = joinPlaces(where, inviteFile);
      onExit(await actions.join(source, dir, { ...flags, relay: [] }));
    });

  running('sync', 'keep linked folders in sync, after a stop or a crash')
    .argument('[dir...]', 'the folders; without any, all that are linked')
    .addHelpText('after', '\nExample:\n  $ driftless sync ~/notes ~/code/site')
    .action(async (dirs: readonly string[], flags: RunFlags) =>
      onExit(await actions.sync(dirs, { ...flags, relay: [] })),
    );

  asking('unlink', 'forget the link of a folder; its files stay')
    .argument('<dir>')
    .addHelpText(
      'after',
      '\nWhen the folder joins the same room again, files and links that the room has deleted meanwhile, and that nobody touched here, go to the trash; directories that it has deleted go when nothing is left in them.',
    )
    .action(async (dir: string, flags: AskFlags) => onExit(await actions.unlink(dir, flags)));
  asking('invite', 'print the invite of a linked folder')
    .argument('<dir>')
    .addHelpText(
      'after',
      "\nThe invite carries the room's secret: whoever has it can read and write the room. Give it to your own machines only.",
    )
    .action(async (dir: string, flags: AskFlags) => onExit(await actions.invite(dir, flags)));
  asking('status', 'what a linked folder is doing, whether or not its peer runs')
    .argument('<dir>')
    .action(async (dir: string, flags: AskFlags) => onExit(await actions.status(dir, flags)));
  asking('verify', "hash the folder again and compare it with the room's head")
    .argument('<dir>')
    .action(async (dir: string, flags: AskFlags) => onExit(await actions.verify(dir, flags)));
  asking('conflicts', 'list open conflicts')
    .argument('<dir>')
    .action(async (dir: string, flags: AskFlags) => onExit(await actions.conflicts(dir, flags)));
  asking('resolve', 'settle a conflict, on every machine')
    .argument('<dir>')
    .argument('<path>', 'as `driftless conflicts` lists it')
    .addOption(
      new Option('--keep <side>', 'which content stays').choices(['mine', 'theirs', 'both']).makeOptionMandatory(),
    )
    .addHelpText('after', '\nExample:\n  $ driftless resolve ~/notes todo.md --keep both')
    .action(async (dir: string, path: string, flags: AskFlags & { readonly keep: Keep }) =>
      onExit(await actions.resolve(dir, path, flags)),
    );
  asking('explain', 'why a path is, or is not, in sync')
    .argument('<dir>')
    .argument('<path>', pathHelp)
    .action(async (dir: string, path: string, flags: AskFlags) => onExit(await actions.explain(dir, path, flags)));
  asking('pause', 'stop sending and applying; edits are kept for later')
    .argument('<dir>')
    .action(async (dir: string, flags: AskFlags) => onExit(await actions.pause(dir, flags)));
  asking('resume', 'go on after a pause')
    .argument('<dir>')
    .action(async (dir: string, flags: AskFlags) => onExit(await actions.resume(dir, flags)));
  answering('confirm', 'let one thing that is held go ahead: what it lists, and nothing else').addHelpText(
    'after',
    '\nShows what is held and confirms it. With several, lists them and confirms none.\n\nExamples:\n  $ driftless confirm ~/notes\n  $ driftless confirm ~/notes 1f3a9c02\n  $ driftless confirm ~/notes --kind deletions',
  );
  answering('decline', 'keep the files of a held deletion, on every machine').addHelpText(
    'after',
    '\nFiles that are gone here come back from the room; files that another machine deleted are sent to it again.\nWith several things held, lists them and declines none.\n\nExamples:\n  $ driftless decline ~/notes\n  $ driftless decline ~/notes 1f3a9c02',
  );
  asking('untrack', 'take a path out of the room; no disk is touched')
    .argument('<dir>')
    .argument('<path>', pathHelp)
    .action(async (dir: string, path: string, flags: AskFlags) => onExit(await actions.untrack(dir, path, flags)));
  asking('trust-relay', "accept a relay's new identity key")
    .argument('<dir>')
    .argument('<key>', 'as "driftless relay --show-key" prints it on the machine of the relay')
    .action(async (dir: string, key: string, flags: AskFlags) => onExit(await actions.trustRelay(dir, key, flags)));

  program
    .command('completion')
    .description('print a completion script for a shell')
    .argument('<shell>', 'bash, zsh or fish')
    .addHelpText('after', '\nExample:\n  $ source <(driftless completion bash)')
    .action(async (shell: string) => onExit(await actions.completion(completionScript(program, shell))));

  return program;
}

/** Errors: UsageError, which quotes nothing of what may be an invite. */
function joinPlaces(
  where: readonly string[],
  inviteFile: string | undefined,
): { readonly source: InviteSource; readonly dir: string } {
  const [first = '', second, ...more] = where;
  if (inviteFile !== undefined && second === undefined)
    return { source: { kind: 'file', path: inviteFile }, dir: first };
  if (inviteFile !== undefined || second === undefined || more.length > 0)
    throw new UsageError(
      'Name the folder, and where the invite comes from: driftless join - DIR, or driftless join --invite-file FILE DIR',
    );
  return { source: first === '-' ? { kind: 'stdin' } : { kind: 'argument', text: first }, dir: second };
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port > 65_535) throw new InvalidArgumentError('It is a number from 0 to 65535.');
  return port;
}

function parseName(text: string): string {
  if (text.trim() === '' || Buffer.byteLength(text) > limits.deviceNameBytesMax || /\p{Cc}/u.test(text)) {
    throw new InvalidArgumentError(`It is 1 to ${limits.deviceNameBytesMax} bytes of printable text.`);
  }
  return text.trim();
}

/** The machine's name without its domain. */
function defaultName(): string {
  const name = hostname().split('.', 1)[0] ?? '';
  return name === '' || Buffer.byteLength(name) > limits.deviceNameBytesMax ? 'device' : name;
}

const collect = (value: string, before: readonly string[]): readonly string[] => [...before, value];
