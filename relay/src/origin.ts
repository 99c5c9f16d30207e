/**
 * Whether an upgrade may come from a web page (S14). Peers are programs and send no Origin; a browser always does. Only a page
 * from this very host and port passes: any other one would make a visitor's browser reach a relay on the visitor's loopback.
 */
export function isForeignOrigin(origin: string | undefined, host: string | undefined): boolean {
  if (origin === undefined) return false;
  if (host === undefined || !URL.canParse(origin)) return true;
  return new URL(origin).host !== host.toLowerCase();
}
