/** The invite in what a person pasted or a link carried: the text itself, or what stands after the `#` of a link. */
export function inviteOf(text: string): string {
  return text.slice(text.indexOf('#') + 1).trim();
}
