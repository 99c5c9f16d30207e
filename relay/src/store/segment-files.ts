/**
 * Append-only files for the bytes that are too large for a database row (rule FAST4). A file says nothing about itself: rows
 * name (segment, offset, length, SHA-256), and the table `segments` how much of each file is durable. Bytes are flushed before
 * the transaction that names them commits, so whatever lies behind that mark was never acknowledged and is cut when opened.
 */
import {
  closeSync,
  constants,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';

/** Small enough that a later collection can rewrite one in seconds. */
const segmentBytesMax = 256 * 1024 * 1024;
/** Files held open for reading; the least recently opened goes first. */
const readersOpenMax = 64;
/** Where a segment file was is nothing, or something else. Other errors, too many open files among them, may be over soon. */
const lostCodes: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'EISDIR']);

export interface SegmentPlace {
  readonly segment: number;
  readonly at: number;
}
export interface SegmentFiles {
  /** Writes behind the mark. Not durable, and not counted, before `flush`. */
  append(bytes: Uint8Array): SegmentPlace;
  /** Writes over bytes that no committed row names; durable by `flush`. `lost`: there is no such file; `refused`: not now. */
  rewrite(place: SegmentPlace, bytes: Uint8Array): 'done' | 'lost' | 'refused';
  /** Flushes what was appended or rewritten, and returns the new marks for the transaction to store. */
  flush(): readonly { readonly segment: number; readonly bytes: number }[];
  /** After the commit of those marks. */
  keep(): void;
  /** After a rollback: the bytes behind the marks are forgotten and will be written over. */
  drop(): void;
  /** The bytes at a place, or undefined when the file does not reach so far. */
  read(place: SegmentPlace, length: number): Uint8Array | undefined;
  close(): void;
}

/** `marks` are the durable lengths by segment number, as stored. Throws what the file system reports. */
export function openSegmentFiles(directory: string, marks: ReadonlyMap<number, number>): SegmentFiles {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  let current = Math.max(0, ...marks.keys());
  let kept = marks.get(current) ?? 0;
  let end = kept;
  let writer: number | undefined;
  /** Segments that were closed for being full since the last commit, with their lengths. */
  let filled: { segment: number; bytes: number; start: number }[] = [];
  const readers = new Map<number, number>();
  /** Segments that are written over in this turn. */
  const rewritten = new Map<number, number>();
  const pathOf = (segment: number): string => join(directory, `${String(segment).padStart(8, '0')}.segment`);

  function openWriter(): number {
    writer ??= openAtEnd();
    if (writer !== undefined) return writer;
    current++;
    kept = 0;
    end = 0;
    return openWriter();
  }

  /**
   * Undefined when the medium lost the file, or bytes of it that rows still name, or lets nobody open it: they read as missing, and
   * others are never put in their place. Throws where a new file cannot be made either.
   */
  function openAtEnd(): number | undefined {
    let file: number | undefined;
    try {
      file = openSync(
        pathOf(current),
        constants.O_RDWR | constants.O_APPEND | (end > 0 ? 0 : constants.O_CREAT),
        0o600,
      );
      // A torn tail: bytes of a write that no committed transaction names.
      if (fstatSync(file).size > end) ftruncateSync(file, end);
      if (fstatSync(file).size === end) {
        syncDirectory(directory);
        return file;
      }
    } catch (error) {
      if (end === 0) {
        if (file !== undefined) closeSync(file);
        throw error;
      }
    }
    if (file !== undefined) closeSync(file);
    return undefined;
  }

  function closeWriter(): void {
    if (writer !== undefined) closeSync(writer);
    writer = undefined;
  }

  function closeRewritten(): void {
    for (const file of rewritten.values()) closeSync(file);
    rewritten.clear();
  }

  function readerOf(segment: number): number | undefined {
    const open = readers.get(segment);
    if (open !== undefined) return open;
    if (readers.size >= readersOpenMax) {
      for (const [oldest, file] of readers) {
        closeSync(file);
        readers.delete(oldest);
        break;
      }
    }
    try {
      const file = openSync(pathOf(segment), 'r');
      readers.set(segment, file);
      return file;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  return {
    append(bytes) {
      if (end + bytes.length > segmentBytesMax && end > 0) {
        if (writer !== undefined) fdatasyncSync(writer);
        closeWriter();
        filled.push({ segment: current, bytes: end, start: kept });
        current++;
        kept = 0;
        end = 0;
      }
      const file = openWriter();
      const place = { segment: current, at: end };
      for (let written = 0; written < bytes.length; ) written += writeSync(file, bytes, written);
      end += bytes.length;
      return place;
    },
    rewrite({ segment, at }, bytes) {
      try {
        const file = rewritten.get(segment) ?? openSync(pathOf(segment), 'r+');
        rewritten.set(segment, file);
        for (let written = 0; written < bytes.length; )
          written += writeSync(file, bytes, written, bytes.length - written, at + written);
        return 'done';
      } catch (error) {
        // Whatever is wrong with the whole disk, the caller hears of when it appends instead.
        const isLost = error instanceof Error && 'code' in error && lostCodes.has(String(error.code));
        return isLost ? 'lost' : 'refused';
      }
    },
    flush() {
      for (const file of rewritten.values()) fdatasyncSync(file);
      if (writer !== undefined && end > kept) fdatasyncSync(writer);
      const marks = filled.map(({ segment, bytes }) => ({ segment, bytes }));
      if (end > kept) marks.push({ segment: current, bytes: end });
      return marks;
    },
    keep() {
      closeRewritten();
      filled = [];
      kept = end;
    },
    drop() {
      closeRewritten();
      const first = filled[0];
      if (first !== undefined) {
        current = first.segment;
        kept = first.start;
        filled = [];
      }
      end = kept;
      // Opened again by the next append, which cuts the tail.
      closeWriter();
    },
    read({ segment, at }, length) {
      const file = readerOf(segment);
      if (file === undefined) return undefined;
      const bytes = new Uint8Array(length);
      let done = 0;
      while (done < length) {
        const count = readSync(file, bytes, done, length - done, at + done);
        if (count === 0) return undefined;
        done += count;
      }
      return bytes;
    },
    close() {
      closeRewritten();
      closeWriter();
      for (const file of readers.values()) closeSync(file);
      readers.clear();
    },
  };
}

/** Makes a new file's name durable. Windows cannot open directories, and needs no such call. */
function syncDirectory(directory: string): void {
  if (process.platform === 'win32') return;
  const handle = openSync(directory, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
