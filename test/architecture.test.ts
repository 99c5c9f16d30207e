/**
 * Keeps the import directions true, so that what the design promises can be read off the import graph: the relay cannot read
 * contents because it cannot reach the code that opens them; the core is pure because nothing impure is in its reach.
 *
 * Reads import and export statements as text. Tests, and the helpers in `testing/`, may construct what they like.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix, relative } from 'node:path';
import { describe, expect, test } from 'vitest';

const root = dirname(import.meta.dirname);
const packages = ['protocol', 'relay', 'engine', 'extension'] as const;

interface ImportStatement {
  /** Repository path of a relative import; otherwise the name as written (`node:fs`, `ws`, `@driftless/protocol`). */
  readonly target: string;
  readonly isTypeOnly: boolean;
}
interface SourceFile {
  /** From the root, with `/`. */
  readonly path: string;
  /** Without comments. */
  readonly code: string;
  readonly imports: readonly ImportStatement[];
}

const sources = packages.flatMap((name) => sourceFiles(join(root, name, 'src')));
const production = sources.filter(({ path }) => !/\.test\.ts$|\/(testing|test-support)\//.test(path));

function sourceFiles(directory: string): readonly SourceFile[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => readSource(join(directory, name)));
}

function readSource(file: string): SourceFile {
  const path = relative(root, file).replaceAll('\\', '/');
  const code = withoutComments(readFileSync(file, 'utf8'));
  const imports: ImportStatement[] = [];
  const statements =
    /^\s*(?:import|export)\s+(type\s)?[^;'"]*?\bfrom\s*['"]([^'"]+)['"]|^\s*import\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)(\.)?/gm;
  for (const [, type, from, bare, dynamic, member] of code.matchAll(statements)) {
    const name = from ?? bare ?? dynamic ?? '';
    const target = name.startsWith('.') ? posix.join(posix.dirname(path), name) : name;
    // `import('x').T` names a type; a program would await it first.
    imports.push({ target, isTypeOnly: type !== undefined || (dynamic !== undefined && member !== undefined) });
  }
  return { path, code, imports };
}

