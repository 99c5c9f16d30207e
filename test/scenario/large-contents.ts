/** What the tests of large files have in common. */
import type { Person } from './small-world.ts';

/** Hard to compress. */
export const noise = (seed: number, bytes: number): string => {
  let state = seed * 7_919 + 1;
  const parts: string[] = [];
  for (let length = 0; length < bytes; length += 6) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    parts.push((state >>> 0).toString(36).padStart(7, '0').slice(-6));
  }
  return parts.join('');
};

/** The sizes of what lies staged. */
export const stagedBytes = (person: Person): number[] =>
  person.memory.disk
    .list('/folder/.driftless/stage')
    .map((name) => person.memory.disk.lstat(`/folder/.driftless/stage/${new TextDecoder().decode(name)}`)?.size ?? 0);
