/** What the laws do not cover: files, damage, kills, migrations, journals, caches (rules STATE, SENT, INTENT, BASE; P10, P18, S20). */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { noRecordId, type RecordId, type SealedRecord, type Variant, type VariantId } from '@driftless/protocol';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Fingerprint, LocalEntry } from '../core/local-entry.ts';
import { deviceOf, digestOf, directory, file, rel } from '../core/test-support/entries.ts';
import { type Intent, type SentAppend, type StateStore, StateStoreError, type TrashRow } from '../ports/state-store.ts';
import { nodeHashing } from './node-hashing.ts';
import { openSqlDb } from './sql-db.ts';
import { moveStateStoreAside, openStateStore } from './sqlite-state-store.ts';
import { stateMigrations } from './state-schema.ts';

let home = '';
let dbFile = '';
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'driftless-store-'));
  dbFile = join(home, 'link', 'state.db');
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const open = (): StateStore => openStateStore({ file: dbFile, holdsModes: true });
const recordId = (height: number): RecordId => height.toString(16).padStart(64, '0') as RecordId;
const sealed = (size = 3): SealedRecord => ({
  header: new Uint8Array(size),
  body: new Uint8Array(2),
  writerSignature: new Uint8Array(1),
});
const localFile = (text: string): LocalEntry => ({
  kind: 'file',
  digest: digestOf(text),
  size: text.length,
  executable: false,
  private: false,
  openToOthers: true,
  mtimeMs: 1,
  fingerprint: '1.2.3.4' as Fingerprint,
  racy: false,
});
const variant: Variant = {
  id: 'ab'.repeat(8) as VariantId,
  path: rel('a'),
  entry: file('mine'),
  device: deviceOf('laptop'),
  deviceName: 'laptop',
  timeMs: 5,
  mtimeMs: 6,
  baseDigest: null,
};

function commit(
  store: StateStore,
  text: string,
  variants: { readonly opened?: readonly Variant[]; readonly closed?: readonly Variant[] } = {},
): void {
  const height = (store.head()?.height ?? 0) + 1;
  const { opened = [], closed = [] } = variants;
  const change = { updates: [{ path: rel('a'), slot: file(text) }], variantsOpened: opened, variantsClosed: closed };
  const head = { height, id: recordId(height) };
  const prev = store.head()?.id ?? noRecordId;
  const meta = {
    head,
    prev,
    root: store.rootAfter(change),
    device: 'd',
    deviceName: 'n',
    timeMs: 1,
    label: '',
    massDeletion: 'none' as const,
    changes: 1,
    own: false,
  };
  store.commitRecord({ meta, record: sealed(), ...change, mtimes: new Map(), bytes: 100 });
}

const codeOf = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    return error instanceof StateStoreError ? error.code : String(error);
  }
  return 'no error';
};

describe('files', () => {
  test('the directory is 0700 and the files are 0600 from the start (S20)', () => {
    const store = open();
    store.setSetting('a', 'b');
    for (const name of ['state.db', 'state.db-wal', 'state.db-shm'])
      expect(statSync(join(home, 'link', name)).mode & 0o777, name).toBe(0o600);
    expect(statSync(join(home, 'link')).mode & 0o777).toBe(0o700);
    store.close();
  });

  test('what was written is there after closing and opening', () => {
    const store = open();
    commit(store, 'one');
    store.setLocal(rel('a'), localFile('one'));
    store.flush();
    store.close();
    const again = open();
    expect(again.row(rel('a'))).toMatchObject({ remote: file('one'), local: { digest: digestOf('one') } });
    expect(again.counts()).toMatchObject({ files: 1, pending: 1 });
    commit(again, 'two');
    expect(again.head()?.height).toBe(2);
    again.close();
  });

  test('flush inside a transaction is a fault', () => {
    const store = open();
    expect(() => store.transaction(() => store.flush())).toThrow('flush inside a transaction');
    store.close();
  });
});

