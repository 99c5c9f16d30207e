/**
 * What it means for a peer that the relay refused something: a state with a code, a reason and what to do next (rule REFUSED).
 * Never a cut link: the relay answers, and the same question again would only be answered the same.
 */
import { closeCodes } from '@driftless/protocol';
import type { Halt } from './peer-state.ts';

export function refusalHalt({ code, detail }: { readonly code: number; readonly detail: string }): Halt {
  switch (code) {
    case closeCodes.overQuota.code:
      return {
        code: 'relay-full',
        reason: `the relay has no room left: ${detail || 'it does not say why'}`,
        next: 'make room at the relay or raise its quota; what is missing is sent by itself then',
      };
    case closeCodes.overLimit.code:
      return {
        code: 'relay-busy',
        reason: withDetail('the relay has too much to do at once', detail),
        next: 'nothing: it is tried again by itself, more and more rarely',
      };
    case closeCodes.storeFailed.code:
      return {
        code: 'relay-failed',
        reason: withDetail('the relay cannot read or store', detail),
        next: "see the relay's log, and restart it; it is tried again by itself",
      };
    case closeCodes.version.code:
    case closeCodes.unknownCritical.code:
      return {
        code: 'update-needed',
        reason: withDetail(meaningOf(code), detail),
        next: 'update Driftless',
      };
    case closeCodes.refused.code:
      return {
        code: 'refused',
        reason: withDetail(meaningOf(code), detail),
        next: 'check the invite, or ask for a new one and join again',
      };
    default:
      return {
        code: 'refused',
        reason: withDetail(`the relay refuses: ${meaningOf(code)}`, detail),
        next: 'update Driftless here and at the relay; if that does not help, report it with both logs',
      };
  }
}

/** What ends a connection or a channel without a refusal: the relay stops, or the link was too slow for it. */
export function isLinkTrouble(code: number): boolean {
  return code === closeCodes.shutdown.code || code === closeCodes.timeout.code || code === closeCodes.slow.code;
}

/** Of close-codes.ts, for people. */
export function meaningOf(code: number): string {
  return Object.values(closeCodes).find((entry) => entry.code === code)?.meaning ?? `the relay's code ${code}`;
}

export const withDetail = (meaning: string, detail: string): string =>
  detail === '' ? meaning : `${meaning} (${detail})`;
