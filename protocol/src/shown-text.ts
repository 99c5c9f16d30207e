/**
 * Text from outside is shown, and obeyed by nothing: what a relay, another device, a file name or the disk says is no link, no icon, no
 * command to a terminal and no second line, wherever it appears (rule SHOWN). What could act is written as JSON writes it,
 * `\u202e`: it is seen, it can be copied, and a command takes it back.
 *
 * Applied once, by what shows: the editor's window (extension), the lines and the JSON of the command line, the control socket. Pieces are
 * never prepared before, since a second pass escapes the escapes.
 */

/**
 * In this order: control characters, invisible ones and those that turn the direction of text, lone surrogates, line ends; the rest of what
 * takes no place; the `(` of a link's target and of an icon, as VS Code reads `[text](command:x)` and `$(icon)`; the `:` of addresses
 * that programs open (a relay's own, `ws://` and `wss://`, open nothing).
 */
const acting =
  /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]|[\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0]|(?<=[\]$])\(|(?<!(?<![a-z0-9+.-])wss?):(?=\/\/)/giu;
/** So that what looks like an escape is one. */
const seemingEscape = /\\(?=u[0-9a-f]{4})/g;
const escapeSequence = /\\u([0-9a-f]{4})/g;

/** A folder, a path in it and the words around them. More is no text that a person reads. */
const shownCharactersMax = 16_384;

/** One line of plain text, at most `charactersMax` characters of it. */
export function shownText(text: string, charactersMax: number = shownCharactersMax): string {
  const left = text.length - charactersMax;
  const shown = text.slice(0, charactersMax).replace(seemingEscape, escaped('\\')).replace(acting, escaped);
  return left <= 0 ? shown : `${shown}… (${left} more characters)`;
}

/** One line of JSON that a program reads exactly, and that does nothing to a terminal or an editor that shows it. */
export function shownJson(value: unknown): string {
  return JSON.stringify(value).replace(acting, escaped);
}

/** What a person copied from `shownText`, as it was. */
export function copiedText(text: string): string {
  return text.replace(escapeSequence, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

/** By UTF-16 units, as in JSON. */
function escaped(character: string): string {
  return Array.from(
    { length: character.length },
    (_, index) => `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`,
  ).join('');
}
