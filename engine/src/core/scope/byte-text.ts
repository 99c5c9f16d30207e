/**
 * Text as git compares it: byte by byte, so that `?` is one byte and a class may hold half a character. A byte text is a
 * string whose characters are bytes (0–255); that of an ASCII text is the text itself, which is what nearly all paths are.
 */
import { bytesToUtf8, utf8ToBytes } from '@driftless/protocol';

/** Arguments of one call, far below every engine's limit. */
const sliceBytes = 4_096;

export function byteTextOf(text: string): string {
  return isAscii(text) ? text : bytesToByteText(utf8ToBytes(text));
}

export function bytesToByteText(bytes: Uint8Array): string {
  let text = '';
  for (let start = 0; start < bytes.length; start += sliceBytes)
    text += String.fromCharCode(...bytes.subarray(start, start + sliceBytes));
  return text;
}

/** undefined: the bytes are no UTF-8. */
export function byteTextToText(byteText: string): string | undefined {
  return isAscii(byteText) ? byteText : bytesToUtf8(byteTextToBytes(byteText));
}

export function byteTextToBytes(byteText: string): Uint8Array {
  return Uint8Array.from(byteText, (character) => character.charCodeAt(0));
}

/** Folds A to Z alone: what git does where `core.ignoreCase` is set. */
export function foldAscii(byteText: string): string {
  return byteText.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at += 1) if (text.charCodeAt(at) > 0x7f) return false;
  return true;
}
