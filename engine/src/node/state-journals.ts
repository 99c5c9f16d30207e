/**
 * The journals that make every crash unambiguous (rules SENT, INTENT, DISK4), and the settings of the link. Each row
 * carries a checksum: acting on noise would be worse than a re-join (P10).
 */
import type { Digest, RecordId, RelPath, Variant } from '@driftless/protocol';
import type { Intent, SentAppend, TrashRow } from '../ports/state-store.ts';
import { checksum } from './checksum.ts';
import type { SqlDb, SqlStatement } from './sql-db.ts';
import {
  damaged,
  decodeStoredEntry,
  encodeStoredSlot,
  packBytes,
  packSlots,
  parseJson,
  unpackBytes,
  unpackSlots,
} from './state-codec.ts';
import type { Transactions } from './state-transactions.ts';

interface BodyRow {
  readonly name: string;
  readonly body: string;
  readonly sum: number;
}
interface SentRow {
  readonly id: string;
  readonly height: number;
  readonly record: Uint8Array;
  readonly outcome: Uint8Array;
  readonly variants: string;
  readonly sum: number;
}

export type StateJournals = ReturnType<typeof createStateJournals>;

export function createStateJournals(db: SqlDb, transactions: Transactions) {
  const settings = createBodies(db, { table: 'settings', key: 'name', body: 'value' });
  const intents = createBodies(db, { table: 'intents', key: 'path', body: 'body' });
  const trash = createBodies(db, { table: 'trash', key: 'name', body: 'body' });
  const unrecordedTrash = trash.query(`INDEXED BY trash_unrecorded WHERE instr(body, '"inRecord":false') > 0`);
  const superseded = createBodies(db, { table: 'superseded', key: 'path', body: 'body' });
  const clearSuperseded = db.prepare('DELETE FROM superseded');
  // A path that is out of scope is neither: nobody knows what it holds now.
  const selectSettledSuperseded = db.prepare<{ readonly path: string }>(
    'SELECT path FROM superseded LEFT JOIN tree USING (path) WHERE tree.path IS NULL OR base IS NOT NULL OR (scope = 0 AND local IS NULL)',
  );

  const sentColumns = 'id, height, record, outcome, variants, sum';
  const insertSent = db.prepare(`INSERT OR REPLACE INTO sent (${sentColumns}) VALUES (?, ?, ?, ?, ?, ?)`);
  const selectSent = db.prepare<SentRow>(`SELECT ${sentColumns} FROM sent WHERE id = ?`);
  const selectAllSent = db.prepare<SentRow>(`SELECT ${sentColumns} FROM sent ORDER BY height, id`);
  const deleteSent = db.prepare('DELETE FROM sent WHERE id = ?');

  /** Few, and asked for many times a turn. */
  const settingsRead = new Map<string, string | undefined>();
  transactions.afterRollback(() => settingsRead.clear());

  return {
    setting(name: string): string | undefined {
      if (!settingsRead.has(name)) settingsRead.set(name, settings.get(name));
      return settingsRead.get(name);
    },
    setSetting(name: string, value: string | null): void {
      transactions.run(() => {
        if (value === null) settings.delete(name);
        else settings.put(name, value);
        settingsRead.set(name, value ?? undefined);
      });
    },

    putSent(sent: SentAppend): void {
      const record = packBytes([sent.record.header, sent.record.body, sent.record.writerSignature]);
      const outcome = packSlots(sent.outcome.map(({ path, entry }) => ({ path, slot: entry, mtimeMs: 0 })));
      const variants = JSON.stringify(sent.variants);
      const row = { id: sent.id, height: sent.height, record, outcome, variants };
      transactions.run(() => insertSent.run(sent.id, sent.height, record, outcome, variants, sumOfSent(row)));
    },
    sent(id: RecordId): SentAppend | undefined {
      const row = selectSent.get(id);
      return row === undefined ? undefined : sentOf(row);
    },
    allSent: (): SentAppend[] => selectAllSent.all().map(sentOf),
    deleteSent: (id: RecordId): void => transactions.run(() => deleteSent.run(id)),

    putIntent({ path, base, ...rest }: Intent): void {
      const entry = base === null ? null : Buffer.from(encodeStoredSlot(base)).toString('base64');
      transactions.run(() => intents.put(path, JSON.stringify({ entry, ...rest })));
    },
    deleteIntent: (path: RelPath): void => transactions.run(() => intents.delete(path)),
    intents: (): Intent[] => intents.all().map(({ name, body }) => intentOf(name as RelPath, body)),

    putTrash(row: TrashRow): void {
      transactions.run(() => trash.put(row.name, JSON.stringify(row)));
    },
    trash: (): TrashRow[] => trash.all().map(trashOf),
    unrecordedTrash: (): TrashRow[] => unrecordedTrash().map(trashOf),
    deleteTrash: (name: string): void => transactions.run(() => trash.delete(name)),

    superseded: (): ReadonlyMap<RelPath, Digest> =>
      new Map(superseded.all().map(({ name, body }) => [name as RelPath, body as Digest])),
    replaceSuperseded(all: ReadonlyMap<RelPath, Digest>): void {
      transactions.run(() => {
        clearSuperseded.run();
        for (const [path, digest] of all) superseded.put(path, digest);
      });
    },
    forgetSettledSuperseded(): boolean {
      const settled = selectSettledSuperseded.all();
      if (settled.length === 0) return false;
      transactions.run(() => {
        for (const { path } of settled) superseded.delete(path);
      });
      return true;
    },
  };
}

