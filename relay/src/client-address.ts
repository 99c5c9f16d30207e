/** An address as what budgets count by: something that a client cannot have many of for nothing. */
import { isIPv4, isIPv6 } from 'node:net';

/**
 * IPv4 whole, also where it is written as IPv6; of IPv6 the first 64 bits, the smallest network that anybody is given. What is
 * neither (a socket that has ended) stays as it is.
 */
export function clientAddressOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined && isIPv4(mapped)) return mapped;
  const [plain = ''] = address.split('%');
  if (!isIPv6(plain)) return address;
  const [before = '', after] = plain.split('::');
  const groups = before === '' ? [] : before.split(':');
  const rest = after === undefined || after === '' ? [] : after.split(':');
  // An IPv4 tail stands for two groups.
  const missing = 8 - groups.length - rest.length - (plain.includes('.') ? 1 : 0);
  const all = after === undefined ? groups : [...groups, ...Array<string>(missing).fill('0'), ...rest];
  return `${all
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')}::/64`;
}
