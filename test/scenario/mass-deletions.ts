/** What the tests of held deletions have in common: three directories of eighty files, their removal, and both answers. */
import { expect } from 'vitest';
import { keepWhatWouldGo } from '../../engine/src/guards/declined-deletion.ts';
import { createHolds } from '../../engine/src/guards/holds.ts';
import { nodeHashing } from '../../engine/src/node/node-hashing.ts';
import type { Person, SmallWorld } from './small-world.ts';

export const directories = ['one', 'two', 'three'] as const;

export function writeThem({ user }: Person): void {
  for (const directory of directories)
    for (let index = 0; index < 80; index += 1) user.write(`${directory}/f${index}.txt`, `${directory} ${index}\n`);
}

export function removeThem({ user }: Person): void {
  for (const directory of directories) user.remove(directory);
}

/** Two machines that have them, and `more`. */
export async function pairWithThem(
  world: SmallWorld,
  allow: { readonly a?: boolean; readonly b?: boolean } = {},
  more: Readonly<Record<string, string>> = {},
): Promise<readonly [Person, Person]> {
  const a = world.person('a', { allowMassDelete: allow.a === true });
  const b = world.person('b', { allowMassDelete: allow.b === true });
  writeThem(a);
  for (const [path, text] of Object.entries({ 'stays.txt': 'stays\n', ...more })) a.user.write(path, text);
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  return [a, b];
}

export const asks = (world: SmallWorld, person: Person, code: string): Promise<void> =>
  world.until(`${person.name} asks`, () => person.state()?.code === code);

export const isGone = (world: SmallWorld, person: Person, path: string): Promise<void> =>
  world.until(`${path} is gone at ${person.name}`, () => person.user.mode(path) === undefined, 9_000);

export const has = (world: SmallWorld, person: Person, path: string, text: string): Promise<void> =>
  world.until(`${path} at ${person.name}`, () => person.user.read(path) === text, 9_000);

export async function decline(world: SmallWorld, { peer }: Person): Promise<void> {
  expect(await peer.decline()).toMatchObject({ ok: true });
  await world.quiet();
}

export async function declineWhilePaused(world: SmallWorld, { peer }: Person): Promise<void> {
  const done = Promise.all([peer.pause(), peer.decline()]);
  await world.clock.advance(100);
  expect((await done)[1]).toMatchObject({ ok: true });
}

export function declineStopped({ clock }: SmallWorld, { store }: Person): void {
  const holds = createHolds({ store, hashing: nodeHashing, clock });
  expect(
    holds.decline({}, (held) => keepWhatWouldGo(held, store, { isOnHeldDisk: () => false, isConfirmed: () => false })),
  ).toMatchObject({ ok: true });
}

export function confirmStopped({ clock }: SmallWorld, { store }: Person): void {
  expect(createHolds({ store, hashing: nodeHashing, clock }).confirm({})).toMatchObject({ ok: true });
}