/** A table of texts by name, each with its checksum. */
function createBodies(db: SqlDb, names: { readonly table: string; readonly key: string; readonly body: string }) {
  const { table, key, body } = names;
  const columns = `${key} AS name, ${body} AS body, sum`;
  const insert = db.prepare(`INSERT OR REPLACE INTO ${table} (${key}, ${body}, sum) VALUES (?, ?, ?)`);
  const remove = db.prepare(`DELETE FROM ${table} WHERE ${key} = ?`);
  const select: SqlStatement<BodyRow> = db.prepare<BodyRow>(`SELECT ${columns} FROM ${table} WHERE ${key} = ?`);
  const checked = (row: BodyRow): BodyRow => {
    if (sumOfBody(row.name, row.body) !== row.sum) throw damaged();
    return row;
  };
  function query(condition: string): () => readonly BodyRow[] {
    const statement = db.prepare<BodyRow>(`SELECT ${columns} FROM ${table} ${condition} ORDER BY ${key}`);
    return () => statement.all().map(checked);
  }
  return {
    get: (name: string): string | undefined => {
      const row = select.get(name);
      return row === undefined ? undefined : checked(row).body;
    },
    all: query(''),
    /** Those of a condition, as SQL. */
    query,
    put: (name: string, text: string): void => insert.run(name, text, sumOfBody(name, text)),
    delete: (name: string): void => remove.run(name),
  };
}

function intentOf(path: RelPath, body: string): Intent {
  const { entry, ...rest } = parseJson(body) as Omit<Intent, 'path' | 'base'> & { readonly entry: string | null };
  return { path, base: entry === null ? null : decodeStoredEntry(Buffer.from(entry, 'base64')), ...rest };
}

const trashOf = ({ body }: BodyRow): TrashRow => parseJson(body) as TrashRow;

function sumOfBody(name: string, body: string): number {
  return checksum(`${name}\n${body}`);
}

function sumOfSent(row: Omit<SentRow, 'sum'>): number {
  return checksum(row.outcome, checksum(row.record, checksum(`${row.id}\n${row.height}\n${row.variants}`)));
}

function sentOf(row: SentRow): SentAppend {
  if (sumOfSent(row) !== row.sum) throw damaged();
  const [header, body, writerSignature] = unpackBytes(row.record);
  if (header === undefined || body === undefined || writerSignature === undefined) throw damaged();
  const outcome = unpackSlots(row.outcome).map(({ path, slot }) => {
    if (slot?.kind === 'tombstone') throw damaged();
    return { path, entry: slot };
  });
  const record = { header, body, writerSignature };
  return {
    id: row.id as RecordId,
    height: row.height,
    record,
    outcome,
    variants: parseJson(row.variants) as Variant[],
  };
}
