/**
 * Where something is mounted, as Linux tells it of the place that this process sees. A bind mount of the same file system has its
 * parent's device: only this list knows of it. Elsewhere nothing is told, and devices alone tell.
 */
import { readFileSync } from 'node:fs';

const listed = '/proc/self/mountinfo';

/** Absolute paths, in no order. */
export function mountPoints(): readonly string[] {
  if (process.platform !== 'linux') return [];
  try {
    return parseMountPoints(readFileSync(listed, 'utf8'));
  } catch {
    // No /proc here.
    return [];
  }
}

/** `36 35 98:0 /root /mount/point options … - type source options`: the fifth field, with space, tab, newline and backslash in octal. */
export function parseMountPoints(text: string): readonly string[] {
  return text.split('\n').flatMap((line) => {
    const point = line.split(' ')[4];
    if (point === undefined) return [];
    return [point.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)))];
  });
}
