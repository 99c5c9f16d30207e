/** Doubts as a table: what a scan found, and when nothing of it is published. */
import type { Digest, RelPath } from '@driftless/protocol';
import { beforeEach, describe, expect, test } from 'vitest';
import type { Fingerprint, LocalEntry } from '../core/local-entry.ts';
import type { Row } from '../core/row.ts';
import type { VanishedPath } from '../scan.ts';
import { createFakeClock, type FakeClock } from '../testing/fake-clock.ts';
import { createSecondLooks, type SecondLooks } from './second-look.ts';
import { createSettler, type Settler } from './settler.ts';

const rel = (path: string): RelPath => path as RelPath;
const file = (size: number): LocalEntry => ({
  kind: 'file',
  digest: '00' as Digest,
  size,
  executable: false,
  private: false,
  openToOthers: true,
  mtimeMs: 0,
  fingerprint: '' as Fingerprint,
  racy: false,
});
const gone = (path: string, facts: Partial<VanishedPath> = {}): VanishedPath => ({
  path: rel(path),
  isDirectory: false,
  movedElsewhere: false,
  ...facts,
});

let clock: FakeClock;
let settler: Settler;
let looks: SecondLooks;
const local = new Map<string, LocalEntry | null>();
beforeEach(() => {
  clock = createFakeClock();
  settler = createSettler(clock);
  local.clear();
  looks = createSecondLooks({
    clock,
    settler,
    isIgnored: (path) => path.endsWith('.tmp'),
    store: {
      row: (path) =>
        local.has(path) ? ({ path, outOfScope: null, local: local.get(path) ?? null } as Row) : undefined,
    },
  });
});

const scanned = (found: {
  readonly requests?: readonly string[];
  readonly changed?: readonly string[];
  readonly vanished?: readonly VanishedPath[];
  readonly emptied?: readonly string[];
}): void =>
  looks.judge({
    requests: (found.requests ?? []).map((path) => ({ path: rel(path), deep: false })),
    changed: [...(found.changed ?? []), ...(found.vanished ?? []).map(({ path }) => path)].map(rel),
    vanished: found.vanished ?? [],
    emptied: (found.emptied ?? []).map(rel),
    lookedMs: clock.monotonicMs(),
  });
/** How long the path stays in doubt when nothing more happens. */
const waitMs = async (path: string): Promise<number> => {
  for (let waitedMs = 0; ; waitedMs += 1) {
    if (!settler.has(rel(path))) return waitedMs;
    await clock.advance(1);
    const requests = settler.take();
    if (requests.length > 0) scanned({ requests: requests.map((request) => request.path) });
  }
};
const removed = (path: string, facts: Parameters<typeof scanned>[0] = {}): void => {
  local.set(path, null);
  scanned({ ...facts, vanished: [gone(path), ...(facts.vanished ?? [])] });
};
const written = (path: string): void => {
  local.set(path, file(1));
  scanned({ requests: [path], changed: [path] });
};

describe('how long what is gone or empty is in doubt', () => {
  test('a single deletion', async () => {
    removed('a.txt');
    expect(await waitMs('a.txt')).toBe(30);
  });

  test('a truncated file', async () => {
    local.set('a.txt', file(0));
    scanned({ emptied: ['a.txt'], changed: ['a.txt'] });
    expect(await waitMs('a.txt')).toBe(100);
  });

  test.each([
    ['changed', 'a.txt~'],
    ['changed', 'a.txt.bak'],
    ['requests', 'work.tmp'],
  ] as const)('a file put away: among the %s is %s', async (where, name) => {
    removed('a.txt', { [where]: [name] });
    expect(await waitMs('a.txt')).toBe(100);
  });

  test.each(['a.tx', 'sub/a.txt~', 'b.txt'])('a file removed while %s changes', async (name) => {
    removed('a.txt', { changed: [name] });
    expect(await waitMs('a.txt')).toBe(30);
  });

  test('a file under another name', async () => {
    scanned({ vanished: [gone('a.txt', { movedElsewhere: true })], changed: ['b.txt'] });
    expect(await waitMs('a.txt')).toBe(0);
  });

  test('a directory under another name: all its files count, and it stands for them', async () => {
    const directory = gone('d', { isDirectory: true });
    scanned({ vanished: [directory, gone('d/x', { movedElsewhere: true })] });
    expect(await waitMs('d/x')).toBe(0);
    scanned({ vanished: [directory, gone('d/x', { movedElsewhere: true }), gone('d/y')] });
    expect(settler.doubted()).toEqual(['d']);
    expect(await waitMs('d/y')).toBe(30);
  });
});

describe('a path that came back', () => {
  test('within its grace: the next removal has the full grace, every time', async () => {
    for (let save = 0; save < 5; save += 1) {
      removed('a.txt');
      await clock.advance(20);
      settler.hint(rel('a.txt'), false);
      await clock.advance(3);
      settler.take();
      written('a.txt');
      expect(settler.has(rel('a.txt'))).toBe(false);
      await clock.advance(1_500);
    }
    removed('a.txt');
    expect(await waitMs('a.txt')).toBe(100);
  });

  test('after its removal was published, within an hour', async () => {
    removed('a.txt');
    expect(await waitMs('a.txt')).toBe(30);
    await clock.advance(59 * 60_000);
    written('a.txt');
    removed('a.txt');
    expect(await waitMs('a.txt')).toBe(100);
  });

  test('after more than an hour it is a new path', async () => {
    removed('a.txt');
    await waitMs('a.txt');
    await clock.advance(61 * 60_000);
    written('a.txt');
    removed('a.txt');
    expect(await waitMs('a.txt')).toBe(30);
  });

  test('a truncation that was filled in time: the next one has the full grace again', async () => {
    for (let save = 0; save < 5; save += 1) {
      local.set('a.txt', file(0));
      scanned({ emptied: ['a.txt'], changed: ['a.txt'] });
      await clock.advance(90);
      expect(settler.take()).toEqual([]);
      settler.hint(rel('a.txt'), false);
      await clock.advance(3);
      settler.take();
      written('a.txt');
      expect(settler.has(rel('a.txt'))).toBe(false);
      await clock.advance(200);
    }
  });
});

test('more than 2,000 at once are left to the burst of deletions', () => {
  scanned({ vanished: Array.from({ length: 2_001 }, (_, index) => gone(`f${index}`)) });
  expect(settler.doubted()).toEqual([]);
});
