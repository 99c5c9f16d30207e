/** The reconcile table row by row, and the named situations of concurrency, each in both directions. */
import type { Entry, FileMode, RelPath } from '@driftless/protocol';
import { comparePaths } from '@driftless/protocol';
import { describe, expect, it } from 'vitest';
import { modeOf } from './file-mode.ts';
import { linuxTraits, windowsTraits } from './folder-traits.ts';
import type { Plan } from './plan.ts';
import { type ReconcileInput, reconcile } from './reconcile.ts';
import type { Row } from './row.ts';
import { digestOf, directory, file, link, rel } from './test-support/entries.ts';
import { localOf, ModelPeer, ModelRoom, type Node } from './test-support/model-room.ts';

type Sides = { readonly base?: Entry; readonly local?: Entry; readonly remote?: Entry } & Partial<
  Pick<Row, 'outOfScope' | 'hold'>
>;

/** A file's content is its text, and `file()` of the alphabet makes the same digest. */
const nodeOf = (entry: Entry, text: string): Node =>
  entry.kind === 'file' ? { kind: 'file', text, ...modeOf(entry) } : entry;

const alphabet = ['', 'one', 'two', 'three', 'other'];
const textOfEntry = (entry: Entry): string =>
  entry.kind === 'file' ? (alphabet.find((text) => digestOf(text) === entry.content.digest) ?? 'unknown') : '';

function rowOf(path: string, { base, local, remote, outOfScope = null, hold = null }: Sides): Row {
  return {
    path: rel(path),
    base: base ?? null,
    local: local === undefined ? null : localOf(nodeOf(local, textOfEntry(local))),
    remote: remote ?? null,
    remoteMtimeMs: 0,
    outOfScope,
    hold,
    problem: null,
    declined: false,
  };
}

function planOf(folder: Readonly<Record<string, Sides>>, options: Partial<ReconcileInput> = {}): Plan {
  const rows = Object.entries(folder)
    .map(([path, sides]) => rowOf(path, sides))
    .sort((a, b) => comparePaths(a.path, b.path));
  return reconcile({
    rows: rows.filter((row) => row.outOfScope === null && row.hold === null),
    view: {
      row: (path) => rows.find((row) => row.path === path),
      rowsUnder: (path) => rows.filter((row) => row.path.startsWith(`${path}/`)),
      variants: () => [],
    },
    traits: linuxTraits,
    mergeable: (row) => row.path.endsWith('.txt'),
    ...options,
  });
}

/** Steps in a few words, in order. */
function told(plan: Plan): string[] {
  const flags = (mode: Partial<FileMode>): string => `${mode.executable ? '+x' : ''}${mode.private ? '+p' : ''}`;
  const what = (value: ({ kind: string } & Partial<FileMode>) | null): string =>
    value === null ? 'nothing' : `${value.kind}${flags(value)}`;
  return [
    ...plan.scope.map((step) => `${step.kind} ${step.path}`),
    ...plan.agree.map((step) => `agree ${step.path}`),
    ...plan.disk.map((step) => {
      if (step.kind === 'apply') return `apply ${step.path} ${what(step.to)}`;
      if (step.kind === 'applyMove') return `applyMove ${step.fromPath} ${step.toPath}`;
      return step.kind === 'applyMode' ? `applyMode ${step.path} ${flags(step.mode)}` : `${step.kind} ${step.path}`;
    }),
    ...plan.publish.map((step) => {
      if (step.kind === 'publish') return `publish ${step.path} ${what(step.local)}${step.revives ? ' revives' : ''}`;
      if (step.kind === 'publishMove')
        return `publishMove ${step.fromPath} ${step.toPath}${step.subtree ? ' all' : ''}`;
      return step.kind === 'conflict' ? `conflict ${step.path} ${step.reason}` : `${step.kind} ${step.path}`;
    }),
    ...plan.notes.map(({ path }) => `note ${path}`),
  ];
}

const one = file('one');
const two = file('two');
const three = file('three');
const oneX = file('one', { executable: true });
const twoX = file('two', { executable: true });
const oneP = file('one', { private: true });
const twoP = file('two', { private: true });
const threeP = file('three', { private: true });
const oneXP = file('one', { executable: true, private: true });

