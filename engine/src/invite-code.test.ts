import { inspect } from 'node:util';
import { type DeviceId, parseRoomId, type RoomId } from '@driftless/protocol';
import { describe, expect, test } from 'vitest';
import type { Invite } from './invite.ts';
import { encodeInvite, parseInvite } from './invite-code.ts';

const room = parseRoomId('ab'.repeat(32)) as RoomId;
const invite: Invite = {
  from: 'Ada’s laptop',
  device: 'cd'.repeat(32) as DeviceId,
  urls: ['ws://127.0.0.1:4747', 'wss://relay.example/sync'],
  relayKey: new Uint8Array(32).fill(7),
  room,
  epoch: 0,
  secret: new Uint8Array(32).fill(9),
};
const parsed = (text: string): Invite => {
  const result = parseInvite(text);
  if (!result.ok) throw new Error(result.error);
  return result.value;
};
const refusal = (text: string): string => {
  const result = parseInvite(text);
  if (result.ok) throw new Error('it parsed');
  return result.error;
};

describe('an invite', () => {
  const code = encodeInvite(invite);

  test('is one token', () => expect(code).toMatch(/^driftless1-[A-Za-z0-9_-]+$/));
  test.each([
    ['code', code],
    ['link', `vscode://driftless.driftless/join#${code}`],
    ['link of a VS Code variant', `vscode-insiders://driftless.driftless/join#${code}`],
    ['code with white space around', `\n  ${code}\r\n`],
    ['code wrapped by a mail program', `${code.slice(0, 40)}\n  ${code.slice(40)}`],
  ])('comes back from a %s', (_, text) => expect({ ...parsed(text) }).toEqual(invite));
  test('comes back without a relay key', () =>
    expect(parsed(encodeInvite({ ...invite, relayKey: null })).relayKey).toBeNull());
  test('names a device in as many bytes as a device has', () =>
    expect(parsed(encodeInvite({ ...invite, from: 'ä'.repeat(60) })).from).toBe('ä'.repeat(32)));
  test('does not print', () => {
    expect(inspect(parsed(code))).toBe('[Invite: hidden]');
    expect(JSON.stringify(parsed(code))).toBe('"[Invite: hidden]"');
  });

  test.each([
    ['nothing', '', 'empty'],
    ['something else', 'https://example.org', 'not an invite'],
    ['a cut code', code.slice(0, -3), 'incomplete or mistyped'],
    ['a mistyped code', code.slice(0, 30) + (code[30] === 'A' ? 'B' : 'A') + code.slice(31), 'incomplete or mistyped'],
    ['a bad character', `${code}!`, 'characters'],
    ['a later form', code.replace('driftless1', 'driftless2'), 'newer'],
    ['a huge text', 'x'.repeat(1_000_000), 'too long'],
  ])('says what is wrong with %s, without quoting it', (_, text, words) => {
    const error = refusal(text);
    expect(error).toContain(words);
    expect(error).not.toContain(code.slice(20, 60));
  });
  test.each([
    ['an address that is not a WebSocket', { ...invite, urls: ['file:///etc/passwd'] }],
    ['an address with a password', { ...invite, urls: ['ws://a:b@host'] }],
    ['no address', { ...invite, urls: [] }],
    ['a short secret', { ...invite, secret: new Uint8Array(31) }],
    ['a bad room', { ...invite, room: 'x' as RoomId }],
  ])('is refused with %s', (_, wrong) => expect(refusal(encodeInvite(wrong))).toContain('does not make sense'));
});
