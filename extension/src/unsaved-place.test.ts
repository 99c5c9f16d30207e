import path from 'node:path';
import { expect, it } from 'vitest';
import { placeOf } from './unsaved-place.ts';

/** Links by name; `/notes` is a linked folder. */
const links: Readonly<Record<string, string>> = {
  '/home/notes': '/notes',
  '/shown/docs': '/notes/docs',
  '/notes/today.txt': '/notes/days/1.txt',
};
const absent = new Set(['/notes/docs/new.txt', '/shown/docs/new.txt', '/gone/a.txt', '/gone']);

function realPath(name: string): string | undefined {
  if (absent.has(name)) return undefined;
  const [link, target] = Object.entries(links).find(([each]) => name === each || name.startsWith(`${each}/`)) ?? [];
  return link === undefined || target === undefined ? name : target + name.slice(link.length);
}

const cases: readonly (readonly [name: string, dirs: readonly string[], file: string, dir: string, path: string])[] = [
  ['in the linked folder', ['/notes'], '/notes/docs/a.txt', '/notes', 'docs/a.txt'],
  ['in a window of a part of it', ['/notes/docs'], '/notes/docs/a.txt', '/notes', 'docs/a.txt'],
  ['in a window of it and of a part', ['/notes', '/notes/docs'], '/notes/docs/a.txt', '/notes', 'docs/a.txt'],
  ['in a window that names it by a link', ['/home/notes'], '/home/notes/a.txt', '/home/notes', 'a.txt'],
  ['through a link in a folder that is not linked', ['/shown'], '/shown/docs/a.txt', '/notes', 'docs/a.txt'],
  ['not there yet, through such a link', ['/shown'], '/shown/docs/new.txt', '/notes', 'docs/new.txt'],
  ['a link to another file of it', ['/notes'], '/notes/today.txt', '/notes', 'days/1.txt'],
  ['opened alone, with no folder of the window', [], '/notes/a.txt', '/notes', 'a.txt'],
  ['in a folder that is not linked', ['/shown'], '/shown/a.txt', '/shown', 'a.txt'],
  ['in the nearest folder of the window', ['/shown', '/shown/b'], '/shown/b/a.txt', '/shown/b', 'a.txt'],
  ['in a folder that is gone', ['/gone'], '/gone/a.txt', '/gone', 'a.txt'],
];
it.each(cases)('%s', (_name, dirs, file, dir, inside) => {
  const isLinked = (each: string): boolean => each === '/notes';
  expect(placeOf(file, { dirs, realPath, isLinked, path: path.posix })).toEqual({ dir, path: inside });
});

it('in no folder of the window, and not linked', () => {
  expect(
    placeOf('/else/a.txt', { dirs: ['/shown'], realPath, isLinked: () => false, path: path.posix }),
  ).toBeUndefined();
});
