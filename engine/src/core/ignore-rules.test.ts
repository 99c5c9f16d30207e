import { type RelPath, utf8ToBytes } from '@driftless/protocol';
import { describe, expect, it } from 'vitest';
import { type FolderTraits, linuxTraits, macTraits, windowsTraits } from './folder-traits.ts';
import { createIgnoreRules, type IgnoreRules } from './ignore-rules.ts';
import { type IgnoreSource, ignoreCostMax } from './scope/ignore-text.ts';
import { rel } from './test-support/entries.ts';

/** `{ '.gitignore': '…', 'd/.driftlessignore': '…' }` */
type Files = Record<string, string | IgnoreSource>;
function rulesOf(files: Files, traits: FolderTraits = linuxTraits): IgnoreRules & { reads: string[] } {
  const reads: string[] = [];
  const at = (directory: RelPath | '', name: string) => files[directory === '' ? name : `${directory}/${name}`];
  const rules = createIgnoreRules({
    traits,
    readIgnoreFile(directory) {
      reads.push(directory);
      const driftless = at(directory, '.driftlessignore');
      const git = at(directory, '.gitignore');
      return {
        ...(driftless !== undefined && { driftless: sourceOf(driftless) }),
        ...(git !== undefined && { git: sourceOf(git) }),
      };
    },
  });
  return { ...rules, reads };
}
const sourceOf = (text: string | IgnoreSource): IgnoreSource =>
  typeof text === 'string' ? { bytes: utf8ToBytes(text) } : text;
/** A trailing slash asks for a directory. */
const asks = (rules: IgnoreRules, path: string) => rules.isIgnored(rel(path.replace(/\/$/, '')), path.endsWith('/'));

describe('what is out without any file', () => {
  const rules = rulesOf({});
  it.each([
    '.git/',
    '.git',
    'sub/.git',
    'sub/.git/config',
    '.hg/',
    '.svn/',
    'a/.bzr/x',
    '.jj/',
    '_darcs/',
    '.driftless/',
    '.driftless/stage/x',
    'a/.driftless/',
    '.GIT/config',
    'sub/GIT~1',
    'node_modules/',
    'a/node_modules/b/c.js',
    'a~',
    '.a.txt.swp',
    '.a.swo',
    '4913',
    '.#lock',
    '#auto#',
    '~$Report.docx',
    '~WRD0001.tmp',
    '.~lock.sheet.ods#',
    'x/.DS_Store',
    'Thumbs.db',
    'desktop.ini',
    '.nfs000000000123',
    '.fuse_hidden01',
    'a.js___jb_tmp___',
    '.Trash-0/',
    '.Trash-1000/',
    '.Trash-4294967294/',
    '$RECYCLE.BIN/',
  ])('%s', (path) => expect(asks(rules, path)).toBe(true));
  it.each([
    'a',
    'a/b',
    '.gitignore',
    '.github/',
    '.env',
    'CVS/',
    'node_modules',
    'a.swp',
    'git',
    '#a',
    'a#',
    '~a',
    '.driftlessignore',
    'Node_Modules/x',
    '.x.swf',
    '~WRD.txt',
    // what people call directories
    '4913/report.txt',
    'tickets/4913/notes.md',
    'project~/main.c',
    '._config.d/settings.yml',
    '~$budget/q1.csv',
    'desktop.ini/x',
    '.Trash-plan/a.md',
    '.Trash-1000-to-sort/a.md',
    '~WRDs/poem.txt',
    '#tag#/note.md',
    '.#channel/log.txt',
    'Thumbs.db/real.txt',
    '.nfs00000000backup/d.txt',
    '.report.swp/data.txt',
    '.DS_Store/x',
  ])('%s is in', (path) => expect(asks(rules, path)).toBe(false));
});

