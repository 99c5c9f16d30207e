/** The question whether a relay's new identity is to be trusted, and the identity that it is about. */
import type { NamedFolder } from './folder-view.ts';

export interface TrustQuestion {
  readonly text: string;
  readonly detail: readonly string[];
  /** What "yes" trusts, whatever the relay shows by the time of the answer: 64 hexadecimal digits. */
  readonly key: string;
}

/** undefined: no relay of this folder has another identity now. */
export function trustQuestion({ name, view }: NamedFolder): TrustQuestion | undefined {
  if (view.kind !== 'running' || view.state.code !== 'relay-key-changed') return undefined;
  const { reason = '', relayKey } = view.state;
  if (relayKey === undefined) return undefined;
  return {
    text: `Trust the new key of the relay of ${name}?`,
    detail: [
      reason,
      '',
      'A relay gets a new key when it is set up anew. If nobody did that, another machine may be posing as it: it could delay what you send, but not read it.',
    ],
    key: relayKey,
  };
}
