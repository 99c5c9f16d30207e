/**
 * Ignore rules equal git's, with git as the judge: for every path not only whether it is ignored, but which line of which
 * file says so. Rule sets by hand, one a pattern, ordered by what they are about; then generated ones from a pinned seed.
 * `IGNORE_SEED=fresh npx vitest run engine/src/core/ignore-rules.git.test.ts` takes a fresh seed, and prints it.
 */
import { isDeepStrictEqual } from 'node:util';
import { utf8ToBytes } from '@driftless/protocol';
import { describe, expect, it } from 'vitest';
import { createSeededRandom } from '../testing/seeded-random.ts';
import { type FolderTraits, linuxTraits } from './folder-traits.ts';
import { createIgnoreRules } from './ignore-rules.ts';
import { rel } from './test-support/entries.ts';
import { type GitVerdicts, judgeByGit, type RuleSet } from './test-support/git-judge.ts';

const foldingTraits: FolderTraits = { ...linuxTraits, caseSensitive: false };

function verdictsHere(set: RuleSet, traits: FolderTraits): GitVerdicts {
  const source = (path: string) => {
    const text = set.files[path];
    return text === undefined ? undefined : { bytes: typeof text === 'string' ? utf8ToBytes(text) : text };
  };
  const rules = createIgnoreRules({
    traits,
    readIgnoreFile: (directory) => {
      const git = source(directory === '' ? '.gitignore' : `${directory}/.gitignore`);
      return git === undefined ? {} : { git };
    },
  });
  return new Map(
    set.paths.map((asked) => {
      const path = asked.replace(/\/$/, '');
      const { kind, reason } = rules.judge(rel(path), asked.endsWith('/'));
      const rule = reason?.kind === 'rule' ? reason : null;
      const verdict = {
        ignored: kind === 'out',
        file: rule?.file ?? null,
        line: rule?.line ?? 0,
        pattern: rule?.pattern ?? '',
      };
      return [path, verdict];
    }),
  );
}

function expectEqual(
  sets: readonly RuleSet[],
  byGit: readonly GitVerdicts[],
  traits: FolderTraits = linuxTraits,
): void {
  const different: unknown[] = [];
  let ignored = 0;
  let matched = 0;
  for (const [index, set] of sets.entries()) {
    const git: GitVerdicts = byGit[index] ?? new Map();
    const here = verdictsHere(set, traits);
    expect(here.size).toBe(git.size);
    for (const [path, verdict] of git)
      if (!isDeepStrictEqual(here.get(path), verdict))
        different.push({ set, path, here: here.get(path), git: verdict });
    for (const verdict of git.values()) {
      if (verdict.ignored) ignored += 1;
      if (verdict.file !== null) matched += 1;
    }
  }
  expect(different.slice(0, 3)).toEqual([]);
  // The judge had something to say.
  expect(ignored).toBeGreaterThan(0);
  expect(matched).toBeGreaterThanOrEqual(ignored);
}

/** Each text is a rule set of its own at the root of its directory. */
interface Topic {
  readonly topic: string;
  readonly texts: readonly string[];
  readonly paths: readonly string[];
  /** Further ignore files, the same in each set. */
  readonly files?: Readonly<Record<string, string>>;
}

/** Patterns between blanks; ⏎ is a line end. */
const words = (text: TemplateStringsArray): readonly string[] =>
  String.raw(text)
    .trim()
    .split(/\s+/)
    .map((word) => word.replaceAll('⏎', '\n'));

