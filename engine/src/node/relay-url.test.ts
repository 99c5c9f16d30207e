import { expect, it } from 'vitest';
import { checkRelayUrls } from './relay-url.ts';

it.each([
  [['ws://127.0.0.1:4747'], false, null],
  [['ws://localhost:1', 'ws://[::1]:2', 'wss://relay.example'], false, null],
  [['ws://192.168.0.2:4747'], true, null],
  [['ws://192.168.0.2:4747'], false, 'plain-refused'],
  [['ws://127.0.0.1.example.org'], false, 'plain-refused'],
  [['wss://a', 'ws://b'], false, 'plain-refused'],
  [[], true, 'bad-url'],
  [['http://127.0.0.1'], true, 'bad-url'],
  [['nonsense'], true, 'bad-url'],
  [['wss://user:word@relay.example'], true, 'bad-url'],
  [['wss://relay.example/?token=x'], true, 'bad-url'],
])('%j, plain allowed %s: %s', (urls, allowPlain, code) => {
  const check = (): void => checkRelayUrls(urls, allowPlain);
  if (code === null) expect(check).not.toThrow();
  else expect(check).toThrow(expect.objectContaining({ code }));
});
