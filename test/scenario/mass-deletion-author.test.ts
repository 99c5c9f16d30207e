/** Whatever a record claims of a mass deletion, it is asked about where it arrives, once, and the question names who deleted (D6). */
import { execFileSync } from 'node:child_process';
import { readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createWorld, type Person, type World } from './world.ts';

let world: World;
beforeEach(async () => {
  world = await createWorld();
});
afterEach(() => world.close());

const files = Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`docs/f${index}.txt`, `${index}\n`]));
const filesOf = ({ dir }: Person): number =>
  readdirSync(dir, { recursive: true }).filter((file) => /^docs\/.*\.txt$/.test(String(file))).length;
const git = (dir: string, ...rest: string[]): void =>
  void execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@example.org', ...rest], {
    cwd: dir,
    stdio: 'ignore',
  });

/** How the files go from the first machine, and what the record says of it. */
const ways: readonly (readonly [claim: string, delete_: (a: Person) => Promise<void>])[] = [
  [
    'confirmed',
    async (a) => {
      rmSync(path.join(a.dir, 'docs'), { recursive: true });
      await a.until('held', () => a.state()?.code === 'mass-deletion-held');
      await a.control.confirm();
    },
  ],
  ['git', async ({ dir }) => git(dir, 'checkout', '-q', 'main')],
];

for (const [claim, remove] of ways)
  test(`massDeletion: ${claim}`, async () => {
    const a = await world.share('a', { files: { 'readme.md': 'hello\n' } });
    git(a.dir, 'init', '-q', '-b', 'main');
    git(a.dir, 'add', '-A');
    git(a.dir, 'commit', '-qm', 'one');
    git(a.dir, 'checkout', '-qb', 'big');
    for (const [file, text] of Object.entries(files)) a.write(file, text);
    git(a.dir, 'add', '-A');
    git(a.dir, 'commit', '-qm', 'two');
    const b = await world.join('b', a.invite);
    await b.until('all files', () => filesOf(b) === 300);
    await world.settled(a, b);
    await remove(a);
    await b.until('asked', () => b.state()?.code === 'mass-deletion-incoming');
    expect(filesOf(b)).toBe(300);
    const [hold, ...others] = await b.control.holds();
    expect(others).toEqual([]);
    expect(hold).toMatchObject({ kind: 'deletions', direction: 'incoming', author: 'a', count: 300 });
    expect(hold?.reason).toContain('a deleted 300 of 301 files');
    expect(b.state()?.next).toContain('driftless confirm');
    await b.control.confirm();
    await b.until('deleted', () => filesOf(b) === 0);
    await world.settled(a, b);
    const states = b.events.flatMap((event) => (event.event === 'state' ? [event.code] : []));
    const asked = states.filter((code, index) => code === 'mass-deletion-incoming' && states[index - 1] !== code);
    expect(asked).toHaveLength(1);
  });
