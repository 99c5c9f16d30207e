import { expect, test } from 'vitest';
import { peerState, status } from '../testing/status.ts';
import type { FolderView } from './folder-view.ts';
import { trustQuestion } from './trust-relay.ts';

const viewOf = (code: 'relay-key-changed' | 'disk-full', relayKey: string): FolderView => ({
  kind: 'running',
  state: peerState({ state: 'error', code, reason: `its identity is ${relayKey}`, relayKey }),
  status: status(),
});
const [shown, other] = ['aa'.repeat(32), 'bb'.repeat(32)] as [string, string];

test('what is trusted is what was shown, also when the relay shows another meanwhile', () => {
  const folder = { dir: '/a', name: 'a', view: viewOf('relay-key-changed', shown) };
  const question = trustQuestion(folder);
  folder.view = viewOf('relay-key-changed', other);
  expect(question?.detail.join('\n')).toContain(shown);
  expect(question?.key).toBe(shown);
});
test('nothing is asked of a folder whose relay has its known identity', () => {
  expect(trustQuestion({ dir: '/a', name: 'a', view: viewOf('disk-full', shown) })).toBeUndefined();
});
