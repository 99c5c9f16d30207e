/** An address as what budgets count by: something that a client cannot have many of for nothing. */
import { isIPv6 } from 'node:net';

/** What stands before an IPv4 address that is written as IPv6: mapped, on a socket that listens for both; and RFC 6052, behind NAT64. */
const ipv4Prefixes = ['0:0:0:0:0:ffff', '64:ff9b:0:0:0:0'];

/**
 * IPv4 whole, also where it is written as IPv6; of IPv6 the first 64 bits, the smallest network that anybody is given. What is
 * neither (a socket that has ended) stays as it is.
 */
export function clientAddressOf(address: string): string {
  const [plain = ''] = address.split('%');
  if (!isIPv6(plain)) return address;
  const groups = groupsOf(plain);
  if (ipv4Prefixes.includes(groups.slice(0, 6).join(':'))) return groups.slice(6).flatMap(bytesOf).join('.');
  return `${groups.slice(0, 4).join(':')}::/64`;
}

/** All eight, in hex without leading zeros. An address has many spellings; a URL's host has one, which knows no dots. */
function groupsOf(address: string): readonly string[] {
  const { hostname } = new URL(`http://[${address}]`);
  const [before = [], after = []] = hostname
    .slice(1, -1)
    .split('::')
    .map((side) => (side === '' ? [] : side.split(':')));
  return [...before, ...Array<string>(8 - before.length - after.length).fill('0'), ...after];
}

function bytesOf(group: string): readonly number[] {
  const value = Number.parseInt(group, 16);
  return [value >> 8, value & 255];
}
