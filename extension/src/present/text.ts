/** Small pieces of text. */
export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** "12 s ago" from an ISO time; a time of another machine's clock may lie ahead of ours: then it was just now. */
export function agoText(isoTime: string, nowMs: number): string {
  const seconds = Math.floor((nowMs - Date.parse(isoTime)) / 1_000);
  if (!Number.isFinite(seconds)) return 'at an unknown time';
  if (seconds < 2) return 'just now';
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)} h ago`;
  return `${Math.floor(seconds / 86_400)} d ago`;
}
