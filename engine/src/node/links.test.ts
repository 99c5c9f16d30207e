import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Link } from '../host-api.ts';
import { createFileSecrets } from './file-secrets.ts';
import { type Home, openHome } from './home.ts';
import { createLinkStore } from './links.ts';

let home: Home;
beforeEach(async () => {
  home = await openHome(join(await mkdtemp(join(tmpdir(), 'driftless-links-')), 'home'));
});
afterEach(() => rm(join(home.path, '..'), { recursive: true, force: true }));

const link = (id: string, createdAt: string): Link => ({
  id,
  dir: `/folders/${id}`,
  room: 'a'.repeat(64),
  urls: ['ws://127.0.0.1:4747'],
  relayKey: null,
  inviter: null,
  name: 'desktop',
  policy: 'keep-both',
  marker: 'b'.repeat(32),
  rejoin: false,
  leftAtMs: null,
  createdAt,
});

const one = link('1111111111111111', '2026-01-02T00:00:00.000Z');
const two = link('2222222222222222', '2026-01-01T00:00:00.000Z');

it('keeps links in the order in which they were made', async () => {
  const links = createLinkStore(home);
  await links.create(one);
  await links.create(two);
  expect(await links.all()).toEqual({ links: [two, one], damaged: [] });
});

it('changes one field and leaves what others have changed since', async () => {
  const links = createLinkStore(home);
  await links.create(one);
  // Both begin before either has ended, and neither knows of the other.
  const [, last] = await Promise.all([
    links.update(one.id, { rejoin: true }),
    links.update(one.id, { relayKey: 'c'.repeat(64) }),
  ]);
  expect(last).toEqual({ ...one, rejoin: true, relayKey: 'c'.repeat(64) });
  expect((await links.all()).links).toEqual([last]);
});

it('remembers when a folder last left a room', async () => {
  const links = createLinkStore(home);
  expect(await links.leftAtMs(one.room, one.dir)).toBeNull();
  for (const atMs of [1, 2]) await links.noteLeft({ room: one.room, dir: one.dir, atMs });
  await links.noteLeft({ room: one.room, dir: two.dir, atMs: 3 });
  expect(await links.leftAtMs(one.room, one.dir)).toBe(2);
});

it('reports a damaged link and keeps the others', async () => {
  const links = createLinkStore(home);
  await links.create(one);
  await links.create(two);
  const path = join(home.foldersPath, two.id, 'link.json');
  await writeFile(path, '{ "id": ');
  expect(await links.all()).toEqual({ links: [one], damaged: [{ path, reason: 'is not JSON' }] });
});

it('knows no link of which only the directory was made', async () => {
  const links = createLinkStore(home);
  await links.directory(one.id);
  expect((await links.all()).links).toEqual([]);
});

it('removes a link with its keys', async () => {
  const links = createLinkStore(home);
  const secrets = createFileSecrets(home);
  await links.create(one);
  await secrets.set(one.id, { roomSecret: new Uint8Array(32).fill(1), deviceSeed: new Uint8Array(32).fill(2) });
  expect(await secrets.get(one.id)).toEqual({
    roomSecret: new Uint8Array(32).fill(1),
    deviceSeed: new Uint8Array(32).fill(2),
  });
  await links.remove(one.id);
  await links.remove(one.id);
  expect((await links.all()).links).toEqual([]);
  expect(await secrets.get(one.id)).toBeUndefined();
});

it('never quotes what a damaged key file holds', async () => {
  const secrets = createFileSecrets(home);
  await secrets.set(one.id, { roomSecret: new Uint8Array(32), deviceSeed: new Uint8Array(32) });
  const path = join(home.foldersPath, one.id, 'keys.json');
  const torn = (await readFile(path, 'utf8')).slice(0, 40);
  await writeFile(path, torn, { mode: 0o600 });
  const failure: unknown = await secrets.get(one.id).catch((error: unknown) => error);
  expect(failure).toMatchObject({ code: 'missing-secret' });
  expect(String(failure)).not.toContain('00000');
});