describe('.driftlessignore and .gitignore', () => {
  const rows: readonly (readonly [string, Files, readonly string[], readonly string[]])[] = [
    ['plain', { '.gitignore': 'build/\n*.log\n' }, ['build/', 'build/a', 'a.log', 'd/b.log'], ['build', 'a', 'log']],
    ['anchored', { '.gitignore': '/a\nb/c\n' }, ['a', 'b/c', 'b/c/d'], ['d/a', 'd/b/c']],
    ['last line counts', { '.gitignore': '*.log\n!keep.log\n' }, ['a.log'], ['keep.log', 'd/keep.log']],
    ['last line counts, again', { '.gitignore': '!keep.log\n*.log\n' }, ['keep.log'], []],
    ['alternating signs', { '.gitignore': '*\n!*.c\nx*.c\n!xy.c\n' }, ['a', 'x.c', 'xa.c'], ['a.c', 'xy.c']],
    ['nothing returns below an excluded directory', { '.gitignore': 'out/\n!out/keep\n' }, ['out/keep'], []],
    [
      'but it does below a directory whose children are excluded',
      { '.gitignore': 'out/*\n!out/keep\n' },
      ['out/a'],
      ['out/', 'out/keep'],
    ],
    ['nested file is relative to its directory', { 'd/.gitignore': '/a\n' }, ['d/a'], ['a', 'd/e/a']],
    [
      'nested file wins over the one above',
      { '.gitignore': '*.x\n', 'd/.gitignore': '!*.x\n' },
      ['a.x', 'e/a.x'],
      ['d/a.x', 'd/e/a.x'],
    ],
    ['file in an excluded directory does not count', { '.gitignore': 'd/\n', 'd/.gitignore': '!*\n' }, ['d/a'], []],
    [
      '.driftlessignore wins over .gitignore',
      { '.gitignore': 'dist/\n', '.driftlessignore': '!dist/\n' },
      [],
      ['dist/', 'dist/a', 'dist/b/c'],
    ],
    ['… also over a nested one', { 'd/.gitignore': 'a\n', '.driftlessignore': '!d/a\n' }, [], ['d/a']],
    ['… and adds to it', { '.gitignore': 'a\n', '.driftlessignore': 'b\n' }, ['a', 'b'], ['c']],
    [
      'a directory taken back in keeps the other rules below',
      { '.gitignore': 'dist/\n*.map\n', '.driftlessignore': '!dist/\n' },
      ['dist/a.map'],
      ['dist/a'],
    ],
    ['everything out but taken back', { '.gitignore': '*\n', '.driftlessignore': '!*\n' }, [], ['a', 'd/', 'd/e/f']],
    [
      'defaults give way to .driftlessignore',
      { '.driftlessignore': '!node_modules\n!*~\n' },
      [],
      ['node_modules/', 'node_modules/a', 'a~'],
    ],
    ['defaults do not give way to .gitignore', { '.gitignore': '!node_modules/\n!*~\n' }, ['node_modules/', 'a~'], []],
    [
      'version control folders give way to nothing',
      { '.driftlessignore': '!.git\n!.git/**\n!.driftless\n' },
      ['.git/', '.git/config', '.driftless/'],
      [],
    ],
    [
      'comments, blanks, CRLF, BOM, trailing spaces',
      { '.gitignore': '\uFEFFa\r\n# b\r\n\r\nc   \r\n\\#d\r\n' },
      ['a', 'c', '#d'],
      ['b', '# b'],
    ],
    ['no newline at the end', { '.gitignore': 'a\nb' }, ['a', 'b'], []],
    [
      'stars and classes',
      { '.gitignore': '**/x/*.[oa]\nq?\nz/**\n' },
      ['x/a.o', 'd/x/b.a', 'qq', 'z/a/b'],
      ['x/a.c', 'q', 'z/', 'x/y/a.o'],
    ],
    ['names that begin with ! or end with a space', { '.gitignore': '\\!a\nb\\ \n' }, ['!a', 'b '], ['a', 'b']],
  ];
  it.each(rows)('%s', (_, files, out, inside) => {
    const rules = rulesOf(files);
    for (const path of out) expect([path, asks(rules, path)]).toEqual([path, true]);
    for (const path of inside) expect([path, asks(rules, path)]).toEqual([path, false]);
  });
});

