/** A path in a command line that people paste into a POSIX shell: whatever it holds, it stays one word, and runs nothing. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) && !text.startsWith('-') ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
