/** A git index, made for tests. */
export interface IndexOptions {
  readonly version?: number;
  readonly idBytes?: number;
  readonly extensions?: readonly (readonly [string, Uint8Array])[];
  readonly extended?: boolean;
}

/** An index as git writes it, with zeros for what is not read. */
export function gitIndexOf(paths: readonly string[], options: IndexOptions = {}): Uint8Array {
  const { version = 2, idBytes = 20, extensions = [], extended = false } = options;
  const bytes: number[] = [...ascii('DIRC'), ...u32(version), ...u32(paths.length)];
  let previous: number[] = [];
  for (const path of paths) {
    const start = bytes.length;
    const name = [...new TextEncoder().encode(path)];
    bytes.push(...new Array<number>(40 + idBytes).fill(0), extended ? 0x40 : 0, Math.min(name.length, 0xff));
    if (extended) bytes.push(0, 0);
    if (version === 4) {
      let kept = 0;
      while (kept < previous.length && kept < name.length && previous[kept] === name[kept]) kept += 1;
      bytes.push(...offset(previous.length - kept), ...name.slice(kept), 0);
      previous = name;
    } else {
      bytes.push(...name, 0);
      while ((bytes.length - start) % 8 !== 0) bytes.push(0);
    }
  }
  for (const [name, content] of extensions) bytes.push(...ascii(name), ...u32(content.length), ...content);
  return Uint8Array.from([...bytes, ...new Array<number>(idBytes).fill(7)]);
}

export const ascii = (text: string): number[] => [...text].map((letter) => letter.charCodeAt(0));
export const u32 = (value: number): number[] => [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
function offset(value: number): number[] {
  const bytes = [value & 0x7f];
  for (let rest = value >> 7; rest > 0; rest >>= 7) {
    rest -= 1;
    bytes.unshift(0x80 | (rest & 0x7f));
  }
  return bytes;
}