describe('disks that fold names', () => {
  it('the defaults fold', () => {
    expect(asks(rulesOf({}, windowsTraits), 'Node_Modules/a')).toBe(true);
    expect(asks(rulesOf({}, linuxTraits), 'Node_Modules/a')).toBe(false);
  });
  it('patterns fold, too', () => {
    expect(asks(rulesOf({ '.gitignore': 'Build/' }, macTraits), 'build/a')).toBe(true);
    expect(asks(rulesOf({ '.gitignore': 'Build/' }, linuxTraits), 'build/a')).toBe(false);
  });
  it('a name that looks like a drive is a name', () => {
    expect(asks(rulesOf({ '.gitignore': 'x' }, windowsTraits), 'c:/x')).toBe(true);
  });
});

describe('cost and bounds', () => {
  it('asks for each directory once, and never below an excluded one', () => {
    const rules = rulesOf({ '.gitignore': 'out/\n' });
    for (let count = 0; count < 3; count += 1) for (const path of ['d/e/a', 'd/e/b', 'out/x/y']) asks(rules, path);
    expect(rules.reads).toEqual(['', 'd', 'd/e']);
  });

  it('asks again after invalidate, only there and below', () => {
    const files: Files = {};
    const rules = rulesOf(files);
    expect([asks(rules, 'd/a'), asks(rules, 'e/a')]).toEqual([false, false]);
    files['d/.gitignore'] = 'a\n';
    expect(asks(rules, 'd/a')).toBe(false);
    rules.invalidate(rel('d'));
    expect(asks(rules, 'd/a')).toBe(true);
    expect(rules.reads).toEqual(['', 'd', 'e', 'd']);
    files['.driftlessignore'] = '!a\n';
    rules.invalidate('');
    expect(asks(rules, 'd/a')).toBe(false);
  });

  it('does not hang on what anybody in the room may write', () => {
    const deep = `${Array.from({ length: 1_000 }, () => 'a').join('/')}/c`;
    const hostile = [
      `${'**/a/'.repeat(200)}b`,
      `${'a*'.repeat(500)}b`,
      `${'*a'.repeat(500)}b`,
      '*?'.repeat(400),
      `${'**/'.repeat(400)}b`,
      `${'a**'.repeat(300)}b/x`,
      `${'[a-z]*'.repeat(200)}1/x`,
      'x'.repeat(100_000),
      '**/a/**/b',
    ].join('\n');
    const rules = rulesOf({ '.gitignore': hostile });
    expect(rules.judge(rel(deep), false)).toMatchObject({ kind: 'in' });
    expect(asks(rules, 'a'.repeat(250))).toBe(false);
    expect(rules.remarks()).toEqual([]);
  });

  it('looks up names and paths without wildcards, however many there are', () => {
    const names = Array.from({ length: 40_000 }, (_, index) => (index % 2 === 0 ? `n${index}` : `/d/n${index}/`));
    const rules = rulesOf({ '.gitignore': `${names.join('\n')}\n!n10\n` });
    expect(rules.remarks()).toEqual([]);
    const verdicts = ['x/n39998', 'd/n39999/', 'd/n39999', 'n39999/', 'n10'].map((path) => asks(rules, path));
    expect(verdicts).toEqual([true, true, false, false, false]);
  });
});