const tree = [
  ...words`
      a b/ b/a b/c/a b/c/d/a b/c/d/e a.log b/a.log b/c/b.log c/ d/c/ d/c/a d/a
      `,
];
const topics: readonly Topic[] = [
  {
    topic: 'names, stars and question marks',
    texts: [
      ...words`
      a b c a.log * *.log a* *a *a* a*g a*.*g ? ?? ?.log a?log *? ?* *.* *o* a.l* *g a*l*g *.l?g *** ****a a***
      a.***g *⏎!a *⏎!*.log !a⏎* *.log⏎!a.log⏎a.log⏎!a.log *a*⏎!b b⏎!b b⏎!b/ !b⏎b/ d⏎!d/a d/*⏎!d/a d/⏎!d/
      *.log⏎!b/*.log c⏎!d/c
      `,
    ],
    paths: [...tree],
  },
  {
    topic: 'anchored, with slashes, directories only',
    texts: [
      ...words`
      /a /b /b/ b/ a/ c/ /c/ b/a /b/a b/c b/c/ b/*/a b/*/ b/* /* /*/ */ */a */* */*/a */*/* b/c/* b/c/d/ /b/c/d/e
      c/d/ d/c d/c/ /d/c/ /c d/c/a/ b/a/ /? /?/ ?/? b/?/? / // /// //a a// b//a b/a// /b// ./a /./a b/. b/.. ../a
      b/../a /a/ /a.log/ !/ ! !!a /*⏎!/b /*⏎!/b/⏎/b/*⏎!/b/c *⏎!*/⏎!*.log *⏎!b/⏎!b/c/⏎!b/c/b.log b/**/⏎!b/c/
      /b⏎!/b/c/b.log b/c⏎!b/c/d
      `,
    ],
    paths: [...tree],
  },
  {
    topic: 'double stars in all places, one and several',
    texts: [
      ...words`
      ** /** **/ /**/ **/a /**/a **/a/ **/c/ b/** /b/** b/**/ **/b/** b/**/a b/**/c/a b/**/d **/c/a **/c/* **/c/**
      **/c/**/a b/**/**/a **/**/a **/* **/*/ */** */**/a **/*/a **/*/*/a **/?/a b/**/d/** b/**/d/**/a
      **/b/**/c/**/d/**/e **/b/**/d/**/e **/b/**/e **/b/**/c/**/a /**/b/**/c/** **/**/**/e **/** **a b** b**/a b/**a
      b/a** b/c**/a **b/a b/**c/a b/c/**d **.log b/**.log **/*.log **/a* b/**/*.log b/*/** b/*/**/a b/**/*/a */**/*
      **/b **/b/ ***/a b/***/a b/*** ****/c b/**\/a **\/a \**/a **\a b/**⏎!b/**/ b/**⏎!b/**/⏎!b/**/a **⏎!**/
      **⏎!**/⏎!**/*.log /**⏎!/b/ **/a⏎!b/c/** b/**/a⏎!b/c/d/a b/**⏎!b/c **/src/**/test/**/fixtures **/b/**/c/**/d
      b/**/** **/?/**/?/**/a b/**/c*/** b/**/[c-d]/**/e **/*a*/** /**/*/**/e
      `,
    ],
    paths: [
      ...tree,
      ...words`
      src/test/fixtures m/src/x/test/y/z/fixtures/f m/src/x/test/y/ok bx/a b/xa b/cx/a bxc/y/a
      `,
    ],
  },
  {
    topic: 'a double star behind a prefix',
    texts: [
      ...words`
      foo**/bar foo**bar /foo**/bar d/foo**/bar d/foo** /foo** foo*/**/bar fo[o]**/bar foo?**/bar foo**/* foo/**bar
      `,
    ],
    paths: [
      ...words`
      foobar foo/bar foo/x/bar foo/x/y/bar foox/bar foox/y/bar d/foo/x/bar d/foobar d/foox/y/bar foo/xbar foob
      x/foobar
      `,
    ],
  },
  {
    topic: 'trailing blanks',
    texts: [
      ...words`
      a\ a\\
      `,
      'a ',
      'a  ',
      'a\\ ',
      'a\\  ',
      'a \\ ',
      'a\\  \\ ',
      'a\t',
      'a \t',
      'a\t ',
      'a\\\\ ',
      'a\\\\\\ ',
      ' a',
      '  a',
      ' ',
      '   ',
      '\t',
      '\\ ',
      'a b',
      'a b ',
      'a\\ b',
      'b/ ',
      'b/\\ ',
      'b /',
      '*\\ ',
      '* ',
      '?\\ ',
      'a[ ]',
      'a[ ] ',
      '!a ',
      'a \n!a ',
      '# a ',
      '\\#a ',
      'a\\ \\ ',
    ],
    paths: [
      ...words`
      a a\ b/ #a
      `,
      'a ',
      'a  ',
      'a\t',
      'a\t ',
      'a \t',
      'a\\ ',
      ' a',
      '  a',
      ' ',
      'a b',
      'b /',
      'b/ ',
      '\t',
      '# a',
    ],
  },
  {
    topic: 'line ends, marks, empty lines, comments',
    texts: [
      ...words`
      ⏎⏎⏎a⏎⏎ a⏎b #a \#a a# # ## !#a !\#a \!a !\!a \! x⏎\!a *⏎!\!a *⏎!\#a a\⏎b ⏎
      `,
      'a\r\nb\r\n',
      'a\r',
      'a\r\r\n',
      'a \r\n',
      'a\r \n',
      '\r\n',
      '\r',
      'a\n\rb\n',
      '\ra\n',
      '\ufeffa',
      '\ufeff#a\na',
      '\ufeff\ufeffa',
      'b\n\ufeffa',
      '# a\na',
      ' #a',
      'a #b',
      'a\u0000b',
      '\u0000a',
      'a\u0000\n',
      'b/\u0000x',
      '#a\u0000b\nb',
      '',
      '   \n\t\n',
      'a\u000bb',
      'a\u2028b',
      'a\u0085',
      'a\f',
    ],
    paths: [
      ...words`
      a b a⏎b #a a# !a ! d/x ab #
      `,
      'a\r',
      '\ra',
      '\rb',
      ' #a',
      'a #b',
      '\ufeffa',
      'a\u000bb',
      'a\u2028b',
      'a\f',
    ],
  },
  {
    topic: 'backslashes',
    texts: [
      ...words`
      \a \* \? \[a] [a\] a\* \\ \\* *\ *\* \a\b b\/a b/\a \b/a \/a a\ b\ b/\ \*\* \** *\? \[ \] ] \{a\} {a,b} (a) a|b
      a+ $a ^a a.b a\.b \.b +(a) @(a|b) !(a) a{1,2} . .. \. ~ %
      `,
    ],
    paths: [
      ...words`
      a ab * ** ? [a] [ ] a* \ \\ \a b/a b/* b\ {a} {a,b} (a) a|b a+ aa $a ^a a.b axb .b +(a) @(a|b) (a)x a{1,2} % x*
      x?
      `,
    ],
  },
  {
    topic: 'character classes',
    texts: [
      ...words`
      [a] [abc] [a-c] [!a] [^a] [!a-c] [^a-c] [a-] [-a] [!-a] [a-c-e] [a-c]x x[a-c] []] []a] [!]] [^]a] []-a] [a]]
      [[] [[a] [\]] [\\] [a\-c] [\a-\c] [\!a] [\^a] [a^] [a!] [!!] [^^] [^!] [!^] [c-a] [a-a] [a-cx-z] [*] [?] [*?]
      [a [ [] [!] [! [^] a[ [a- [a-]] [\ [a\ [--a] [+--] [a-b-c] [!a-b-c] [.]b [#]a [/**//[a\]b] ![/**//[a\]b] [a//b] x/[//]/y b/[/./]a [/] b[/]a b[!x]a b/[!x] b/[a]
      [b]/a [b]/[a] */[a] **/[a] [a-z]* *[a-z] [!.]* [a][b] [ab][ab] [a-c]? [-] [--] [---] [a--] [\--a] [] []]] [][!]
      [a-\]] [a-\ x[a-\] z[a-\]]z [!a !a⏎[!a] [a-b]⏎!b *[ *[] b[/
      `,
      '[ ]',
      '[ --]',
    ],
    paths: [
      ...words`
      a b/ b/a b/x c d e - ] [ ! ^ \ * ? a] ax xa ab [a [] [!] a[ .b #a bxa z zbz + , _ x- x !a {
      `,
      ' ',
    ],
  },
  {
    topic: 'named classes',
    texts: [
      ...words`
      [[:alnum:]] [![:alnum:]] x[[:alnum:]_] [[:alpha:]] [![:alpha:]] x[[:alpha:]_] [[:blank:]] [![:blank:]]
      x[[:blank:]_] [[:cntrl:]] [![:cntrl:]] x[[:cntrl:]_] [[:digit:]] [![:digit:]] x[[:digit:]_] [[:graph:]]
      [![:graph:]] x[[:graph:]_] [[:lower:]] [![:lower:]] x[[:lower:]_] [[:print:]] [![:print:]] x[[:print:]_]
      [[:punct:]] [![:punct:]] x[[:punct:]_] [[:space:]] [![:space:]] x[[:space:]_] [[:upper:]] [![:upper:]]
      x[[:upper:]_] [[:xdigit:]] [![:xdigit:]] x[[:xdigit:]_] [[:word:]] [[:ALPHA:]] [[:alpha]] [[:alpha:] [:alpha:]
      [[::]] [[:]] [[:] [[:a] [[:alpha:][:digit:]] [[:alpha:]-z] [a-[:digit:]] [[:digit:]a-c] [^[:digit:]] [[.a.]]
      [[=a=]] [[:alpha:]]* *[[:digit:]] [[:upper:]]*.log [a[:foo:]] [[:foo:]a] [[:alpha:\]] [\[:alpha:]] [[:alnum:]
      [[:space:]]
      `,
    ],
    paths: [
      ...words`
      a A z Z g f F 0 9 _ - ! [ ] : l a1 1a A.log a.log é a] :] x_ xa @
      `,
      ' ',
      '\t',
      '\u000b',
      '\f',
      '\r',
      '\u001b',
      '\u007f',
    ],
  },
  {
    topic: 'UTF-8 names',
    texts: [
      ...words`
      é É ? ?? ??? ???? *é é* é/ /é é/* **/é [é] [éa] [é][é] [!é] [!a] [à-ü] [а-я]* дом д*м д?м д??м 日本 日? 日??? *本 😀
      ????a 😀* \é ẞ ß İ [😀] [[:alpha:]] [[:alpha:]]* ?/a ??/a é⏎!é *⏎!é *⏎!??
      `,
      'e\u0301',
      '*\u0301',
      'a\u200d',
    ],
    paths: [
      ...words`
      é É a aé éa é.d/ d/é/ d/é/a дом дим 日本 日x 😀 😀a ß ẞ İ ü/a ss
      `,
      'e\u0301',
      'a\u200d',
    ],
  },
  {
    topic: 'nested files and precedence',
    texts: [
      ...words`
      *.o !*.o * !* sub/ !sub/ sub/* sub sub/deep /sub/deep/ sub/** !sub/** **/deep deep/⏎!sub/deep/ *⏎!*/ /*⏎!/sub
      a.o /a.o sub/a.o !sub/a.o *.c *.c⏎*.o !a.c .gitignore *.x⏎!*.o sub/only !sub/only !only x/ !x/ sub/deep/x only/
      `,
      '',
    ],
    paths: [
      ...words`
      a.o a.c b.x sub/ sub/a.o sub/a.x sub/only sub/d/only sub/sub/ sub/sub/a sub/deep/a.c sub/deep/a.h sub/deep/x/
      sub/deep/x/a.c sub/deep/y/a.h sub/deep/y/a.c sub/deep/y/b.c sub/deep/z/a.c sub/q/deep/x/f other/a.o other/sub/f
      other/sub/ other/x/ only x/ x/only .gitignore sub/.gitignore
      `,
    ],
    files: {
      'sub/.gitignore': '!*.o\n/only\ndeep/x/\n*.x\nsub/\n',
      'sub/deep/.gitignore': '*\n!*.c\n!y/\n',
      'sub/deep/y/.gitignore': '!*.h\n/a.c\n../b.c\n',
      'other/.gitignore': '/sub/\n!/a.o\n',
    },
  },
  {
    topic: 'negation below an excluded directory, and whitelists',
    texts: [
      ...words`
      out/⏎!out/keep out⏎!out/keep out/*⏎!out/keep out/**⏎!out/keep out/**⏎!out/**/keep out/**⏎!out/**/⏎!out/**/keep
      out/*⏎!out/d/⏎out/d/*⏎!out/d/keep out⏎!out⏎!out/keep out/⏎!out/ out⏎!out/ /*⏎!/out⏎/out/*⏎!/out/keep
      *⏎!out⏎!out/keep *⏎!out/⏎!out/keep *⏎!out/** *⏎!/out/⏎!/out/** *⏎!keep *⏎!*/⏎!keep !out/keep⏎out/
      out/keep⏎!out/ out/⏎!keep !out/⏎out/⏎!out/ out/d⏎!out/d/keep
      /*⏎!/generated/⏎/generated/*⏎!/generated/.htaccess⏎!/var/⏎/var/*⏎!/var/log/ *.cfg⏎!/etc/*.cfg */⏎!out/
      */*⏎!out/* */*⏎!out/keep⏎!*/d
      `,
    ],
    paths: [
      ...words`
      out/ out/a out/keep out/d/ out/d/keep out/d/a keep x/keep x/out/keep x/out/ x.php generated/a.php
      generated/.htaccess var/tmp/a var/log/l1 var/log/deep/l2 lib/y a.cfg etc/a.cfg etc/sub/a.cfg
      `,
    ],
  },
];
const handWritten: readonly RuleSet[] = topics.flatMap(({ topic, texts, paths, files = {} }) =>
  texts.map((text) => ({ name: `${topic}: ${JSON.stringify(text)}`, files: { ...files, '.gitignore': text }, paths })),
);

