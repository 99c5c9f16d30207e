import type { Entry, Variant, VariantId } from '@driftless/protocol';
import { describe, expect, it } from 'vitest';
import type { ConflictPolicy, Keep } from '../control.ts';
import { type ResolutionStep, resolveAfterClose, resolveByChoice, resolveByPolicy } from './resolution.ts';
import { deviceOf, digestOf, directory, file, rel } from './test-support/entries.ts';

const idOf = (name: string): VariantId => name as VariantId;
const variant = (name: string, text: string, mtimeMs = 0): Variant => ({
  id: idOf(name),
  path: rel('f'),
  entry: file(text),
  device: deviceOf(name),
  deviceName: name,
  timeMs: 1,
  mtimeMs,
  baseDigest: null,
});
const told = (steps: readonly ResolutionStep[]): string[] =>
  steps.map((step) => {
    if (step.kind === 'close') return `close ${step.variants.join(' ')}`;
    return 'variant' in step ? `${step.kind} ${step.variant.id}` : step.kind;
  });

describe('a person chooses', () => {
  const v1 = variant('v1', 'one', 10);
  const v2 = variant('v2', 'two', 20);
  const choose = (own: string | null, keep: Keep, variants = [v1], remote: Entry | null = file('room')) =>
    told(resolveByChoice({ variants, ownVariant: own === null ? null : idOf(own), remote, remoteMtimeMs: 0 }, keep));

  it('on the machine whose content is the variant', () => {
    expect(choose('v1', 'mine')).toEqual(['publish-local', 'close v1']);
    expect(choose('v1', 'theirs')).toEqual(['take-remote', 'close v1']);
    expect(choose('v1', 'both')).toEqual(['write-copy v1', 'take-remote', 'close v1']);
  });
  it('on any other machine, which holds the room’s content', () => {
    expect(choose(null, 'mine')).toEqual(['close v1']);
    expect(choose(null, 'theirs')).toEqual(['take-variant v1', 'publish-local', 'close v1']);
    expect(choose(null, 'both')).toEqual(['write-copy v1', 'close v1']);
  });
  it('C19: of several variants each content stays once', () => {
    const equal = variant('v3', 'one');
    expect(choose('v1', 'both', [v1, v2, equal])).toEqual([
      'write-copy v1',
      'write-copy v2',
      'take-remote',
      'close v1 v2 v3',
    ]);
    expect(choose(null, 'theirs', [v1, v2])).toEqual(['take-variant v2', 'publish-local', 'close v1 v2']);
  });
  it('when the room deleted the path meanwhile', () => {
    expect(choose('v1', 'both', [v1, v2], null)).toEqual(['write-copy v2', 'publish-local', 'close v1 v2']);
    expect(choose(null, 'both', [v1, v2], null)).toEqual([
      'write-copy v1',
      'take-variant v2',
      'publish-local',
      'close v1 v2',
    ]);
    expect(choose('v1', 'theirs', [v1], null)).toEqual(['take-remote', 'close v1']);
  });
  it('without a conflict nothing is done', () => expect(choose(null, 'both', [])).toEqual([]));
});

describe('a policy decides', () => {
  const by = (
    policy: ConflictPolicy,
    options: { own?: string | null; remote?: Entry | null; mtime?: number; remoteMtime?: number },
  ) => {
    const { own = 'v1', remote = file('room'), mtime = 0, remoteMtime = 0 } = options;
    const variants = [variant('v1', 'one', mtime), variant('v2', 'two')];
    return told(
      resolveByPolicy(
        { variants, ownVariant: own === null ? null : idOf(own), remote, remoteMtimeMs: remoteMtime },
        policy,
      ),
    );
  };

  it('ask waits', () => expect(by('ask', {})).toEqual([]));
  it('only the variant’s author acts, and only on its own', () => {
    expect(by('keep-both', { own: null })).toEqual([]);
    expect(by('newest', { own: null })).toEqual([]);
    expect(by('keep-both', {})).toEqual(['write-copy v1', 'take-remote', 'close v1']);
  });
  it('newest compares recorded times', () => {
    expect(by('newest', { mtime: 2, remoteMtime: 1 })).toEqual(['publish-local', 'close v1']);
    expect(by('newest', { mtime: 1, remoteMtime: 2 })).toEqual(['take-remote', 'close v1']);
  });
  it('newest with equal times goes by digest, the same on every peer', () => {
    const mineIsHigher = digestOf('one') > digestOf('room');
    expect(by('newest', {})[0]).toBe(mineIsHigher ? 'publish-local' : 'take-remote');
  });
  it('an edit beats a deletion, a directory is never replaced by a file, equal contents just close', () => {
    expect(by('newest', { remote: null })).toEqual(['publish-local', 'close v1']);
    expect(by('newest', { remote: directory, mtime: 9 })).toEqual(['write-copy v1', 'take-remote', 'close v1']);
    expect(by('keep-both', { remote: file('one') })).toEqual(['take-remote', 'close v1']);
  });
  it('closed by another peer: follow the room, unless edited since', () => {
    expect(told(resolveAfterClose(true))).toEqual(['take-remote']);
    expect(told(resolveAfterClose(false))).toEqual([]);
  });
});