describe('one path', () => {
  const table: readonly (readonly [name: string, path: string, sides: Sides, steps: readonly string[]])[] = [
    ['same, same: nothing', 'f', { base: one, local: one, remote: one }, []],
    ['same, changed: apply', 'f', { base: one, local: one, remote: two }, ['apply f file']],
    ['changed, same: publish', 'f', { base: one, local: two, remote: one }, ['publish f file']],
    ['same, deleted: apply', 'f', { base: one, local: one }, ['apply f nothing']],
    ['deleted, same: publish', 'f', { base: one, remote: one }, ['publish f nothing']],
    ['absent, created: apply', 'f', { remote: one }, ['apply f file']],
    ['created, absent: publish', 'f', { local: one }, ['publish f file']],
    ['C3 both equal afterwards: base catches up', 'f', { base: one, local: two, remote: two }, ['agree f']],
    ['C25 created equal: base catches up', 'f', { local: two, remote: two }, ['agree f']],
    ['C6 both deleted: base catches up', 'f', { base: one }, ['agree f']],
    ['C1 text changed on both sides: merge', 'f.txt', { base: one, local: two, remote: three }, ['merge f.txt']],
    ['C2 binary on both sides: conflict', 'f', { base: one, local: two, remote: three }, ['conflict f binary']],
    ['C4 created differently: conflict', 'f.txt', { local: two, remote: three }, ['conflict f.txt create-create']],
    ['C5 edited here, deleted there: back', 'f', { base: one, local: two }, ['publish f file revives', 'note f']],
    ['C5 deleted here, edited there: back', 'f', { base: one, remote: two }, ['apply f file', 'note f']],
    ['link retargeted here', 'f', { base: link('a'), local: link('b'), remote: link('a') }, ['publish f symlink']],
    ['link retargeted there', 'f', { base: link('a'), local: link('a'), remote: link('b') }, ['apply f symlink']],
    ['links retargeted apart', 'f', { base: link('a'), local: link('b'), remote: link('c') }, ['conflict f binary']],
    ['link here, file edited there', 'f', { base: one, local: link('b'), remote: two }, ['conflict f kind']],
    ['file edited here, link there', 'f', { base: one, local: two, remote: link('b') }, ['conflict f kind']],
    ['bit set here', 'f', { base: one, local: oneX, remote: one }, ['publish f file+x']],
    ['bit set there: content stays', 'f', { base: one, local: one, remote: oneX }, ['applyMode f +x']],
    ['bit here, content there: both', 'f', { base: one, local: oneX, remote: two }, ['apply f file+x']],
    ['content here, bit there: both', 'f', { base: one, local: two, remote: oneX }, ['applyMode f +x']],
    ['bit cleared here, content there', 'f', { base: oneX, local: one, remote: twoX }, ['apply f file']],
    ['created equal but for the bit, set here', 'f', { local: oneX, remote: one }, ['publish f file+x']],
    ['created equal but for the bit, set there', 'f', { local: one, remote: oneX }, ['applyMode f +x']],
    ['same content, bit set here', 'f', { base: one, local: twoX, remote: two }, ['publish f file+x']],
    ['made private here', 'f', { base: one, local: oneP, remote: one }, ['publish f file+p']],
    ['made private there: content stays', 'f', { base: one, local: one, remote: oneP }, ['applyMode f +p']],
    ['private there, content here: both', 'f', { base: one, local: two, remote: oneP }, ['applyMode f +p']],
    ['private here, content there: both', 'f', { base: one, local: oneP, remote: two }, ['apply f file+p']],
    ['opened here, content there: both', 'f', { base: oneP, local: one, remote: twoP }, ['apply f file']],
    [
      'private there, executable here: both, flag by flag',
      'f',
      { base: one, local: oneX, remote: oneP },
      ['applyMode f +x+p'],
    ],
    ['then the other flag goes out', 'f', { base: oneP, local: oneXP, remote: oneP }, ['publish f file+x+p']],
    [
      'private there, text on both sides: first the mode',
      'f.txt',
      { base: one, local: two, remote: threeP },
      ['applyMode f.txt +p'],
    ],
    ['and then the merge', 'f.txt', { base: oneP, local: twoP, remote: threeP }, ['merge f.txt']],
    [
      'private there, binary on both sides: first the mode',
      'f',
      { base: one, local: two, remote: threeP },
      ['applyMode f +p'],
    ],
    [
      'private here, text on both sides: the merge has it',
      'f.txt',
      { base: one, local: twoP, remote: three },
      ['merge f.txt'],
    ],
    ['created differently, private there: first the mode', 'f', { local: two, remote: threeP }, ['applyMode f +p']],
    [
      'created differently, private here: the variant is',
      'f',
      { local: twoP, remote: three },
      ['conflict f create-create'],
    ],
    [
      'C5 private, edited here, deleted there',
      'f',
      { base: oneP, local: twoP },
      ['publish f file+p revives', 'note f'],
    ],
    ['file replaced by directory here', 'f', { base: one, local: directory, remote: one }, ['publish f directory']],
    ['file replaced by directory there', 'f', { base: one, local: one, remote: directory }, ['apply f directory']],
    ['C18 file edited here, directory there', 'f', { base: one, local: two, remote: directory }, ['moveAside f']],
    [
      'C18 directory here, file edited there',
      'f',
      { base: one, local: directory, remote: two },
      ['publishMoveAside f'],
    ],
  ];
  for (const [name, path, sides, steps] of table)
    it(name, () => expect(told(planOf({ [path]: sides }))).toEqual(steps));

  it('a tombstone is absence', () => {
    const plan = reconcile({
      rows: [{ ...rowOf('f', { local: one }), remote: { kind: 'tombstone', digest: digestOf('one'), height: 3 } }],
      view: { row: () => undefined, rowsUnder: () => [], variants: () => [] },
      traits: linuxTraits,
      mergeable: () => false,
    });
    expect(plan.publish).toHaveLength(1);
  });

  it('M5: a disk without executable bits keeps the one of the room', () => {
    const plan = planOf({ f: { base: oneX, local: two, remote: oneX } }, { traits: windowsTraits });
    expect(told(plan)).toEqual(['publish f file+x']);
    expect(told(planOf({ f: { base: oneX, local: one, remote: oneX } }, { traits: windowsTraits }))).toEqual([]);
  });

  it('M18: where the umask makes every new file private, joining does not make those of the room private', () => {
    const traits = { ...linuxTraits, newFilesPrivate: true };
    expect(told(planOf({ f: { local: oneP, remote: one } }, { traits }))).toEqual(['applyMode f ']);
    expect(told(planOf({ f: { local: oneP, remote: one } }))).toEqual(['publish f file+p']);
  });

  it('what has not settled gets no step', () => {
    const settled = (path: RelPath): boolean => path !== 'f';
    expect(told(planOf({ f: { local: one }, g: { local: two } }, { settled }))).toEqual(['publish g file']);
  });
});