/** Bytes that no string gives. */
const bytes = (...parts: readonly (string | number)[]): Uint8Array =>
  Uint8Array.from(parts.flatMap((part) => (typeof part === 'number' ? [part] : [...utf8ToBytes(part)])));
const notUtf8: readonly RuleSet[] = [
  bytes('caf', 0xe9, '\na\n'),
  bytes('caf[', 0xc3, ']?\n'),
  bytes('caf', 0xc3, '*\n'),
  bytes('*', 0xa9, '\n'),
  bytes('[', 0x80, '-', 0xff, ']*\n'),
  bytes('caf[!', 0x00, ']\nb\n'),
  bytes('caf[!', 0xc3, ']', 0xa9, '\nb\n'),
].map((text) => ({
  name: `bytes ${[...text].join(' ')}`,
  files: { '.gitignore': text },
  paths: ['café', 'a', 'é', 'b', 'cafè'],
}));

// Windows cannot hold the names that are asked about; what a pattern means there is the same.
describe.skipIf(process.platform === 'win32')('git is the judge', () => {
  it('is asked about some hundred rule sets for what there is in its syntax', () => {
    expect(handWritten.length).toBeGreaterThan(450);
  });

  it.each(topics.map(({ topic }) => topic))('%s', (topic) => {
    const sets = handWritten.filter(({ name }) => name.startsWith(`${topic}: `));
    const byGit = judgeByGit(sets);
    // Since 2.53 git does not begin anew behind `foo` in `foo**/bar`: older ones take more of it for ignored, and so do we.
    if (topic === 'a double star behind a prefix' && byGit[0]?.get('foobar')?.ignored === false) return;
    expectEqual(sets, byGit);
  });

  it('in a file at the root of the work tree', () => {
    // A path that begins with a colon is no path to this command.
    const sets = handWritten
      .filter(({ name }, index) => index % 12 === 0 && !name.includes('behind a prefix'))
      .map((set) => ({ ...set, paths: set.paths.filter((path) => !path.startsWith(':')) }));
    expectEqual(sets, judgeByGit(sets, { atRoot: true }));
  });

  it('where names are folded', () => {
    const texts = words`
      build Build/ *.LOG A* [a-c]x [A-C]x [A]x [Aa]x [^A]x \Ax \ax D/**/E **/E [[:upper:]]x [[:lower:]]x [![:upper:]]x É D/e /D/*
      x? !BUILD⏎build build⏎!BUILD
      `;
    const paths = [
      'Build/',
      'BUILD2',
      'a.log',
      'a.Log',
      'ax',
      'Bx',
      'Dx',
      'd/x/e',
      'd/e',
      'É',
      'X1',
      'build3/',
      'd/build',
    ];
    const sets = texts.map((text) => ({ name: text, files: { '.gitignore': text }, paths }));
    expectEqual(sets, judgeByGit(sets, { ignoreCase: true }), foldingTraits);
  });

  it('on lines that are no UTF-8: whether a path is ignored', () => {
    const ignored = (verdicts: GitVerdicts) =>
      [...verdicts].filter(([, verdict]) => verdict.ignored).map(([path]) => path);
    const byGit = judgeByGit(notUtf8).map(ignored);
    expect(notUtf8.map((set) => ignored(verdictsHere(set, linuxTraits)))).toEqual(byGit);
    expect(byGit.flat().length).toBeGreaterThan(3);
  });

  it('on generated rule sets', () => {
    const given = process.env['IGNORE_SEED'];
    const seed = given === 'fresh' ? Date.now() : Number(given ?? 20261128);
    if (given !== undefined) console.log(`IGNORE_SEED=${seed}`);
    const sets = generatedSets(seed, given === undefined ? 300 : 2_000);
    expectEqual(sets, judgeByGit(sets));
  });
});

