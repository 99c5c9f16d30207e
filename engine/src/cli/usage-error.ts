/** Bad input: one line that says what is wrong and what to do next; exit code 2. */
import { HostError, type HostErrorCode } from '../host-api.ts';

export class UsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UsageError';
  }
}

export const exitCodes = { ok: 0, failed: 1, usage: 2 } as const;

/** Refused although the input was fine; every other HostError is bad input. */
const refusals: readonly HostErrorCode[] = ['owned', 'nested', 'linked', 'state', 'missing-secret'];

export function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError) return exitCodes.usage;
  if (error instanceof HostError) return refusals.includes(error.code) ? exitCodes.failed : exitCodes.usage;
  return exitCodes.failed;
}