describe('transactions', () => {
  test('what is kept in memory is rolled back with the rest', () => {
    const store = open();
    store.setLocal(rel('a'), localFile('one'));
    store.setSetting('paused', 'no');
    commit(store, 'base', { opened: [variant] });
    const seen = (): unknown => [
      store.row(rel('a')),
      store.row(rel('b')),
      store.setting('paused'),
      store.openVariants(),
    ];
    const before = seen();
    expect(() =>
      store.transaction(() => {
        store.setLocal(rel('a'), localFile('two'));
        store.setLocal(rel('b'), localFile('new'));
        store.setSetting('paused', 'yes');
        commit(store, 'next', { closed: [variant] });
        expect(store.row(rel('a'))?.local).toEqual(localFile('two'));
        expect([store.setting('paused'), store.openVariants()]).toEqual(['yes', []]);
        throw new Error('no');
      }),
    ).toThrow('no');
    expect(seen()).toEqual(before);
    store.close();
  });

  test('a throw that a caller between catches still rolls all back', () => {
    const store = open();
    const work = () =>
      store.transaction(() => {
        store.setSetting('a', '1');
        try {
          store.transaction(() => {
            throw new Error('inner');
          });
        } catch {
          // The outer work goes on as if nothing were wrong.
        }
      });
    expect(work).toThrow('inner');
    expect(store.setting('a')).toBeUndefined();
    store.close();
  });

  test('asynchronous work is refused', () => {
    const store = open();
    expect(() => store.transaction(async () => {})).toThrow('must be synchronous');
    store.close();
  });

  test('kill -9 in the middle of transactions leaves whole ones, and counts that add up', async () => {
    const child = spawn(process.execPath, [join(import.meta.dirname, 'test-support', 'write-forever.ts'), dbFile], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exited = new Promise((resolve) => child.once('exit', resolve));
    await new Promise((resolve) =>
      child.stdout.on('data', (bytes: Buffer) => bytes.includes('written 5\n') && resolve(undefined)),
    );
    child.kill('SIGKILL');
    await exited;
    const store = open();
    const rows = store.rowsFrom('', 100_000);
    // The child writes 100 files in each transaction.
    expect(rows.length).toBeGreaterThanOrEqual(500);
    expect(rows.length % 100).toBe(0);
    expect(store.counts()).toMatchObject({ files: rows.length, entries: rows.length, pending: rows.length });
    expect(store.setting('written')).toBe(String(rows.length / 100));
    store.close();
  });
});

describe('schema (STATE, P18)', () => {
  test('one above ours is refused, and not a byte is touched', () => {
    open().close();
    const db = openSqlDb(dbFile);
    db.exec('PRAGMA user_version = 99');
    db.close();
    const before = readFileSync(dbFile);
    expect(codeOf(open)).toBe('newer');
    expect(readFileSync(dbFile).equals(before)).toBe(true);
  });

  test('a migration keeps a copy of what was, and what it held', () => {
    const store = open();
    store.setSetting('name', 'value');
    store.close();
    const next = [...stateMigrations, (db: ReturnType<typeof openSqlDb>) => db.exec('CREATE TABLE extra (a TEXT)')];
    const migrated = openStateStore({ file: dbFile, holdsModes: true, migrations: next });
    expect(migrated.setting('name')).toBe('value');
    migrated.close();
    expect(codeOf(open)).toBe('newer');
    const copy = `${dbFile}.before-schema-${next.length}`;
    expect(statSync(copy).mode & 0o777).toBe(0o600);
    const old = openStateStore({ file: copy, holdsModes: true });
    expect(old.setting('name')).toBe('value');
    old.close();
  });

  test('a migration that fails changes nothing', () => {
    const store = open();
    store.setSetting('name', 'value');
    store.close();
    const broken = [
      ...stateMigrations,
      (db: ReturnType<typeof openSqlDb>) => db.exec('CREATE TABLE extra (a TEXT); nonsense'),
    ];
    expect(() => openStateStore({ file: dbFile, holdsModes: true, migrations: broken })).toThrow('nonsense');
    const again = open();
    expect(again.setting('name')).toBe('value');
    again.close();
  });
});

describe('damage (P10) is told, never acted on', () => {
  const fill = () => {
    const store = open();
    store.transaction(() => {
      for (let index = 0; index < 3_000; index += 1)
        store.setLocal(rel(`dir/file-${String(index).padStart(5, '0')}`), localFile(`text ${index}`));
    });
    commit(store, 'one');
    store.close();
  };
  /** Opens and reads everything, as a peer does sooner or later. */
  const use = () => {
    const store = open();
    try {
      store.rowsFrom('', 100_000);
    } finally {
      store.close();
    }
  };

  test.each([
    ['cut in the middle', () => truncateSync(dbFile, Math.floor(statSync(dbFile).size / 2))],
    ['cut below its header', () => truncateSync(dbFile, 50)],
    ['all zeroes', () => writeFileSync(dbFile, Buffer.alloc(statSync(dbFile).size))],
    ['all noise', () => writeFileSync(dbFile, Buffer.alloc(statSync(dbFile).size, 'no database at all '))],
    ['zeroes in the middle', () => overwrite(0.3, Buffer.alloc(40_000))],
    ['noise in the middle', () => overwrite(0.3, Buffer.alloc(40_000, 'noise'))],
    ['a text file', () => writeFileSync(dbFile, 'hello')],
  ])('%s', (_name, damage) => {
    fill();
    damage();
    expect(codeOf(use)).toBe('damaged');
  });

  test('one flipped byte inside a row', () => {
    fill();
    const bytes = readFileSync(dbFile);
    const at = bytes.indexOf(Buffer.from(digestOf('text 1234'), 'hex'));
    bytes[at + 3] = (bytes[at + 3] ?? 0) ^ 0x40;
    writeFileSync(dbFile, bytes);
    expect(codeOf(use)).toBe('damaged');
  });

  test('moved aside, it makes way for a new one', () => {
    fill();
    writeFileSync(dbFile, 'hello');
    expect(codeOf(open)).toBe('damaged');
    const aside = moveStateStoreAside(dbFile);
    expect(readFileSync(aside, 'utf8')).toBe('hello');
    expect(existsSync(dbFile)).toBe(false);
    const store = open();
    expect(store.head()).toBeNull();
    store.close();
  });

  function overwrite(share: number, bytes: Buffer): void {
    const whole = readFileSync(dbFile);
    bytes.copy(whole, Math.floor(whole.length * share));
    writeFileSync(dbFile, whole);
  }
});

describe('the room', () => {
  test('a record that does not follow the head, or whose root does not come out, is refused whole', () => {
    const store = open();
    commit(store, 'one');
    const change = { updates: [{ path: rel('b'), slot: directory }], variantsOpened: [], variantsClosed: [] };
    const meta = {
      device: '',
      deviceName: '',
      timeMs: 0,
      label: '',
      massDeletion: 'none' as const,
      changes: 1,
      own: false,
    };
    const root = store.rootAfter(change);
    const rest = { record: sealed(), ...change, mtimes: new Map(), bytes: 1 };
    const gap = { height: 3, id: recordId(3) };
    expect(() => store.commitRecord({ meta: { ...meta, head: gap, prev: recordId(1), root }, ...rest })).toThrow(
      'does not follow',
    );
    const next = { height: 2, id: recordId(2) };
    expect(() =>
      store.commitRecord({ meta: { ...meta, head: next, prev: recordId(1), root: store.root() }, ...rest }),
    ).toThrow('does not come out');
    expect(store.head()?.height).toBe(1);
    expect(store.row(rel('b'))).toBeUndefined();
    store.close();
  });

  test('variants are in the root, and a rollback brings back what a record closed (RB3)', () => {
    const store = open();
    commit(store, 'one');
    commit(store, 'one', { opened: [variant] });
    const rootWith = store.root();
    commit(store, 'two', { closed: [variant] });
    expect(store.openVariants()).toEqual([]);
    expect(store.root()).not.toBe(rootWith);
    expect(store.rollBackTo({ height: 2, id: recordId(2) })).toEqual(['a']);
    expect(store.openVariants()).toEqual([variant]);
    expect(store.variants(rel('a'))).toEqual([variant]);
    expect(store.root()).toBe(rootWith);
    expect(store.rollBackTo({ height: 1, id: recordId(1) })).toEqual(['a']);
    expect(store.openVariants()).toEqual([]);
    store.close();
  });

  test('a head that is not kept, or another one of that height, is no place to go back to (RB3)', () => {
    const store = open();
    commit(store, 'one');
    commit(store, 'two');
    expect(store.rollBackTo({ height: 1, id: recordId(77) })).toBe(false);
    expect(store.rollBackTo({ height: 9, id: recordId(9) })).toBe(false);
    expect(store.rollBackTo({ height: 2, id: recordId(2) })).toEqual([]);
    expect(store.head()?.height).toBe(2);
    store.close();
  });

  test('heads, records and the checkpoint rule (RB2, CP3)', () => {
    const store = open();
    for (const text of ['one', 'two', 'three']) commit(store, text);
    expect(store.recentHeads(2).map(({ height }) => height)).toEqual([3, 2]);
    expect(store.recordMeta(2)?.head.id).toBe(recordId(2));
    expect(store.recordMeta(4)).toBeUndefined();
    expect(store.cachedRecordsAfter(1)).toHaveLength(2);
    expect(store.cachedRecordsAfter(3)).toEqual([]);
    expect(store.bytesSinceCheckpoint()).toEqual({ bytes: 300, records: 3 });
    store.noteCheckpoint({ height: 2, bytes: 40 });
    expect(store.bytesSinceCheckpoint()).toEqual({ bytes: 100, records: 1 });
    expect(store.lastCheckpoint()).toEqual({ height: 2, bytes: 40 });
    store.rollBackTo({ height: 2, id: recordId(2) });
    expect(store.cachedRecordsAfter(1)).toHaveLength(1);
    store.close();
  });

  test('the record cache keeps the last 1,000 (RB2)', () => {
    const store = openStateStore({ file: ':memory:', holdsModes: true });
    for (let count = 0; count < 1_005; count += 1) commit(store, `text ${count}`);
    expect(store.cachedRecordsAfter(5)).toHaveLength(1_000);
    expect(store.cachedRecordsAfter(4)).toBeUndefined();
    store.close();
  });
});

describe('journals', () => {
  const sent: SentAppend = {
    id: recordId(7),
    height: 7,
    record: { header: Uint8Array.of(1), body: Uint8Array.of(2, 3), writerSignature: Uint8Array.of(4) },
    outcome: [
      { path: rel('a'), entry: file('one', { executable: true }) },
      { path: rel('b/ü'), entry: null },
    ],
    variants: [variant],
  };

  test('SENT, INTENT, trash and settings come back as they were given', () => {
    const store = open();
    const intents: Intent[] = [
      {
        path: rel('a'),
        before: localFile('old'),
        places: { kind: 'file', mode: { executable: false, private: true }, digest: digestOf('new') },
        base: file('new'),
        stagedName: 's1',
        asideName: 'x1',
        reason: 'merged',
      },
      {
        path: rel('b'),
        before: null,
        places: { kind: 'symlink', target: 'a' },
        base: null,
        stagedName: null,
        asideName: 'x2',
        reason: 'replaced',
      },
    ];
    const trash: TrashRow = {
      name: 't',
      path: rel('a'),
      digest: null,
      fingerprint: 'f',
      inRecord: false,
      reason: 'replaced',
      atMs: 5,
    };
    store.putSent(sent);
    for (const intent of intents) store.putIntent(intent);
    store.putTrash(trash);
    store.putTrash({ ...trash, name: 'u', inRecord: true });
    store.setSetting('a', '{"b":1}');
    store.close();
    const again = open();
    expect(again.sent(sent.id)).toEqual(sent);
    expect(again.allSent()).toEqual([sent]);
    expect(again.intents()).toEqual(intents);
    expect(again.trash()).toEqual([trash, { ...trash, name: 'u', inRecord: true }]);
    expect(again.unrecordedTrash()).toEqual([trash]);
    again.putTrash({ ...trash, inRecord: true });
    expect(again.unrecordedTrash()).toEqual([]);
    again.deleteTrash('u');
    expect(again.setting('a')).toBe('{"b":1}');
    again.deleteSent(sent.id);
    again.deleteIntent(rel('a'));
    again.deleteIntent(rel('b'));
    again.deleteTrash('t');
    again.setSetting('a', null);
    expect([again.allSent(), again.intents(), again.trash(), again.setting('a')]).toEqual([[], [], [], undefined]);
    again.close();
  });

  test('noise in a journal is damage', () => {
    const store = open();
    store.setSetting('name', 'value-to-find');
    store.close();
    const bytes = readFileSync(dbFile);
    bytes.write('value-to-lose', bytes.indexOf('value-to-find'));
    writeFileSync(dbFile, bytes);
    const again = open();
    expect(codeOf(() => again.setting('name'))).toBe('damaged');
    again.close();
  });
});

describe('caches', () => {
  const day = 24 * 3_600_000;
  const bytesOf = (text: string) => new TextEncoder().encode(text);
  const contentDigest = (bytes: Uint8Array) =>
    Buffer.from(nodeHashing.sha256(bytes)).toString('hex') as ReturnType<typeof digestOf>;

  test('base contents up to 1 MiB for 90 days, and never other bytes than the digest says (BASE)', () => {
    const store = open();
    const [old, fresh, large] = [bytesOf('old'), bytesOf('fresh'), new Uint8Array(1024 * 1024 + 1)];
    store.cacheContent(contentDigest(old), old, 0);
    store.cacheContent(contentDigest(large), large, 0);
    store.cacheContent(digestOf('another text'), bytesOf('fresh'), 1);
    expect(Buffer.from(store.cachedContent(contentDigest(old)) ?? []).toString()).toBe('old');
    expect(store.cachedContent(contentDigest(large))).toBeUndefined();
    expect(store.cachedContent(digestOf('another text'))).toBeUndefined();
    store.cacheContent(contentDigest(fresh), fresh, 91 * day);
    expect(store.cachedContent(contentDigest(old))).toBeUndefined();
    expect(store.cachedContent(contentDigest(fresh))).toBeDefined();
    store.close();
  });

  test('sealed chunks: the oldest go at 64 MiB (RB2)', () => {
    const store = openStateStore({ file: ':memory:', holdsModes: true });
    const sealedBytes = new Uint8Array(1024 * 1024);
    const id = (index: number) => digestOf(String(index)) as unknown as Parameters<StateStore['cachedChunk']>[0];
    for (let index = 0; index < 65; index += 1) store.cacheChunk({ id: id(index), sealed: sealedBytes });
    expect(store.cachedChunk(id(0))).toBeUndefined();
    expect(store.cachedChunk(id(1))?.sealed.length).toBe(sealedBytes.length);
    expect(store.cachedChunk(id(64))).toBeDefined();
    store.close();
  });

  test.each([
    ['shorter', `substr(value, 1, length(value) - 5)`],
    ['other bytes', `CAST(substr(value, 1, 4) || X'00FF00FF00FF' || substr(value, 11) AS BLOB)`],
    ['nothing', `X''`],
  ])('a damaged row is a miss: %s (P10)', (_, value) => {
    const before = open();
    const bytes = bytesOf('some bytes that are long enough');
    const chunk = { id: digestOf('chunk'), sealed: bytes } as unknown as Parameters<StateStore['cacheChunk']>[0];
    commit(before, 'one');
    before.cacheContent(contentDigest(bytes), bytes, 0);
    before.cacheChunk(chunk);
    before.cacheChunkIds(digestOf('x'), [chunk.id, chunk.id]);
    before.close();
    const db = openSqlDb(dbFile);
    const tables = ['cached_records', 'cached_contents', 'cached_chunks', 'cached_chunk_ids'];
    for (const table of tables) db.exec(`UPDATE ${table} SET value = ${value}`);
    db.close();
    const store = open();
    expect(store.cachedRecordsAfter(0)).toBeUndefined();
    expect(store.cachedContent(contentDigest(bytes))).toBeUndefined();
    expect(store.cachedChunk(chunk.id)).toBeUndefined();
    expect(store.cachedChunkIds(digestOf('x'))).toBeUndefined();
    store.cacheChunk(chunk);
    expect(Buffer.from(store.cachedChunk(chunk.id)?.sealed ?? [])).toEqual(Buffer.from(bytes));
    store.close();
  });

  test('chunk ids and history', () => {
    const store = open();
    const ids = [digestOf('1'), digestOf('2')] as unknown as Parameters<StateStore['cacheChunkIds']>[1];
    store.cacheChunkIds(digestOf('x'), ids);
    expect(store.cachedChunkIds(digestOf('x'))).toEqual(ids);
    expect(store.cachedChunkIds(digestOf('y'))).toBeUndefined();
    store.noteHistory(rel('a'), digestOf('x'));
    store.noteHistory(rel('a'), digestOf('x'));
    expect(store.inHistory(rel('a'), digestOf('x'))).toBe(true);
    expect(store.inHistory(rel('b'), digestOf('x'))).toBe(false);
    store.close();
  });
});

test('a disk without the executable bit is not pending for it; a record that changes it is (M5)', () => {
  const store = openStateStore({ file: ':memory:', holdsModes: false });
  store.setBase(rel('a'), file('one', { executable: true }));
  store.setLocal(rel('a'), localFile('one'));
  expect(store.pendingRows({ limit: 9, nowMs: 0 }).map(({ remote }) => remote)).toEqual([null]);
  commit(store, 'one');
  expect(store.counts().pending).toBe(1);
  store.setBase(rel('a'), file('one'));
  expect(store.counts().pending).toBe(0);
  store.close();
});

test('no question reads every row of the tree: what a turn asks for costs the same in a large folder', () => {
  const prepared = vi.spyOn(DatabaseSync.prototype, 'prepare');
  open().close();
  const questions = prepared.mock.calls.map(([sql]) => sql.trim()).filter((sql) => /^(SELECT|UPDATE|DELETE)/.test(sql));
  prepared.mockRestore();
  const db = openSqlDb(dbFile);
  try {
    const planOf = (sql: string): string =>
      db
        .prepare<{ readonly detail: string }>(`EXPLAIN QUERY PLAN ${sql}`)
        .all(...Array.from(sql.matchAll(/\?/g), () => 1))
        .map(({ detail }) => detail)
        .join('; ');
    // Indexes of few rows: of those that wait, are held, left out, failed, or are copies.
    const few =
      /^SCAN tree USING (COVERING )?INDEX tree_(pending|held|out_of_scope|problem|marked|gone|arriving|parked)\b/;
    const ofTree = questions.filter((sql) => /\bFROM tree\b/.test(sql));
    expect(ofTree.length).toBeGreaterThan(20);
    const slow = ofTree.map(planOf).filter((plan) => /\bSCAN tree\b/.test(plan) && !few.test(plan));
    expect(slow).toEqual([]);
  } finally {
    db.close();
  }
});

test('what is parked waits outside of every look, until it changes or all is asked for again', () => {
  const remove = (store: StateStore, path: string): void => store.setLocal(rel(path), null);
  const looks = (store: StateStore): readonly string[] => {
    const page = { limit: 10, nowMs: 1 };
    const rows = [...store.pendingRows(page), ...store.goneRows(page), ...store.arrivingRows({ ...page, after: '' })];
    const lost = store.lostFiles({ side: 'local', limit: 10 });
    return [...new Set([...rows, ...lost].map(({ path }) => path))].sort();
  };
  let store = open();
  for (const path of ['a', 'b', 'c']) {
    store.setBase(rel(path), file(path));
    store.setLocal(rel(path), localFile(path));
  }
  for (const path of ['a', 'b', 'c']) remove(store, path);
  store.park([rel('a'), rel('b'), rel('never-there')]);
  expect(['a', 'c', 'never-there'].map((path) => store.isParked(rel(path)))).toEqual([true, false, false]);
  expect([looks(store), store.parked(), store.counts().pending]).toEqual([['c'], 2, 3]);
  expect([store.isParkedContent(digestOf('b')), store.isParkedContent(digestOf('c'))]).toEqual([true, false]);
  // Setting what is set already is no change.
  remove(store, 'a');
  store.close();
  store = open();
  expect([looks(store), store.parked()]).toEqual([['c'], 2]);
  store.setLocal(rel('b'), localFile('other'));
  expect([looks(store), store.parked()]).toEqual([['b', 'c'], 1]);
  expect(() =>
    store.transaction(() => {
      store.unpark();
      throw new Error('undone');
    }),
  ).toThrow('undone');
  expect([looks(store), store.parked()]).toEqual([['b', 'c'], 1]);
  store.unpark();
  expect([looks(store), store.parked(), store.isParkedContent(digestOf('a'))]).toEqual([['a', 'b', 'c'], 0, false]);
  store.close();
});

test('a declined deletion is remembered until the path changes here, or is at rest', () => {
  let store = open();
  const isDeclined = (path: string): boolean => store.row(rel(path))?.declined === true;
  const paths = ['back', 'anew', 'forgotten', 'rest'];
  for (const path of paths) {
    store.setBase(rel(path), file(path));
    store.setLocal(rel(path), localFile(path));
  }
  store.setHold(rel('conflict'), { variant: null, choice: null });
  store.decline([rel('rest'), rel('never-there'), rel('conflict')]);
  expect([isDeclined('never-there'), isDeclined('rest'), isDeclined('conflict')]).toEqual([false, true, true]);
  store.setLocal(rel('conflict'), localFile('back'));
  expect(isDeclined('conflict')).toBe(false);
  for (const path of paths) store.setLocal(rel(path), null);
  // Gone since: that is another deletion.
  expect(isDeclined('rest')).toBe(false);
  store.decline(paths.map(rel));
  expect(store.lostFiles({ side: 'local', limit: 10 })).toEqual([]);
  store.close();
  store = open();
  expect(paths.map(isDeclined)).toEqual([true, true, true, true]);
  store.setLocal(rel('rest'), null);
  store.setProblem(rel('rest'), { reason: 'full', attempts: 1, retryAtMs: 1 });
  expect(isDeclined('rest')).toBe(true);
  store.setLocal(rel('back'), localFile('back'));
  store.setLocal(rel('anew'), localFile('other'));
  store.setBase(rel('forgotten'), null);
  expect(['back', 'anew', 'forgotten'].map(isDeclined)).toEqual([false, false, false]);
  expect(() =>
    store.transaction(() => {
      store.setLocal(rel('rest'), localFile('rest'));
      throw new Error('undone');
    }),
  ).toThrow('undone');
  expect(isDeclined('rest')).toBe(true);
  store.close();
});
