import { describe, expect, test } from 'vitest';
import { parseProxyHeader } from './proxy-protocol.ts';

const signature = '0d0a0d0a000d0a515549540a';
const rest = Buffer.from('GET / HTTP/1.1\r\n');
const ipv4 = 'c0000201' + 'c0000202' + '1f90' + '01bb';
const ipv6 = '20010db8000000000000000000000001' + '20010db8000000000000000000000002' + '1f90' + '01bb';

describe.each([
  ['1, IPv4', Buffer.from('PROXY TCP4 192.0.2.1 192.0.2.2 8080 443\r\n'), '192.0.2.1'],
  ['1, IPv6', Buffer.from('PROXY TCP6 2001:db8::1 2001:db8::2 8080 443\r\n'), '2001:db8::1'],
  ['1, unknown', Buffer.from('PROXY UNKNOWN\r\n'), null],
  ['2, IPv4', Buffer.from(`${signature}2111000c${ipv4}`, 'hex'), '192.0.2.1'],
  ['2, IPv6', Buffer.from(`${signature}21210024${ipv6}`, 'hex'), '2001:db8:0:0:0:0:0:1'],
  ['2, with more behind the addresses', Buffer.from(`${signature}2111000e${ipv4}0000`, 'hex'), '192.0.2.1'],
  ['2, of the proxy itself', Buffer.from(`${signature}20000000`, 'hex'), null],
  ['2, no network address', Buffer.from(`${signature}21310000`, 'hex'), null],
])('version %s', (_, header, address) => {
  test('is read, and what follows is left', () => {
    expect(parseProxyHeader(Buffer.concat([header, rest]))).toEqual({ kind: 'header', bytes: header.length, address });
  });
  test('is waited for while it is incomplete', () => {
    for (let length = 0; length < header.length; length++)
      expect(parseProxyHeader(header.subarray(0, length))).toEqual({ kind: 'incomplete' });
  });
});

test.each([
  ['no header', rest],
  ['a text without end', Buffer.from(`PROXY TCP4 ${'1'.repeat(200)}`)],
  ['no address', Buffer.from('PROXY TCP4 evil 192.0.2.2 1 2\r\n')],
  ['an address of another family', Buffer.from('PROXY TCP4 ::1 ::2 1 2\r\n')],
  ['a family of no kind', Buffer.from('PROXY SCTP4 192.0.2.1 192.0.2.2 1 2\r\n')],
  ['another version', Buffer.from(`${signature}3111000c${ipv4}`, 'hex')],
  ['another command', Buffer.from(`${signature}2211000c${ipv4}`, 'hex')],
  ['addresses cut short', Buffer.from(`${signature}21110004c0000201`, 'hex')],
  ['a length beyond all use', Buffer.from(`${signature}2111ffff`, 'hex')],
])('%s is refused', (_, bytes) => {
  expect(parseProxyHeader(bytes)).toEqual({ kind: 'bad' });
});