describe('directories', () => {
  const d: Sides = { base: directory, local: directory, remote: directory };
  const goneHere: Sides = { base: directory, remote: directory };
  const goneThere: Sides = { base: directory, local: directory };
  const table: readonly (readonly [name: string, folder: Record<string, Sides>, steps: readonly string[]])[] = [
    [
      'deleted here: children first',
      { d: goneHere, 'd/f': { base: one, remote: one } },
      ['publish d/f nothing', 'publish d nothing'],
    ],
    [
      'deleted there: children first',
      { d: goneThere, 'd/f': { base: one, local: one } },
      ['apply d/f nothing', 'apply d nothing'],
    ],
    [
      'created here: parents first',
      { d: { local: directory }, 'd/f': { local: one } },
      ['publish d directory', 'publish d/f file'],
    ],
    [
      'created there: parents first',
      { d: { remote: directory }, 'd/f': { remote: one } },
      ['apply d directory', 'apply d/f file'],
    ],
    [
      'C13 deleted there, created inside here: it stays with that file',
      { d: goneThere, 'd/f': { base: one, local: one }, 'd/new': { local: two } },
      ['apply d/f nothing', 'publish d directory revives', 'publish d/new file', 'note d'],
    ],
    [
      'C13 deleted here, created inside there: it stays with that file',
      { d: goneHere, 'd/f': { base: one, remote: one }, 'd/new': { remote: two } },
      ['apply d directory', 'apply d/new file', 'publish d/f nothing', 'note d'],
    ],
    [
      'C14 deleted there, edited inside here',
      { d: goneThere, 'd/f': { base: one, local: two } },
      ['publish d directory revives', 'publish d/f file revives', 'note d', 'note d/f'],
    ],
    [
      'C14 deleted here, edited inside there',
      { d: goneHere, 'd/f': { base: one, remote: two } },
      ['apply d directory', 'apply d/f file', 'note d', 'note d/f'],
    ],
    [
      'became a file here, edited inside there: the file moves',
      { d: { base: directory, local: one, remote: directory }, 'd/f': { base: one, remote: two } },
      ['moveAside d'],
    ],
    [
      'became a file there, edited inside here: the file moves',
      { d: { base: directory, local: directory, remote: one }, 'd/f': { base: one, local: two } },
      ['publishMoveAside d'],
    ],
    [
      'with nothing but ignored things here, a file there: the file is not renamed for it',
      { d: { local: directory, remote: one }, 'd/log': { outOfScope: 'ignored' } },
      ['apply d file'],
    ],
    [
      'the same with something made in it',
      { d: { local: directory, remote: one }, 'd/log': { outOfScope: 'ignored' }, 'd/f': { local: one } },
      ['publishMoveAside d'],
    ],
    [
      'became a file there: its children go first',
      { d: { base: directory, local: directory, remote: one }, 'd/f': { base: one, local: one } },
      ['apply d/f nothing', 'apply d file'],
    ],
    [
      'became a file here: its children go first',
      { d: { base: directory, local: one, remote: directory }, 'd/f': { base: one, remote: one } },
      ['publish d/f nothing', 'publish d file'],
    ],
    [
      'a child held by a conflict keeps it',
      { d: goneThere, 'd/f': { base: one, local: two, hold: { variant: null, choice: null } } },
      ['publish d directory revives', 'note d'],
    ],
    [
      'IG1, IG3 deleted here, others hold something in it that is out of scope here',
      { d: goneHere, 'd/f': { base: one, remote: one }, 'd/log': { remote: two, outOfScope: 'ignored' } },
      ['leaves d', 'publish d/f nothing'],
    ],
    [
      'IG3 a new directory with nothing but what is out of scope',
      { d: { local: directory }, 'd/log': { outOfScope: 'ignored' } },
      ['leaves d'],
    ],
    ['IG3 a new empty directory is synced', { d: { local: directory } }, ['publish d directory']],
    [
      'IG3 something in scope takes the directory back',
      { d: { outOfScope: 'directory-of-out-of-scope' }, 'd/f': { local: one }, 'd/log': { outOfScope: 'ignored' } },
      ['enters d', 'publish d directory revives', 'publish d/f file'],
    ],
    ['IG1 out of scope is not absent', { d, 'd/f': { base: one, remote: one, outOfScope: 'unreadable' } }, []],
    [
      'IG2 coming into scope is create/create',
      { d, 'd/f': { local: one, remote: two } },
      ['conflict d/f create-create'],
    ],
  ];
  for (const [name, folder, steps] of table) it(name, () => expect(told(planOf(folder))).toEqual(steps));

  it('waits for children that this round was not given', () => {
    const folder = { d: goneThere, 'd/f': { base: one, local: one }, 'd/g': { base: two, local: two } };
    const all = ['d', 'd/f', 'd/g'].map((path) => rowOf(path, folder[path as keyof typeof folder]));
    const view = {
      row: (path: RelPath) => all.find((row) => row.path === path),
      rowsUnder: (path: RelPath) => all.filter((row) => row.path.startsWith(`${path}/`)),
      variants: () => [],
    };
    const plan = reconcile({ rows: all.slice(0, 2), view, traits: linuxTraits, mergeable: () => false });
    expect(told(plan)).toEqual(['apply d/f nothing']);
  });
});

