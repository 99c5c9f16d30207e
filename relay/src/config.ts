/**
 * Settings of a relay that is run as a program: from the command line's options and, where those say nothing, from the
 * environment (DRIFTLESS_RELAY_HOST, _PORT, _DATA, _LOG, _TLS_CERT, _TLS_KEY, _PROXIES, _ROOM_BYTES_MAX, _TOTAL_BYTES_MAX).
 */
import { BlockList, isIP, isIPv6 } from 'node:net';
import { z } from 'zod';

export const defaultRelayPort = 4747;

const bytes = z.coerce.number().int().positive().max(Number.MAX_SAFE_INTEGER);
const relayConfigSchema = z
  .object({
    host: z.string().min(1).max(255).default('127.0.0.1'),
    port: z.coerce.number().int().min(0).max(65_535).default(defaultRelayPort),
    dataDir: z.string().min(1).optional(),
    logLevel: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info'),
    tlsCertFile: z.string().min(1).optional(),
    tlsKeyFile: z.string().min(1).optional(),
    proxies: z.string().min(1).optional(),
    roomBytesMax: bytes.optional(),
    totalBytesMax: bytes.optional(),
  })
  .refine((config) => (config.tlsCertFile === undefined) === (config.tlsKeyFile === undefined), {
    message: 'TLS needs both a certificate and a key',
  });

export type RelayConfig = z.infer<typeof relayConfigSchema>;
/** As given by a caller; every field may be absent, numbers may be texts. */
export type RelaySettings = { readonly [Name in keyof RelayConfig]?: string | number | undefined };

/** Names of the variables by field, for help texts. */
export const relayVariables: Readonly<Record<keyof RelayConfig, string>> = {
  host: 'DRIFTLESS_RELAY_HOST',
  port: 'DRIFTLESS_RELAY_PORT',
  dataDir: 'DRIFTLESS_RELAY_DATA',
  logLevel: 'DRIFTLESS_RELAY_LOG',
  tlsCertFile: 'DRIFTLESS_RELAY_TLS_CERT',
  tlsKeyFile: 'DRIFTLESS_RELAY_TLS_KEY',
  proxies: 'DRIFTLESS_RELAY_PROXIES',
  roomBytesMax: 'DRIFTLESS_RELAY_ROOM_BYTES_MAX',
  totalBytesMax: 'DRIFTLESS_RELAY_TOTAL_BYTES_MAX',
};

/** What was wrong with the settings: one line for a person. */
export class RelayConfigError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'RelayConfigError';
  }
}

/** Options before environment before defaults. Throws RelayConfigError. */
export function parseRelayConfig(
  settings: RelaySettings,
  environment: Readonly<Record<string, string | undefined>> = {},
): RelayConfig {
  const given: Record<string, unknown> = {};
  for (const [field, variable] of Object.entries(relayVariables) as [keyof RelayConfig, string][]) {
    const value = settings[field] ?? environment[variable];
    if (value !== undefined && value !== '') given[field] = value;
  }
  const parsed = relayConfigSchema.safeParse(given);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const field = issue?.path[0];
  const variable = typeof field === 'string' ? relayVariables[field as keyof RelayConfig] : undefined;
  throw new RelayConfigError(
    `${variable === undefined ? '' : `${String(field)} (${variable}): `}${issue?.message ?? 'invalid settings'}`,
  );
}

/** Addresses and networks ("192.0.2.1, 10.0.0.0/8, 2001:db8::/32") of proxies. Throws RelayConfigError. */
export function parseProxies(text: string): BlockList {
  const proxies = new BlockList();
  for (const entry of text.split(',').map((part) => part.trim())) {
    const [address = '', prefix] = entry.split('/');
    const family = isIPv6(address) ? 'ipv6' : 'ipv4';
    const bits = family === 'ipv6' ? 128 : 32;
    const length = prefix === undefined ? bits : /^\d{1,3}$/.test(prefix) ? Number(prefix) : Number.NaN;
    if (isIP(address) === 0 || !(length <= bits)) {
      throw new RelayConfigError(
        `proxies (${relayVariables.proxies}): ${JSON.stringify(entry)} is no address or network, as 192.0.2.1 or 10.0.0.0/8`,
      );
    }
    proxies.addSubnet(address, length, family);
  }
  return proxies;
}
