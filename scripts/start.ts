/**
 * `npm start`: the main job on one machine. Builds, starts a relay on loopback and a headless peer for each of two demo
 * folders in `.demo/` (or for the folders named as arguments), and tells live what they do, until Ctrl-C.
 *
 * Nothing that it starts outlives it: it ends on signals and when its parent is gone, and each child ends with the channel to
 * it. Demo folders, relay store and keys stay in `.demo/` for the next run.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, join, relative, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { shownText } from '@driftless/protocol';
import { stop } from 'esbuild';
import { buildCommandLine, workspaceRoot } from './build.ts';
import { watchParent } from './parent-watch.ts';

/** Tests give it another place. */
const { DRIFTLESS_DEMO_DIR: demoPath = join(workspaceRoot, '.demo') } = process.env;
const portPath = join(demoPath, 'relay-port');
const commandLine = join(workspaceRoot, 'engine', 'dist', 'cli.js');
/** A peer closes within 4.5 s; what is left then is killed, which it survives. */
const endMsMax = 5_500;
/** A burst is shown by its first lines and a count. */
const linesPerBurst = 30;

/** What the command line tells in JSON, as far as it is shown here. */
interface Told {
  readonly event?: string;
  readonly url?: string;
  readonly invite?: string;
  readonly path?: string;
  readonly deleted?: boolean;
  readonly by?: string;
  readonly state?: string;
  readonly reason?: string;
  readonly next?: string;
}
interface Member {
  readonly name: string;
  readonly dir: string;
}

const children = new Set<ChildProcess>();
let ending: Promise<void> | undefined;

process.on('SIGINT', () => end(0));
process.on('SIGTERM', () => end(0));
process.on('SIGHUP', () => end(0));
process.stdout.on('error', () => end(0));
watchParent(() => end(0));

await start(process.argv.slice(2)).catch((error: unknown) => {
  if (ending !== undefined) return;
  console.error(`npm start: ${error instanceof Error ? error.message : String(error)}`);
  end(1);
});

async function start(folders: readonly string[]): Promise<void> {
  if (folders.length === 1)
    throw new Error('Name two folders or more to keep in sync, or none for the demo: npm start -- DIR DIR');
  await buildCommandLine();
  // Its helper process is not needed any more.
  await stop();
  mkdirSync(demoPath, { recursive: true });
  const members = folders.length === 0 ? makeDemoFolders() : membersOf(folders);
  const url = await startRelay();
  say('', `relay      ${url}  (this machine only)`);
  for (const member of members) say('', `${member.name.padEnd(10)} ${typed(member.dir)}`);

  const [first, ...rest] = members;
  if (first === undefined) return;
  const invite = await startPeer(first, ['share', first.dir, '--relay', url, '--name', first.name, '--json'], '');
  // The invite goes by stdin: arguments can be read by every user of the machine.
  await Promise.all(
    rest.map((member) => startPeer(member, ['join', '-', member.dir, '--name', member.name, '--json'], `${invite}\n`)),
  );
  explain(members);
}

/** Folders given by the user are called by their names; equal names are numbered. */
function membersOf(folders: readonly string[]): readonly Member[] {
  const { INIT_CWD: from = process.cwd() } = process.env;
  const dirs = [...new Set(folders.map((folder) => resolve(from, folder)))];
  if (dirs.length < 2) throw new Error('These are one and the same folder. Name two or more.');
  const names = dirs.map((dir) => basename(dir).slice(0, 20) || 'root');
  return dirs.map((dir, index) => {
    const name = names[index] ?? 'folder';
    return { dir, name: names.indexOf(name) === index ? name : `${name}-${index + 1}` };
  });
}

function makeDemoFolders(): readonly Member[] {
  const desktop = join(demoPath, 'desktop');
  const laptop = join(demoPath, 'laptop');
  if (!existsSync(desktop)) {
    for (const directory of ['notes', 'src', 'docs/images']) mkdirSync(join(desktop, directory), { recursive: true });
    const files: Readonly<Record<string, string>> = {
      'README.md': '# Field notes\n\nA small project that two machines work on.\n',
      'notes/today.md': '# Today\n\n- water the plants\n- write to Ada\n',
      'notes/ideas.md': '# Ideas\n\n- a kite that draws\n',
      'src/greet.ts': "export const greet = (name: string): string => 'Good morning, ' + name;\n",
      'src/main.ts': "import { greet } from './greet.ts';\n\nconsole.log(greet('Ada'));\n",
      'docs/images/dot.svg':
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><circle cx="4" cy="4" r="3"/></svg>\n',
      'run.sh': '#!/bin/sh\nexec node src/main.ts\n',
      '.gitignore': 'build/\n',
    };
    for (const [path, text] of Object.entries(files)) writeFileSync(join(desktop, path), text);
    if (process.platform !== 'win32') {
      chmodSync(join(desktop, 'run.sh'), 0o755);
      symlinkSync('notes/today.md', join(desktop, 'today.md'));
    }
  }
  mkdirSync(laptop, { recursive: true });
  return [
    { name: 'desktop', dir: desktop },
    { name: 'laptop', dir: laptop },
  ];
}

/** On the port of the last run if it is free. A new one is told to the peers, since sharing and joining again updates the address. */
async function startRelay(): Promise<string> {
  const last = existsSync(portPath) ? readFileSync(portPath, 'utf8').trim() : '0';
  const url = (await tryRelay(last)) ?? (last === '0' ? undefined : await tryRelay('0'));
  if (url === undefined) throw new Error('the relay does not start; its message is above');
  const { port } = new URL(url);
  if (last !== '0' && port !== last)
    say('', `port ${last} of the last run is taken: the relay uses ${port} from now on`);
  writeFileSync(portPath, `${port}\n`);
  return url;
}

