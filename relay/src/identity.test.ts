import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { verifyEd25519 } from '@driftless/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { identityFiles, loadRelayIdentity, shownRelayKey } from './identity.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'driftless-identity-'));
});
afterEach(() => rmSync(directory, { recursive: true }));
const file = (name: string): string => join(directory, name, 'identity.key');

test('ADM1: a new identity signs, and is found again from either place', () => {
  const made = loadRelayIdentity([file('home'), file('data')]);
  const message = new Uint8Array([1, 2, 3]);
  expect(verifyEd25519(made.publicKey, message, made.sign(message))).toBe(true);
  expect(readFileSync(file('home'), 'utf8')).toBe(readFileSync(file('data'), 'utf8'));
  for (const lost of ['home', 'data']) {
    rmSync(join(directory, lost), { recursive: true });
    expect(loadRelayIdentity([file('home'), file('data')]).publicKey).toEqual(made.publicKey);
    expect(readFileSync(file(lost), 'utf8')).toContain('PRIVATE KEY');
  }
});

test('the first place decides where both hold one', () => {
  const [first, second] = [loadRelayIdentity([file('home')]), loadRelayIdentity([file('data')])];
  expect(first.publicKey).not.toEqual(second.publicKey);
  expect(loadRelayIdentity([file('home'), file('data')]).publicKey).toEqual(first.publicKey);
});

test('a file that holds no key is named, and not replaced', () => {
  loadRelayIdentity([file('home')]);
  writeFileSync(file('home'), 'not a key');
  expect(() => loadRelayIdentity([file('home')])).toThrow(file('home'));
  expect(readFileSync(file('home'), 'utf8')).toBe('not a key');
});

test('the key can be shown without starting a relay, and is made by none but a relay', () => {
  const at = { homeDir: join(directory, 'home'), dataDir: join(directory, 'data') };
  expect(() => shownRelayKey(at)).toThrow('Start it once');
  mkdirSync(at.dataDir);
  expect(() => shownRelayKey(at)).toThrow('Start it once');
  const { publicKey } = loadRelayIdentity(identityFiles(at));
  expect(shownRelayKey(at)).toEqual(publicKey);
  rmSync(at.homeDir, { recursive: true });
  expect(shownRelayKey(at)).toEqual(publicKey);
});
