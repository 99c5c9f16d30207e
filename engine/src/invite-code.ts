/**
 * Invites as text: one token to paste or to pipe. First form: it carries the room secret, so whoever has it can read and write the room;
 * that is why none is made into a link here, which the system hands on as a program's argument and a browser keeps in its history.
 *
 * Shape: `driftless1-` and base64url of JSON bytes followed by the first 4 bytes of their SHA-256, which tells a mistyped
 * or cut code from a wrong one. Error texts never quote the code.
 */
import { hash } from 'node:crypto';
import {
  bytesToUtf8,
  clipText,
  concatBytes,
  equalBytes,
  err,
  limits,
  ok,
  parseDeviceId,
  parseRoomId,
  type Result,
  utf8ToBytes,
} from '@driftless/protocol';
import { z } from 'zod';
import { hidden } from './crypto/hidden.ts';
import type { Invite } from './invite.ts';

const prefix = 'driftless1-';
const checksumBytes = 4;
/** Far above any real invite; bounds the work on pasted nonsense. */
const textLengthMax = 16 * 1024;
const urlsMax = 16;

const key = z.base64url().transform((text) => Uint8Array.from(Buffer.from(text, 'base64url')));
const key32 = key.refine((bytes) => bytes.length === 32);
const shape = z.strictObject({
  from: z.string().max(limits.deviceNameBytesMax),
  device: z.string().nullable().default(null),
  urls: z.array(z.string().min(1).max(1024).refine(isRelayUrl)).min(1).max(urlsMax),
  relayKey: key32.nullable(),
  room: z.string(),
  epoch: z.int().min(0).max(0xffff_ffff),
  secret: key32,
});

/** One token without spaces. Carries the secret: never log it. */
export function encodeInvite(invite: Invite): string {
  const fields: z.input<typeof shape> = {
    from: clipText(invite.from, limits.deviceNameBytesMax),
    device: invite.device,
    urls: [...invite.urls],
    relayKey: invite.relayKey === null ? null : base64url(invite.relayKey),
    room: invite.room,
    epoch: invite.epoch,
    secret: base64url(invite.secret),
  };
  const bytes = utf8ToBytes(JSON.stringify(fields));
  return prefix + base64url(concatBytes(bytes, checksum(bytes)));
}

/** Accepts a code or a link, with white space around or, from wrapped lines, inside. The error is a sentence for people. */
export function parseInvite(text: string): Result<Invite, string> {
  if (text.length > textLengthMax) return err('This is too long to be an invite. Copy the invite again.');
  const code = text.replace(/\s/gu, '').replace(/^[a-z-]+:\/\/driftless\.driftless\/join#/u, '');
  if (code === '') return err('The invite is empty. Copy it from the machine that shares the folder.');
  if (/^driftless[0-9]+-/u.test(code) && !code.startsWith(prefix)) {
    return err('This invite was made by a newer Driftless. Update Driftless on this machine.');
  }
  if (!code.startsWith(prefix)) return err(`This is not an invite: one begins with "${prefix}". Copy it again.`);
  const encoded = code.slice(prefix.length);
  if (!/^[A-Za-z0-9_-]*$/u.test(encoded)) return err('The invite holds characters that none has. Copy it again.');
  const all = Uint8Array.from(Buffer.from(encoded, 'base64url'));
  const bytes = all.subarray(0, Math.max(0, all.length - checksumBytes));
  if (!equalBytes(checksum(bytes), all.subarray(bytes.length))) {
    return err('The invite is incomplete or mistyped. Copy it again, whole.');
  }
  const fields = shape.safeParse(parseJson(bytesToUtf8(bytes)));
  const room = fields.success ? parseRoomId(fields.data.room) : undefined;
  const device = fields.success && fields.data.device !== null ? parseDeviceId(fields.data.device) : null;
  if (!fields.success || room === undefined || device === undefined)
    return err('The invite does not make sense. Make a new one.');
  return ok(hidden('Invite', { ...fields.data, room, device }));
}

/** ws: or wss:, without user, password, query or fragment, which would end up in logs. */
function isRelayUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const url = new URL(text);
  const isWebSocket = url.protocol === 'ws:' || url.protocol === 'wss:';
  return isWebSocket && url.username === '' && url.password === '' && url.search === '' && url.hash === '';
}

function parseJson(text: string | undefined): unknown {
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function checksum(bytes: Uint8Array): Uint8Array {
  return hash('sha256', bytes, 'buffer').subarray(0, checksumBytes);
}

function base64url(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64url');
}
