/** Which relay addresses a link may have: `wss://` anywhere, plain `ws://` on this machine or when the user said so. */
import { HostError } from '../host-api.ts';

/** Errors: HostError 'bad-url' for what is no relay address, 'plain-refused' for ws:// that leaves the machine unasked. */
export function checkRelayUrls(urls: readonly string[], allowPlain: boolean): void {
  if (urls.length === 0) throw new HostError('bad-url', 'No relay address. Name one: --relay wss://HOST:PORT');
  for (const text of urls) {
    const url = URL.canParse(text) ? new URL(text) : undefined;
    if (url === undefined || (url.protocol !== 'ws:' && url.protocol !== 'wss:') || url.hostname === '') {
      throw new HostError(
        'bad-url',
        `"${text}" is not a relay address. Write it like ws://127.0.0.1:4747 or wss://relay.example.org`,
      );
    }
    if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
      throw new HostError('bad-url', 'A relay address holds no user, password, query or fragment. Leave them out.');
    }
    if (url.protocol === 'ws:' && !allowPlain && !isLoopback(url.hostname)) {
      throw new HostError(
        'plain-refused',
        `${text} is not encrypted on the way. Use wss://, or add --allow-plain: contents stay sealed, addresses and timing show.`,
      );
    }
  }
}

export function isLoopback(hostname: string): boolean {
  return (
    hostname === 'localhost' ||
    hostname.endsWith('.localhost') ||
    hostname === '[::1]' ||
    /^127(\.\d{1,3}){3}$/.test(hostname)
  );
}
