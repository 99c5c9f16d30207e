/** What a checkout waits for, and what does not wait for it. */
import type { Digest, RelPath } from '@driftless/protocol';
import { expect, test } from 'vitest';
import type { PublishStep } from '../core/plan.ts';
import { digestOf, rel } from '../core/test-support/entries.ts';
import { createWaitingCheckout } from './waiting-checkout.ts';

type Publish = Extract<PublishStep, { kind: 'publish' }>;
const publish = (path: string, local: Publish['local'], remote: Publish['remote'] = null): PublishStep => ({
  kind: 'publish',
  path: rel(path),
  local,
  remote,
  revives: false,
});
const put = (path: string): PublishStep => publish(path, { kind: 'symlink', target: 'anything' });
const removal = (path: string): PublishStep => publish(path, null);
const lacking = (contents: Readonly<Record<string, string>>): ReadonlyMap<RelPath, Digest> =>
  new Map(Object.entries(contents).map(([path, text]) => [rel(path), digestOf(text)]));
const label = 'git switch other';
const isRoomDirectory = (path: RelPath): boolean => path === 'd';

test('it waits for what it lacked at first, and no longer than that', () => {
  const checkout = createWaitingCheckout(isRoomDirectory);
  const steps = [put('large'), put('more'), put('small')];
  expect(checkout.waits({ label, steps, lacking: lacking({}) })).toBe(false);
  expect(checkout.waits({ label, steps, lacking: lacking({ large: '1', more: '1' }) })).toBe(true);
  expect(checkout.waits({ label, steps, lacking: lacking({ more: '1' }) })).toBe(true);
  expect(checkout.waits({ label, steps, lacking: lacking({ more: '2' }) })).toBe(false);
  expect(checkout.waits({ label, steps, lacking: lacking({ later: '1' }) })).toBe(false);
});

test('it lacks what it waits for, also when git goes on, and nothing else that is on its way', () => {
  const checkout = createWaitingCheckout(isRoomDirectory);
  const isLacking = (): readonly boolean[] => ['large', 'mine'].map((path) => checkout.lacks(rel(path)));
  expect(isLacking()).toEqual([false, false]);
  checkout.waits({ label, steps: [put('large')], lacking: lacking({ large: '1' }) });
  checkout.waits({ label, steps: [put('large'), put('mine')], lacking: lacking({ large: '1', mine: '1' }) });
  expect(isLacking()).toEqual([true, false]);
  checkout.waits({ label: 'git switch third', steps: [put('large')], lacking: lacking({ large: '1' }) });
  expect(isLacking()).toEqual([true, false]);
  checkout.ended();
  expect(isLacking()).toEqual([false, false]);
});

test('what was saved since goes ahead, unless it depends on what waits; a deletion does not', () => {
  const checkout = createWaitingCheckout(isRoomDirectory);
  const first = [put('d/large'), put('new'), removal('gone')];
  checkout.waits({ label, steps: first, lacking: lacking({ 'd/large': '1' }) });
  expect(checkout.savedSince(first)).toEqual([]);
  const saved = [put('d/beside'), put('k.txt')];
  const depends = [put('new/below'), put('d'), put('gone'), removal('other')];
  expect(checkout.savedSince([...first, ...depends, ...saved])).toEqual(saved);
});

test('what needs a rename, or takes the place of another kind, stays with it', () => {
  const checkout = createWaitingCheckout(isRoomDirectory);
  checkout.waits({ label, steps: [put('large')], lacking: lacking({ large: '1' }) });
  const renamed: PublishStep[] = [
    { kind: 'publishMove', fromPath: rel('e'), toPath: rel('f'), subtree: true },
    put('f/new'),
  ];
  const replaced = [
    publish('d', { kind: 'symlink', target: 'x' }, { kind: 'directory' }),
    publish('was-a-file', { kind: 'directory' }, { kind: 'symlink', target: 'x' }),
    put('was-a-file/in'),
  ];
  const made = [publish('made', { kind: 'directory' }), publish('made/in', { kind: 'directory' }), put('made/in/it')];
  expect(checkout.savedSince([...renamed, ...replaced, ...made.toReversed()])).toEqual(made);
});

test('what another checkout writes meanwhile is no save', () => {
  const checkout = createWaitingCheckout(isRoomDirectory);
  checkout.waits({ label, steps: [put('large')], lacking: lacking({ large: '1' }) });
  const steps = [put('large'), put('written'), put('second')];
  const next = { label: 'git switch third', steps, lacking: lacking({ large: '1', second: '1' }) };
  expect(checkout.waits(next)).toBe(true);
  expect(checkout.savedSince(steps)).toEqual([]);
  checkout.ended();
  expect(checkout.savedSince(steps)).toEqual([]);
});