describe('what is not understood to its end', () => {
  const kindOf = (rules: IgnoreRules, path: string) =>
    rules.judge(rel(path.replace(/\/$/, '')), path.endsWith('/')).kind;

  it('a file with too many wildcards: what the lines beyond could match is unknown, the rest is as it says', () => {
    const costly = Array.from({ length: ignoreCostMax }, (_, index) => `?x${index}`).join('\n');
    const rules = rulesOf({ 'd/.gitignore': `a\n${costly}\nsub/*.key\n!*.txt\nb\n` });
    expect(['d/a', 'd/b', 'd/zx1'].map((path) => kindOf(rules, path))).toEqual(['out', 'out', 'out']);
    expect(['d/sub/x', 'd/sub/e/y'].map((path) => kindOf(rules, path))).toEqual(['unknown', 'unknown']);
    expect(['d/x', 'd/sub/', 'x'].map((path) => kindOf(rules, path))).toEqual(['in', 'in', 'in']);
    const remark = rules.remarks().find(({ pattern }) => pattern === 'sub/*.key');
    expect(remark).toMatchObject({ file: 'd/.gitignore', line: ignoreCostMax + 2 });
    expect(remark?.reason).toContain('stays unpublished');
  });

  it('a file that was not read to its end: nothing below its directory is known to be in, but for what a later line takes in', () => {
    const rules = rulesOf({ 'd/.gitignore': { bytes: utf8ToBytes('a\n!c\n'), incomplete: 'cannot be read' } });
    expect(['d/a', 'd/b', 'd/c', 'd/e/', 'b'].map((path) => kindOf(rules, path))).toEqual([
      'out',
      'unknown',
      'unknown',
      'unknown',
      'in',
    ]);
    expect(rules.judge(rel('d/b'), false).reason).toMatchObject({ file: 'd/.gitignore', line: 0 });
  });

  it('UTF-16: its rules hold', () => {
    const bytes = Uint8Array.from(Buffer.from('\uFEFFsecret/\r\n*.key\r\n', 'utf16le'));
    const rules = rulesOf({ '.gitignore': { bytes } });
    expect(['secret/', 'a.key', 'a'].map((path) => kindOf(rules, path))).toEqual(['out', 'out', 'in']);
    expect(rules.remarks()).toMatchObject([{ file: '.gitignore', line: 0, reason: expect.stringContaining('UTF-16') }]);
  });

  it.each([
    ['a[', 1, 'without its ]'],
    ['x\n\na\\', 3, 'lone backslash'],
    ['[[:word:]]', 1, '[:word:]'],
    ['/', 1, 'names nothing'],
    ['!', 1, 'names nothing'],
    ['a//b', 1, 'empty name'],
    ['./a', 1, '. or ..'],
    ['a\0b', 1, 'NUL'],
  ])('%j is said to match nothing, as in git', (text, line, reason) => {
    const rules = rulesOf({ '.gitignore': text });
    kindOf(rules, 'a');
    expect(rules.remarks()).toMatchObject([{ file: '.gitignore', line, reason: expect.stringContaining(reason) }]);
  });

  it('says no more of one file than people read', () => {
    const rules = rulesOf({ '.gitignore': 'a[\n'.repeat(1_000) });
    kindOf(rules, 'a');
    expect(rules.remarks().length).toBe(21);
    expect(rules.remarks().at(-1)?.reason).toContain('980 more lines');
  });
});

describe('the rule that decided', () => {
  const files: Files = { '.gitignore': '# x\nbuild/\n*.log\n!keep.log\n', 'd/.driftlessignore': '/a\n' };
  it.each([
    ['build/x/y', { kind: 'rule', file: '.gitignore', line: 2, pattern: 'build/' }, 'build'],
    ['d/b.log', { kind: 'rule', file: '.gitignore', line: 3, pattern: '*.log' }, 'd/b.log'],
    ['keep.log', { kind: 'rule', file: '.gitignore', line: 4, pattern: '!keep.log' }, 'keep.log'],
    ['d/a', { kind: 'rule', file: 'd/.driftlessignore', line: 1, pattern: '/a' }, 'd/a'],
    ['node_modules/x', { kind: 'default', pattern: 'node_modules/' }, 'node_modules'],
    ['a~', { kind: 'default', pattern: '*~' }, 'a~'],
    ['.git/config', { kind: 'always' }, '.git'],
    ['x', null, 'x'],
  ])('%s', (path, reason, at) => {
    expect(rulesOf(files).judge(rel(path), false)).toMatchObject({ reason, at });
  });
});
