/** A number of bytes for people to read. */
const units = ['KiB', 'MiB', 'GiB', 'TiB'] as const;

export function sizeText(bytes: number): string {
  if (bytes < 1_024) return `${Math.round(bytes)} ${bytes === 1 ? 'byte' : 'bytes'}`;
  let size = bytes / 1_024;
  let unit = 0;
  // What would be rounded to 1024.0 is one of the next unit.
  while (size >= 1_023.95 && unit < units.length - 1) {
    size /= 1_024;
    unit += 1;
  }
  return `${size.toFixed(1)} ${units[unit]}`;
}