function withoutComments(text: string): string {
  return text.replace(/^\s*\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');
}

const within = (folder: string) => (path: string) => path.startsWith(`${folder}/`);
const isOwnPackage = (name: string): boolean => name.startsWith('@driftless/');
const isRelayPackage = (name: string): boolean => name === '@driftless/relay' || within('relay')(name);
const isEnginePackage = (name: string): boolean => name === '@driftless/engine' || within('engine')(name);
const processEntries = ['extension/src/engine-process.ts', 'extension/src/relay-process.ts'];

interface Rule {
  readonly name: string;
  readonly applies: (path: string) => boolean;
  readonly allows: (statement: ImportStatement, path: string) => boolean;
}
const rules: readonly Rule[] = [
  {
    name: 'relative imports stay in their package and name a .ts file, or generated code',
    applies: () => true,
    allows: ({ target }, path) =>
      !target.includes('/src/') || (target.split('/')[0] === path.split('/')[0] && /\.ts$|\/gen\/.*\.js$/.test(target)),
  },
  {
    name: 'protocol imports nothing of ours',
    applies: within('protocol'),
    allows: ({ target }) => !isOwnPackage(target) && target !== 'vscode',
  },
  {
    name: 'the relay imports the protocol, and never the engine',
    applies: within('relay'),
    allows: ({ target }) => !isOwnPackage(target) || target === '@driftless/protocol',
  },
  {
    name: 'in the engine, only the command line imports the relay',
    applies: (path) => within('engine')(path) && !within('engine/src/cli')(path),
    allows: ({ target }) => !isRelayPackage(target),
  },
  {
    name: 'the core is pure: itself, the protocol and diff; of ports and of the control contract only types',
    applies: within('engine/src/core'),
    allows: ({ target, isTypeOnly }) =>
      within('engine/src/core')(target) ||
      ['@driftless/protocol', 'diff'].includes(target) ||
      (isTypeOnly && (within('engine/src/ports')(target) || target === 'engine/src/control.ts')),
  },
  {
    name: 'ports are interfaces over the core and the protocol',
    applies: within('engine/src/ports'),
    allows: ({ target }) => target === '@driftless/protocol' || /^engine\/src\/(ports|core)\//.test(target),
  },
  {
    name: 'verbs see ports, not adapters',
    applies: (path) => within('engine/src')(path) && !/^engine\/src\/(node\/|cli\/|index\.ts)/.test(path),
    allows: ({ target }) => !/^engine\/src\/(node|cli)\//.test(target),
  },
  {
    name: 'adapters do not know the command line',
    applies: within('engine/src/node'),
    allows: ({ target }) => !within('engine/src/cli')(target),
  },
  {
    name: 'vscode is in the extension only, and there neither in present/ nor in the process entries',
    applies: (path) =>
      !within('extension')(path) || within('extension/src/present')(path) || processEntries.includes(path),
    allows: ({ target }) => target !== 'vscode',
  },
  {
    name: 'the extension runs engine and relay in processes of their own: elsewhere it knows types of the engine only',
    applies: (path) => within('extension')(path) && !processEntries.includes(path),
    allows: ({ target, isTypeOnly }) => !isRelayPackage(target) && (!isEnginePackage(target) || isTypeOnly),
  },
];

describe('imports', () => {
  test.each(rules)('$name', ({ applies, allows }) => {
    const files = production.filter(({ path }) => applies(path));
    expect(files.length).toBeGreaterThan(0);
    const broken = files.flatMap(({ path, imports }) =>
      imports.filter((statement) => !allows(statement, path)).map(({ target }) => `${path} imports ${target}`),
    );
    expect(broken).toEqual([]);
  });

  test('process entries of the extension reach no vscode, through whatever they import', () => {
    const byPath = new Map(sources.map((source) => [source.path, source]));
    const reached = new Set<string>();
    const reach = (path: string): void => {
      if (reached.has(path)) return;
      reached.add(path);
      for (const { target, isTypeOnly } of byPath.get(path)?.imports ?? []) if (!isTypeOnly) reach(target);
    };
    for (const entry of processEntries) {
      expect(byPath.has(entry)).toBe(true);
      reach(entry);
    }
    expect([...reached]).not.toContain('vscode');
  });

  test('the statements are found', () => {
    const imports = production.flatMap((source) => source.imports);
    expect(imports.length).toBeGreaterThan(production.length);
    expect(new Set(production.map(({ path }) => path.split('/')[0]))).toEqual(new Set(packages));
    const server = production.find(({ path }) => path === 'relay/src/server.ts');
    expect(server?.imports).toContainEqual({ target: 'ws', isTypeOnly: false });
    expect(server?.imports).toContainEqual({ target: 'relay/src/channel.ts', isTypeOnly: true });
  });
});

describe('writing into a linked folder', () => {
  const adapters = /^engine\/src\/(disk-folder|folder|own-directory|node|testing)/;
  const callersOf = (call: RegExp): readonly string[] =>
    production.filter(({ path, code }) => !adapters.test(path) && call.test(code)).map(({ path }) => path);

  test('only the replace journal puts one thing in the place of another (INTENT)', () => {
    const calls =
      /\.(?:swapIn|settleSwap|removeFile|makeSymlink)\(|\bfolder\s*\.\s*(?:makeDirectory|removeDirectory)\(/;
    expect(callersOf(calls)).toEqual(['engine/src/apply/replace-journal.ts']);
  });

  test("renames and what comes back from the trash are apply's; a mode can be repeated and needs no journal", () => {
    expect(callersOf(/\bfolder\s*\.\s*rename\(/)).toEqual(['engine/src/apply/moves.ts']);
    expect(callersOf(/\.restoreTrash\(/)).toEqual([
      'engine/src/apply/moves.ts',
      'engine/src/apply/replace-journal.ts',
      'engine/src/apply/trash-keeper.ts',
    ]);
  });
});

describe('SHOWN: text from outside', () => {
  const callersOf = (call: RegExp, within: RegExp): readonly string[] =>
    production.filter(({ path, code }) => within.test(path) && call.test(code)).map(({ path }) => path);

  test('in VS Code one module shows it: elsewhere the window is only watched', () => {
    const watched = new Set(['activeTextEditor', 'tabGroups', 'registerUriHandler']);
    const uses = production
      .filter(({ path }) => within('extension')(path) && path !== 'extension/src/window.ts')
      .flatMap(({ path, code }) =>
        [...code.matchAll(/\bvscode\s*\.\s*window\s*\.\s*(\w+)/g)].map(([, member = '']) => ({ path, member })),
      );
    expect(uses.length).toBeGreaterThan(0);
    expect(uses.filter(({ member }) => !watched.has(member) && !member.startsWith('onDid'))).toEqual([]);
    const shows =
      /\b(?:show\w+Message|showQuickPick|showInputBox|create(?:QuickPick|InputBox|OutputChannel|StatusBarItem|TreeView|WebviewPanel|Terminal)|MarkdownString|openExternal)\b|'vscode\.diff'/;
    expect(callersOf(shows, /^extension\//)).toEqual(['extension/src/window.ts']);
  });

  test('on a terminal one module writes it', () => {
    // main.ts names the streams, and peer-view.ts draws bars on one of them.
    expect(callersOf(/\bprocess\s*\.\s*std(?:out|err)\b|\bconsole\b|streams: process/, /^engine\//)).toEqual([
      'engine/src/cli/main.ts',
      'engine/src/cli/peer-view.ts',
    ]);
  });
});

describe('cryptography', () => {
  test.each([
    ['weak hashes and ciphers', /['"`](md5|sha-?1|rc4|des|3des|des-ede3[\w-]*|bf-[\w-]+)['"`]/i],
    ['unauthenticated modes', /aes-?(128|192|256)-?(ecb|cbc|ctr|cfb|ofb)/i],
    // VS Code's Electron is built on BoringSSL, which has none of these behind node:crypto.
    ['what Electron lacks', /['"`](chacha20[\w-]*|blake2[\w-]*|argon2[\w-]*|sha3-\d+|aes-\d+-(ccm|ocb))['"`]/i],
    ['randomness that can be guessed', /\bMath\.random\b/],
  ])('no source names %s', (_, forbidden) => {
    const found = production.filter(({ code }) => forbidden.test(code)).map(({ path }) => path);
    expect(found).toEqual([]);
    expect(forbidden.test("createHash('md5') createHash('sha1') 'aes-256-cbc' 'chacha20-poly1305' Math.random()")).toBe(
      true,
    );
  });
});
