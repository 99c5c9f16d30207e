import { expect, test } from 'vitest';
import { defaultRelayPort, parseProxies, parseRelayConfig, RelayConfigError } from './config.ts';

test('defaults: loopback and the usual port', () => {
  expect(parseRelayConfig({})).toEqual({ host: '127.0.0.1', port: defaultRelayPort, logLevel: 'info' });
});

test('options come before the environment, and the environment before defaults', () => {
  const environment = { DRIFTLESS_RELAY_PORT: '5', DRIFTLESS_RELAY_HOST: '0.0.0.0', DRIFTLESS_RELAY_DATA: '' };
  expect(parseRelayConfig({ port: 6 }, environment)).toEqual({ host: '0.0.0.0', port: 6, logLevel: 'info' });
});

test.each([
  ['a port beyond the last', { port: 65_536 }, /^port \(DRIFTLESS_RELAY_PORT\): /],
  ['a port that is none', { port: 'http' }, /^port/],
  ['a quota below one', { roomBytesMax: 0 }, /^roomBytesMax \(DRIFTLESS_RELAY_ROOM_BYTES_MAX\)/],
  ['half of TLS', { tlsCertFile: 'cert.pem' }, /both a certificate and a key/],
])('%s is refused in one line that names the setting', (_, settings, message) => {
  expect(() => parseRelayConfig(settings)).toThrow(RelayConfigError);
  expect(() => parseRelayConfig(settings)).toThrow(message);
});

test('proxies are addresses and networks', () => {
  const proxies = parseProxies('192.0.2.1, 10.0.0.0/8,2001:db8::/32');
  const isProxy = (address: string): boolean => proxies.check(address, address.includes(':') ? 'ipv6' : 'ipv4');
  expect(['192.0.2.1', '10.9.9.9', '2001:db8::7', '::ffff:10.1.1.1'].map(isProxy)).toEqual([true, true, true, true]);
  expect(['192.0.2.2', '11.0.0.1', '2001:db9::'].map(isProxy)).toEqual([false, false, false]);
});

test.each(['proxy.example', '10.0.0.0/33', '10.0.0.0/x', '10.0.0.0/', '', '192.0.2.1,'])(
  '%j names no proxy',
  (text) => {
    expect(() => parseProxies(text)).toThrow(/DRIFTLESS_RELAY_PROXIES.*no address/);
  },
);