describe('renames (LOG6)', () => {
  const goneHere: Sides = { base: directory, remote: directory };
  const table: readonly (readonly [name: string, folder: Record<string, Sides>, steps: readonly string[]])[] = [
    ['renamed here', { a: { base: one, remote: one }, b: { local: one } }, ['publishMove a b']],
    ['renamed there', { a: { base: one, local: one }, b: { remote: one } }, ['applyMove a b']],
    ['C9 renamed here, edited there', { a: { base: one, remote: two }, b: { local: one } }, ['publishMove a b']],
    ['C9 renamed there, edited here', { a: { base: one, local: two }, b: { remote: one } }, ['applyMove a b']],
    ['C12 renamed here, deleted there', { a: { base: one }, b: { local: one } }, ['agree a', 'publish b file']],
    ['C12 deleted here, renamed there', { a: { base: one }, b: { remote: one } }, ['agree a', 'apply b file']],
    [
      'C10 renamed to a name that is taken there',
      { a: { base: one, remote: one }, b: { local: one, remote: two } },
      ['conflict b create-create', 'publish a nothing'],
    ],
    [
      'not unique: no rename',
      { a: { base: one, remote: one }, b: { base: one, remote: one }, c: { local: one } },
      ['publish c file', 'publish b nothing', 'publish a nothing'],
    ],
    [
      'empty files: no rename',
      { a: { base: file(''), remote: file('') }, b: { local: file('') } },
      ['publish b file', 'publish a nothing'],
    ],
    [
      'a whole directory, with what is equal or empty in it',
      {
        d: goneHere,
        'd/e': { base: file(''), remote: file('') },
        'd/f': { base: one, remote: one },
        n: { local: directory },
        'n/e': { local: file('') },
        'n/f': { local: one },
      },
      ['publishMove d n all'],
    ],
    [
      'C15 a directory renamed here, edited and created in there',
      {
        d: goneHere,
        'd/f': { base: one, remote: two },
        'd/new': { remote: three },
        n: { local: directory },
        'n/f': { local: one },
      },
      ['publishMove d n all'],
    ],
    [
      'C15 a directory renamed there, edited and created in here',
      {
        d: { base: directory, local: directory },
        'd/f': { base: one, local: two },
        'd/new': { local: three },
        n: { remote: directory },
        'n/f': { remote: one },
      },
      ['applyMove d n'],
    ],
    [
      'a directory renamed and something in it edited: file by file, in one record',
      {
        d: goneHere,
        'd/f': { base: one, remote: one },
        'd/g': { base: two, remote: two },
        n: { local: directory },
        'n/f': { local: one },
        'n/g': { local: three },
      },
      ['publish n directory', 'publishMove d/f n/f', 'publish n/g file', 'publish d/g nothing', 'publish d nothing'],
    ],
    [
      'nested: a directory renamed inside a directory that was renamed',
      {
        d: goneHere,
        'd/s': goneHere,
        'd/s/f': { base: one, remote: one },
        n: { local: directory },
        'n/t': { local: directory },
        'n/t/f': { local: one },
      },
      ['publish n directory', 'publishMove d/s n/t all', 'publish d nothing'],
    ],
    [
      'out of scope here and held by others: not moved with the directory',
      {
        d: goneHere,
        'd/f': { base: one, remote: one },
        'd/log': { remote: two, outOfScope: 'ignored' },
        n: { local: directory },
        'n/f': { local: one },
      },
      ['leaves d', 'publish n directory', 'publishMove d/f n/f'],
    ],
  ];
  for (const [name, folder, steps] of table) it(name, () => expect(told(planOf(folder))).toEqual(steps));

  it('a directory renamed there, in which a file must stay for now: the files move one by one, equal ones and empty ones too', () => {
    const empty = file('');
    const folder = {
      d: { base: directory, local: directory },
      'd/e': { base: empty, local: empty },
      'd/f': { base: one, local: one },
      'd/g': { base: two, local: three },
      'd/h': { base: two, local: two },
      'd/i': { base: two },
      n: { remote: directory },
      'n/e': { remote: empty },
      'n/f': { remote: one },
      'n/g': { remote: two },
      'n/h': { remote: two },
      'n/i': { remote: two },
    };
    for (const held of ['d', 'n'])
      expect(told(planOf(folder, { staysOnDisk: (path) => path === held || path === `${held}/f` }))).toEqual([
        'agree d/i',
        'apply n directory',
        'applyMove d/e n/e',
        'applyMove d/f n/f',
        'applyMove d/g n/g',
        'applyMove d/h n/h',
        'apply n/i file',
        'apply d nothing',
      ]);
  });

  it('the new name waits for the old one to settle, and the directory that it came in with it', () => {
    const folder = {
      d: goneHere,
      'd/f': { base: one, remote: one },
      n: { local: directory },
      'n/f': { local: one },
      'n/g': { local: two },
    };
    const settled = (path: RelPath): boolean => path !== 'd/f' && path !== 'd';
    expect(told(planOf(folder, { settled }))).toEqual([]);
  });
});

