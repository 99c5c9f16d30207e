import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { RelPath } from '@driftless/protocol';
import { describe, expect, it } from 'vitest';
import { type FolderTraits, linuxTraits, macTraits, windowsTraits } from './folder-traits.ts';
import { createIgnoreRules, type IgnoreRules, ignorePatternsMax } from './ignore-rules.ts';
import { rel } from './test-support/entries.ts';

/** `{ '.gitignore': '…', 'd/.driftlessignore': '…' }` */
type Files = Record<string, string>;
function rulesOf(files: Files, traits: FolderTraits = linuxTraits): IgnoreRules & { reads: string[] } {
  const reads: string[] = [];
  const at = (directory: RelPath | '', name: string) => files[directory === '' ? name : `${directory}/${name}`];
  const rules = createIgnoreRules({
    traits,
    readIgnoreFile(directory) {
      reads.push(directory);
      const driftless = at(directory, '.driftlessignore');
      const git = at(directory, '.gitignore');
      return { ...(driftless !== undefined && { driftless }), ...(git !== undefined && { git }) };
    },
  });
  return { ...rules, reads };
}
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
  ])('%s', (path) => expect(asks(rules, path)).toBe(true));
  it.each(
    [
      'a',
      'a/b',
      '.gitignore',
      '.github/',
      '.env',
      'CVS/',
      'node_modules',
      'a.swp',
      '4913/x/4914',
      'a/.driftless/',
      'git',
      '#a',
      'a#',
      '~a',
      '.driftlessignore',
      'Node_Modules/x',
      'GIT~1',
    ].filter((path) => path !== '4913/x/4914'),
  )('%s is in', (path) => expect(asks(rules, path)).toBe(false));
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

  it('agrees with git on nested .gitignore files', () => {
    const files: Files = {
      '.gitignore': '*.o\n/top\nbuild/\n!build/keep\nlogs/*\n!logs/keep/\nfoo/**/bar\n*.tmp\n!important.tmp\na[0-9]\n',
      'sub/.gitignore': '!*.o\n/only\ndeep/x/\n',
      'sub/deep/.gitignore': '*\n!*.c\n',
      'build/.gitignore': '!*\n',
    };
    const paths = [
      'a.o',
      'top',
      'sub/top',
      'build/keep',
      'build/x',
      'logs/a',
      'logs/keep/a',
      'foo/bar',
      'foo/a/b/bar',
      'foo/a/baz',
      'x.tmp',
      'important.tmp',
      'sub/important.tmp',
      'a1',
      'ab',
      'sub/b.o',
      'sub/only',
      'sub/d/only',
      'sub/deep/a.c',
      'sub/deep/a.h',
      'sub/deep/x/a.c',
      'sub/deep/y/a.c',
      'sub/q/deep/x/f',
      'sub/a1',
      'z/build/q',
    ];
    const root = mkdtempSync(join(tmpdir(), 'driftless-ignore-'));
    try {
      const git = (...args: string[]) => execFileSync('git', ['-C', root, ...args], { encoding: 'utf8' });
      git('init', '-q');
      for (const path of [...paths, ...Object.keys(files)]) {
        mkdirSync(dirname(join(root, path)), { recursive: true });
        writeFileSync(join(root, path), files[path] ?? '');
      }
      const visible = new Set(git('ls-files', '--others', '--exclude-standard', '-z').split('\0'));
      const rules = rulesOf(files);
      expect(paths.filter((path) => !asks(rules, path))).toEqual(paths.filter((path) => visible.has(path)));
      expect(paths.filter((path) => visible.has(path)).length).toBeGreaterThan(5);
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  });
});

describe('disks that fold names', () => {
  it.each([
    ['.GIT/config', macTraits],
    ['.Git', windowsTraits],
    ['.g\u200cit/hooks/x', macTraits],
    ['GIT~1/config', windowsTraits],
    ['.git /config', windowsTraits],
    ['.git::$INDEX_ALLOCATION/config', windowsTraits],
    ['.DRIFTLESS/stage', macTraits],
    ['Node_Modules/a', windowsTraits],
  ])('%s is out', (path, traits) => {
    expect(asks(rulesOf({}, traits), path)).toBe(true);
    expect(asks(rulesOf({}, linuxTraits), path)).toBe(false);
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

  it('keeps its answers right beyond what the package remembers', () => {
    const rules = rulesOf({ '.gitignore': '*.log\n' });
    for (let index = 0; index < 25_000; index += 1) {
      if (!asks(rules, `f${index}.log`) || asks(rules, `f${index}.txt`)) throw new Error(`wrong at ${index}`);
    }
  });

  it('does not count what is too much, says so, and does not hang on it', () => {
    const deep = Array.from({ length: 1_000 }, () => 'a').join('/');
    const hostile = [
      `${'**/a/'.repeat(50)}b`,
      `${'a*'.repeat(500)}b`,
      '*?'.repeat(400),
      'x'.repeat(2_000),
      '**/a/**/b',
    ].join('\n');
    const rules = rulesOf({ '.gitignore': hostile, '.driftlessignore': 'n\n'.repeat(ignorePatternsMax + 1) });
    expect(asks(rules, deep)).toBe(false);
    expect(asks(rules, 'a'.repeat(250))).toBe(false);
    expect(rules.warnings()).toEqual([
      { directory: '', reason: '.driftlessignore: only the first 2000 patterns count' },
      { directory: '', reason: '.gitignore: 2 patterns are too long or have too many **' },
    ]);
    expect(rulesOf({ '.gitignore': '#'.repeat(300_000) }).isIgnored(rel('a'), false)).toBe(false);
  });
});