// ── generated ────────────────────────────────────────────────────────────────────────────────────────────────────────

function generatedSets(seed: number, count: number): readonly RuleSet[] {
  const random = createSeededRandom(seed);
  const below = (end: number): number => Math.floor(random.fraction() * end);
  const oneOf = <Value>(values: readonly [Value, ...Value[]]): Value => values[below(values.length)] ?? values[0];
  const many = <Value>(max: number, make: () => Value): Value[] => Array.from({ length: 1 + below(max) }, make);

  const name = (): string =>
    oneOf([
      'a',
      'b',
      'c',
      'ab',
      'ba',
      'abc',
      'a.c',
      'b.c',
      'A',
      'é',
      'a b',
      '#a',
      '!a',
      'a]',
      '-',
      'x1',
      'aab',
      'abab',
    ]);
  const piece = (): string =>
    oneOf([
      ...([
        'a',
        'b',
        'c',
        'ab',
        '.c',
        'A',
        'é',
        ' ',
        '-',
        '1',
        '*',
        '*',
        '*',
        '?',
        '?',
        '/',
        '/',
        '/**/',
        '**/',
        '/**',
        '**',
        '\\',
        '\\*',
        '\\a',
        '!',
        '#',
        ']',
        '[',
      ] as const),
      ...([
        '[a-c]',
        '[!a]',
        '[^b]',
        '[ab]',
        '[]a]',
        '[a',
        '[[:alpha:]]',
        '[[:digit:]b]',
        '[!a-b]',
        '[a\\]b]',
        '[é]',
      ] as const),
    ]);
  const body = (): string => (below(4) === 0 ? many(4, name).join('/') : many(5, piece).join(''));
  const isQuirk = (line: string): boolean => /[^/*?[\\]\*\*/.test(line);
  const line = (): string => {
    const text = `${below(4) === 0 ? '!' : ''}${below(5) === 0 ? '/' : ''}${body()}${below(5) === 0 ? '/' : ''}${oneOf(['', '', '', '', ' ', '\r'])}`;
    return isQuirk(text) ? name() : text;
  };
  const text = (): string => `${many(5, line).join('\n')}${oneOf(['', '\n'])}`;
  return Array.from({ length: count }, (_, index) => {
    // A name may be a file in one path and a directory in another: the directory wins.
    const drawn = many(16, () => many(4, name).join('/'));
    const directories = new Set(
      drawn.flatMap((path) =>
        path
          .split('/')
          .slice(0, -1)
          .map((__, at, parts) => parts.slice(0, at + 1).join('/')),
      ),
    );
    const files = drawn.filter((path) => !directories.has(path));
    const nested = [...directories].filter(() => below(5) === 0);
    return {
      name: `seed ${seed}, set ${index}`,
      files: Object.fromEntries(['', ...nested.map((path) => `${path}/`)].map((path) => [`${path}.gitignore`, text()])),
      paths: [...new Set([...files, ...[...directories].map((path) => `${path}/`)])],
    };
  });
}