/** Two peers that start equal, work apart, and meet; once with each of them first. */
describe('two peers meet', () => {
  type Folder = Readonly<Record<string, Node>>;
  const dir: Node = { kind: 'directory' };
  const text = (content: string): Node => ({ kind: 'file', text: content, executable: false });
  const write = (peer: ModelPeer, folder: Folder): void => {
    peer.disk.clear();
    for (const [path, node] of Object.entries(folder)) peer.disk.set(rel(path), node);
  };
  const read = (peer: ModelPeer): Record<string, string> =>
    Object.fromEntries(
      [...peer.disk].map(([path, node]) => [path, node.kind === 'file' ? node.text : node.kind]).sort(),
    );

  function meet(start: Folder, left: Folder, right: Folder): Record<string, string> {
    const room = new ModelRoom();
    const peers = [new ModelPeer('left', room), new ModelPeer('right', room)] as const;
    write(peers[0], start);
    for (let round = 0; round < 4; round += 1) for (const peer of peers) turn(peer);
    write(peers[0], left);
    write(peers[1], right);
    for (let round = 0; round < 12; round += 1) for (const peer of peers) turn(peer);
    expect(read(peers[0])).toEqual(read(peers[1]));
    return read(peers[0]);
  }
  const turn = (peer: ModelPeer): void => {
    peer.pull();
    peer.turn();
  };

  const table: readonly (readonly [string, Folder, Folder, Folder, Record<string, string>])[] = [
    [
      'C1 text edited apart',
      { 'f.txt': text('a\nb') },
      { 'f.txt': text('a\nb\nc') },
      { 'f.txt': text('0\na\nb') },
      { 'f.txt': '0\na\nb\nc' },
    ],
    ['C5 edit beats deletion', { f: text('a') }, { f: text('b') }, {}, { f: 'b' }],
    ['C6 deleted on both sides', { f: text('a') }, {}, {}, {}],
    ['C9 the edit follows the rename', { f: text('a') }, { g: text('a') }, { f: text('b') }, { g: 'b' }],
    [
      'C13 created in a deleted folder',
      { d: dir, 'd/f': text('a') },
      {},
      { d: dir, 'd/f': text('a'), 'd/n': text('b') },
      { d: 'directory', 'd/n': 'b' },
    ],
    [
      'C14 edited in a deleted folder',
      { d: dir, 'd/f': text('a') },
      {},
      { d: dir, 'd/f': text('b') },
      { d: 'directory', 'd/f': 'b' },
    ],
    [
      'C15 folder renamed, edited and created in',
      { d: dir, 'd/f': text('a'), 'd/g': text('b') },
      { n: dir, 'n/f': text('a'), 'n/g': text('b') },
      { d: dir, 'd/f': text('c'), 'd/g': text('b'), 'd/new': text('e') },
      { n: 'directory', 'n/f': 'c', 'n/g': 'b', 'n/new': 'e' },
    ],
  ];
  for (const [name, start, left, right, folder] of table) {
    it(name, () => {
      expect(meet(start, left, right)).toEqual(folder);
      expect(meet(start, right, left)).toEqual(folder);
    });
  }

  const before: Folder = {
    d: dir,
    'd/s': dir,
    'd/s/1': text('one'),
    'd/s/2.txt': text('a\nb'),
    'd/s/3': text('three'),
    'd/s/4': text('four'),
    'd/s/same': text('three'),
    'd/s/empty': text(''),
  };
  const renamed = (name: string, changes: Readonly<Record<string, string | null>> = {}): Folder => {
    const folder: Record<string, Node> = {};
    for (const [path, node] of Object.entries(before)) folder[path.replace(/^d/, name)] = node;
    for (const [path, content] of Object.entries(changes)) {
      if (content === null) delete folder[`${name}/${path}`];
      else folder[`${name}/${path}`] = text(content);
    }
    return folder;
  };
  const contentsOf = (folder: Folder): Record<string, string> =>
    Object.fromEntries(
      Object.entries(folder).map(([path, node]) => [path, node.kind === 'file' ? node.text : node.kind]),
    );

  const shared: readonly (readonly [string, Folder, Folder, Folder, Folder])[] = [
    ['nothing else', before, renamed('n'), renamed('n'), renamed('n')],
    ['edited on one side', before, renamed('n', { 's/1': 'edited' }), renamed('n'), renamed('n', { 's/1': 'edited' })],
    [
      'one file edited on each side, one made, one deleted',
      before,
      renamed('n', { 's/1': 'edited', 's/new': 'made', 's/3': null }),
      renamed('n', { 's/4': 'edited too', 's/other': 'made too', 's/same': null }),
      renamed('n', {
        's/1': 'edited',
        's/4': 'edited too',
        's/new': 'made',
        's/other': 'made too',
        's/3': null,
        's/same': null,
      }),
    ],
    [
      'one text edited on both sides',
      before,
      renamed('n', { 's/2.txt': 'a\nb\nc' }),
      renamed('n', { 's/2.txt': '0\na\nb' }),
      renamed('n', { 's/2.txt': '0\na\nb\nc' }),
    ],
    [
      'a single file',
      { f: text('a'), g: text('b') },
      { n: text('a'), g: text('b') },
      { n: text('c'), g: text('b') },
      { n: text('c'), g: text('b') },
    ],
    [
      'a single text, edited on both sides',
      { 'f.txt': text('a\nb'), g: text('b') },
      { 'n.txt': text('a\nb\nc'), g: text('b') },
      { 'n.txt': text('0\na\nb'), g: text('b') },
      { 'n.txt': text('0\na\nb\nc'), g: text('b') },
    ],
    [
      'to another directory, edited on both sides, beside another file that was deleted',
      { d: dir, 'd/f.txt': text('a\nb'), 'd/g.txt': text('g') },
      { e: dir, 'e/f.txt': text('a\nb\nc') },
      { e: dir, 'e/f.txt': text('0\na\nb') },
      { e: dir, 'e/f.txt': text('0\na\nb\nc') },
    ],
    [
      'of two files with the same bytes, one edited',
      { f: text('a'), g: text('a') },
      { m: text('a'), n: text('a') },
      { m: text('b'), n: text('a') },
      { m: text('b'), n: text('a') },
    ],
    [
      'an empty one, edited on one side',
      { f: text('') },
      { n: text('') },
      { n: text('written') },
      { n: text('written') },
    ],
    [
      'with another mode on one side, edited on the other',
      { f: text('a') },
      { n: { kind: 'file', text: 'a', executable: true } },
      { n: text('c') },
      { n: text('c') },
    ],
    [
      'two files change places, one edited on one side',
      { f: text('f'), g: text('g') },
      { f: text('g'), g: text('f') },
      { f: text('g edited'), g: text('f') },
      { f: text('g edited'), g: text('f') },
    ],
    [
      'two files change places, each edited on one side',
      { f: text('f'), g: text('g'), h: text('h') },
      { f: text('g'), g: text('f edited'), h: text('h') },
      { f: text('g edited'), g: text('f'), h: text('h') },
      { f: text('g edited'), g: text('f edited'), h: text('h') },
    ],
    [
      'two files change places, one text edited on both sides',
      { 'f.txt': text('f'), 'g.txt': text('a\nb') },
      { 'f.txt': text('a\nb\nc'), 'g.txt': text('f') },
      { 'f.txt': text('0\na\nb'), 'g.txt': text('f') },
      { 'f.txt': text('0\na\nb\nc'), 'g.txt': text('f') },
    ],
    [
      'files move up in a row, the first edited on one side',
      { f: text('f'), g: text('g') },
      { g: text('f'), h: text('g') },
      { g: text('f edited'), h: text('g') },
      { g: text('f edited'), h: text('g') },
    ],
    [
      'a copy of what was there before, on both sides, is no rename',
      { 'f.txt': text('a\nb') },
      { 'f.txt': text('a\nb\nc'), 'f.bak.txt': text('a\nb') },
      { 'f.txt': text('0\na\nb'), 'f.bak.txt': text('a\nb') },
      { 'f.txt': text('0\na\nb\nc'), 'f.bak.txt': text('a\nb') },
    ],
  ];
  it.each(shared)('C11 the same rename on both sides: %s', (_, start, left, right, folder) => {
    expect(meet(start, left, right)).toEqual(contentsOf(folder));
    expect(meet(start, right, left)).toEqual(contentsOf(folder));
  });

  const twoNames: readonly (readonly [string, Folder, Folder, Folder, (name: string) => Folder])[] = [
    ['nothing else', before, renamed('m'), renamed('n'), renamed],
    [
      'edited, made and deleted on both sides',
      before,
      renamed('m', { 's/1': 'edited', 's/3': null }),
      renamed('n', { 's/4': 'edited too', 's/same': null, 's/other': 'made' }),
      (name) => renamed(name, { 's/1': 'edited', 's/3': null, 's/4': 'edited too', 's/same': null, 's/other': 'made' }),
    ],
    [
      'one text edited on both sides',
      before,
      renamed('m', { 's/2.txt': 'a\nb\nc' }),
      renamed('n', { 's/2.txt': '0\na\nb' }),
      (name) => renamed(name, { 's/2.txt': '0\na\nb\nc' }),
    ],
    ['a single file', { f: text('a') }, { m: text('a') }, { n: text('a') }, (name) => ({ [name]: text('a') })],
  ];
  it.each(twoNames)('C11 renamed to two names, the first one stays: %s', (_, start, left, right, folder) => {
    expect(meet(start, left, right)).toEqual(contentsOf(folder('m')));
    expect(meet(start, right, left)).toEqual(contentsOf(folder('n')));
  });

  it('C2, C10, C18: both contents stay, one of them under a conflict name', () => {
    const cases: readonly (readonly [Folder, Folder, Folder])[] = [
      [{ f: text('a') }, { f: text('b') }, { f: text('c') }],
      [
        { p: text('b'), q: text('c') },
        { q: text('c'), t: text('b') },
        { p: text('b'), t: text('c') },
      ],
      [{}, { f: text('b') }, { f: dir, 'f/x': text('c') }],
    ];
    for (const [start, left, right] of cases)
      for (const [first, second] of [
        [left, right],
        [right, left],
      ] as const) {
        const contents = Object.values(meet(start, first, second)).filter((content) => content !== 'directory');
        expect(contents.sort()).toEqual(['b', 'c']);
      }
  });

  it('C19: three contents of one file give one set of copies', () => {
    const room = new ModelRoom();
    const peers = ['p0', 'p1', 'p2'].map((name) => new ModelPeer(name, room));
    for (const peer of peers) peer.disk.set(rel('f'), text(`by ${peer.name}`));
    for (let round = 0; round < 12; round += 1) for (const peer of peers) turn(peer);
    for (const peer of peers) {
      expect(Object.values(read(peer)).sort()).toEqual(['by p0', 'by p1', 'by p2']);
      expect(read(peer)).toEqual(read(peers[0] as ModelPeer));
    }
  });

  it('C23: a file handed round never conflicts', () => {
    const room = new ModelRoom();
    const peers = ['p0', 'p1', 'p2'].map((name) => new ModelPeer(name, room));
    for (let turnOf = 0; turnOf < 9; turnOf += 1) {
      const peer = peers[turnOf % 3] as ModelPeer;
      turn(peer);
      peer.disk.set(rel('f'), text(`version ${turnOf}`));
      turn(peer);
    }
    expect(peers.map((peer) => peer.conflicts)).toEqual([0, 0, 0]);
  });
});