async function tryRelay(port: string): Promise<string | undefined> {
  const child = run(['relay', '--port', port, '--data', join(demoPath, 'relay')], '');
  const url = await new Promise<string | undefined>((found) => {
    eachLine(child, (line) => {
      const event = parseEvent(line);
      if (event?.event === 'listening') found(event.url);
    });
    child.once('exit', () => found(undefined));
  });
  if (url !== undefined) child.once('exit', (code) => fail('the relay', code));
  return url;
}

/** Resolves with the invite when sharing, with '' otherwise, once the peer tells its first event. */
function startPeer(member: Member, parameters: readonly string[], input: string): Promise<string> {
  const child = run(parameters, input);
  const view = createMemberView(member);
  return new Promise((started, failed) => {
    eachLine(child, (line) => {
      const event = parseEvent(line);
      if (event === undefined) return;
      if (event.event === 'invite') started(event.invite ?? '');
      else {
        view(event);
        if (parameters[0] === 'join') started('');
      }
    });
    child.once('exit', (code) => {
      failed(new Error(`${member.name} did not start; its message is above`));
      fail(member.name, code);
    });
  });
}

function run(parameters: readonly string[], input: string): ChildProcess {
  const child = fork(commandLine, parameters, {
    stdio: ['pipe', 'pipe', 'inherit', 'ipc'],
    env: { ...process.env, DRIFTLESS_HOME: join(demoPath, 'home'), DRIFTLESS_RELAY_LOG: 'warn' },
  });
  children.add(child);
  child.once('exit', () => children.delete(child));
  // A child that ends before it reads says why itself.
  child.stdin?.on('error', () => undefined);
  child.stdin?.end(input);
  return child;
}

function eachLine(child: ChildProcess, onLine: (line: string) => void): void {
  if (child.stdout !== null) createInterface({ input: child.stdout }).on('line', onLine);
}

function parseEvent(line: string): Told | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as Told) : undefined;
  } catch {
    return undefined;
  }
}

function fail(who: string, code: number | null): void {
  if (ending !== undefined) return;
  console.error(`npm start: ${who} ended unexpectedly${code === null ? '' : ` (exit code ${code})`}`);
  end(1);
}

function createMemberView(member: Member): (event: Told) => void {
  let lines = 0;
  let lastState = '';
  const tell = (text: string): void => {
    lines += 1;
    if (lines <= linesPerBurst) say(member.name, text);
  };
  return (event) => {
    const path = event.path ?? '';
    switch (event.event) {
      case 'sent':
        return tell(`→ sent ${event.deleted === true ? 'deletion of ' : ''}${path}`);
      case 'applied':
        return tell(
          `← ${event.deleted === true ? 'deleted' : 'received'} ${path}${event.by === undefined ? '' : ` from ${event.by}`}`,
        );
      case 'conflict':
        return say(member.name, `! conflict in ${path}: both versions are kept`);
      case 'problem':
        return say(member.name, `! ${path === '' ? '' : `${path}: `}${event.reason}`);
      case 'state': {
        const { state = '' } = event;
        const isConnecting = state === 'offline' && lastState === '';
        if (state === 'scanning' || state === 'syncing' || isConnecting) return;
        if (lines > linesPerBurst) say(member.name, `  … and ${lines - linesPerBurst} more`);
        const more = [event.reason, event.next].filter((part) => part !== undefined).join('; ');
        const text = state === 'idle' ? '✓ in sync' : `${state}${more === '' ? '' : `: ${more}`}`;
        if (lines > 0 || text !== lastState) say(member.name, text);
        lines = 0;
        lastState = text;
      }
    }
  };
}

function explain(members: readonly Member[]): void {
  const [first, second] = members;
  if (first === undefined || second === undefined) return;
  const bin = typed(join(workspaceRoot, 'node_modules', '.bin', 'driftless'));
  const driftless = `DRIFTLESS_HOME=${join(demoPath, 'home')} ${bin}`;
  const lines = [
    '',
    'Edit, rename or delete anything in one folder and look into the other. For example, in another terminal:',
    `  echo "- call home" >> ${typed(join(first.dir, 'try.md'))}; sleep 1; cat ${typed(join(second.dir, 'try.md'))}`,
    `  ${driftless} status ${typed(first.dir)}`,
    'Ctrl-C stops everything. The folders, the store and the keys stay in .demo/ for the next run; delete it to begin anew.',
    '',
  ];
  for (const line of lines) console.log(line);
}

/** As a path to type: relative to where npm was called. */
function typed(path: string): string {
  const { INIT_CWD: from = process.cwd() } = process.env;
  const short = relative(from, path);
  return shownText(short.startsWith('..') ? path : short || '.');
}

function say(name: string, text: string): void {
  console.log(
    name === ''
      ? `  ${text}`
      : `${new Date().toTimeString().slice(0, 8)}  ${shownText(name).padEnd(10)} ${shownText(text)}`,
  );
}

/** Ends every child, then this process. */
function end(code: number): void {
  ending ??= endChildren().then(() => process.exit(code));
}

async function endChildren(): Promise<void> {
  const ended = [...children].map((child) => new Promise((resolve) => child.once('exit', resolve)));
  for (const child of children) child.kill('SIGTERM');
  const late = setTimeout(() => {
    for (const child of children) child.kill('SIGKILL');
  }, endMsMax);
  await Promise.all(ended);
  clearTimeout(late);
}
