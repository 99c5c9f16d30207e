/**
 * Where something is mounted, as Linux tells it of the place that this process sees. A bind mount of the same file system has its
 * parent's device: only this list knows of it. Elsewhere nothing is told, and devices alone tell.
 */
import { closeSync, openSync, readSync } from 'node:fs';

const listed = '/proc/self/mountinfo';
const firstBytes = 16 * 1024;

/**
 * The list is asked for several times a save and hardly ever changes: it stays open, and it is taken apart when it reads otherwise
 * than before.
 */
export function createMountPoints(path = listed): () => readonly string[] {
  let descriptor: number | undefined;
  let buffer = Buffer.allocUnsafe(firstBytes);
  let last = Buffer.alloc(0);
  let points: readonly string[] = [];

  function read(): Buffer {
    descriptor ??= openSync(path, 'r');
    for (let length = 0; ; ) {
      const count = readSync(descriptor, buffer, length, buffer.length - length, length);
      length += count;
      if (count === 0) return buffer.subarray(0, length);
      if (length === buffer.length) buffer = Buffer.concat([buffer], buffer.length * 2);
    }
  }

  return () => {
    if (process.platform !== 'linux') return [];
    try {
      const text = read();
      if (!text.equals(last)) {
        last = Buffer.from(text);
        points = parseMountPoints(text.toString());
      }
      return points;
    } catch {
      // No /proc here.
      if (descriptor !== undefined) closeSync(descriptor);
      descriptor = undefined;
      return [];
    }
  };
}

/** `36 35 98:0 /root /mount/point options … - type source options`: the fifth field, with space, tab, newline and backslash in octal. */
export function parseMountPoints(text: string): readonly string[] {
  return text.split('\n').flatMap((line) => {
    const point = line.split(' ')[4];
    if (point === undefined) return [];
    return [point.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)))];
  });
}
