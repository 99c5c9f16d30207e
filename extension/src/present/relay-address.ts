/** Checks what a person types as a relay's address, before anything is made from it. The engine checks again. */
export type RelayAddress =
  | { readonly kind: 'valid'; readonly url: string; readonly leavesMachinePlain: boolean }
  | { readonly kind: 'invalid'; readonly reason: string };

/** A missing scheme is completed: `wss://`, or `ws://` on this machine. */
export function parseRelayAddress(text: string): RelayAddress {
  const trimmed = text.trim();
  if (trimmed === '')
    return { kind: 'invalid', reason: 'Type an address such as wss://relay.example.org or ws://127.0.0.1:4747.' };
  const withScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(trimmed)
    ? trimmed
    : `${isLoopback(hostOf(trimmed)) ? 'ws' : 'wss'}://${trimmed}`;
  if (!URL.canParse(withScheme))
    return { kind: 'invalid', reason: 'This is not an address. Write it like wss://relay.example.org:4747.' };
  const url = new URL(withScheme);
  if (url.protocol !== 'ws:' && url.protocol !== 'wss:')
    return { kind: 'invalid', reason: 'A relay is reached by wss:// or ws://.' };
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    return { kind: 'invalid', reason: 'A relay address has no user name, password, query or fragment.' };
  }
  return {
    kind: 'valid',
    url: url.pathname === '/' ? withScheme.replace(/\/$/, '') : withScheme,
    leavesMachinePlain: url.protocol === 'ws:' && !isLoopback(url.hostname),
  };
}

function hostOf(text: string): string {
  return URL.canParse(`ws://${text}`) ? new URL(`ws://${text}`).hostname : '';
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host.endsWith('.localhost') || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host);
}
