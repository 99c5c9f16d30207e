import { expect, test } from 'vitest';
import { isForeignOrigin } from './origin.ts';

test.each([
  ['no Origin', undefined, 'relay:1', false],
  ['the same host and port', 'http://relay:1', 'relay:1', false],
  ['the same host in other letters', 'http://relay:1', 'Relay:1', false],
  ['another port', 'http://relay:2', 'relay:1', true],
  ['another host', 'https://evil.example', 'relay:1', true],
  ['a host that begins alike', 'http://relay:1.evil.example', 'relay:1', true],
  ['an opaque origin', 'null', 'relay:1', true],
  ['no Host', 'http://relay:1', undefined, true],
])('%s', (_, origin, host, foreign) => {
  expect(isForeignOrigin(origin, host)).toBe(foreign);
});
