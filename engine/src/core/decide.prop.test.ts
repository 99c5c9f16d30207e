/** Laws of the table for one path, over all small values of the three trees. */
import type { Entry } from '@driftless/protocol';
import { describe, expect, it } from 'vitest';
import { agreedAfterMode, type Decision, decide } from './decide.ts';
import { sameEntry, sameLocal } from './entry-encoding.ts';
import { modeOf } from './file-mode.ts';
import { linuxTraits } from './folder-traits.ts';
import type { Row } from './row.ts';
import { directory, file, link, rel } from './test-support/entries.ts';
import { localOf } from './test-support/model-room.ts';

const texts = ['one', 'two', 'three'] as const;
const values: readonly (Entry | null)[] = [
  null,
  ...texts.flatMap((text) => [
    file(text),
    file(text, { executable: true }),
    file(text, { private: true }),
    file(text, { executable: true, private: true }),
  ]),
  directory,
  link('a'),
  link('b'),
];

function rowOf(base: Entry | null, local: Entry | null, remote: Entry | null): Row {
  const text = texts.find((name) => local?.kind === 'file' && sameContent(local, file(name)));
  const node = local?.kind === 'file' ? { kind: 'file' as const, text: text ?? '', ...modeOf(local) } : local;
  return {
    path: rel('f'),
    base,
    local: localOf(node ?? undefined),
    remote,
    remoteMtimeMs: 0,
    outOfScope: null,
    hold: null,
    problem: null,
    declined: false,
  };
}

function sameContent(a: Entry, b: Entry): boolean {
  return a.kind === 'file' && b.kind === 'file' && a.content.digest === b.content.digest;
}

const decideFor = (row: Row): Decision => decide(row, { traits: linuxTraits, mergeable: () => true });

/** All values: the alphabet is small enough to be exhaustive, which is better than random. */
function forAll(check: (base: Entry | null, local: Entry | null, remote: Entry | null) => void): void {
  for (const base of values) for (const local of values) for (const remote of values) check(base, local, remote);
}

describe('the table', () => {
  it('nothing changed gives nothing', () => {
    forAll((base) => expect(decideFor(rowOf(base, base, base)).kind).toBe('none'));
  });

  it('equal on both sides only moves the base', () => {
    forAll((base, local) => {
      if (!sameEntry(base, local)) expect(decideFor(rowOf(base, local, local)).kind).toBe('agree');
    });
  });

  it('a change on one side wins whole', () => {
    forAll((base, changed) => {
      if (sameEntry(base, changed)) return;
      expect(decideFor(rowOf(base, changed, base))).toEqual({ kind: 'publish', revives: false });
      const applied = decideFor(rowOf(base, base, changed));
      if (applied.kind === 'applyMode') expect(changed).toMatchObject(applied.mode);
      else expect(applied).toEqual({ kind: 'apply', to: changed });
    });
  });

  it('no content is overwritten that the other side did not know', () => {
    forAll((base, local, remote) => {
      const row = rowOf(base, local, remote);
      const decision = decideFor(row);
      const newHere = local !== null && !sameEntry(local, base) && !(base !== null && sameContent(local, base));
      const newThere = remote !== null && !sameEntry(remote, base) && !(base !== null && sameContent(remote, base));
      if (decision.kind === 'apply' && newHere && local.kind !== 'directory')
        expect(decision.to !== null && sameContent(decision.to, local)).toBe(true);
      if (decision.kind === 'publish' && newThere && remote.kind !== 'directory')
        expect(local !== null && sameContent(local, remote)).toBe(true);
      if (decision.kind === 'none') expect(sameLocal(row.local, remote, linuxTraits)).toBe(true);
    });
  });

  it('modes are settled in one step, and nobody opens what the other side made private', () => {
    forAll((base, local, remote) => {
      const row = rowOf(base, local, remote);
      const decision = decideFor(row);
      const madePrivate = (side: Entry | null): boolean =>
        side?.kind === 'file' && side.private && !(base?.kind === 'file' && base.private);
      const isFileOnBoth = local?.kind === 'file' && remote?.kind === 'file';
      if (decision.kind === 'apply' && decision.to?.kind === 'file' && isFileOnBoth)
        expect(decision.to.private || !(madePrivate(local) || madePrivate(remote))).toBe(true);
      if (decision.kind !== 'applyMode' || row.local?.kind !== 'file') return;
      expect(decision.mode.private || !(madePrivate(local) || madePrivate(remote))).toBe(true);
      const next = decideFor({ ...row, base: agreedAfterMode(row), local: { ...row.local, ...decision.mode } });
      expect(next.kind).not.toBe('applyMode');
    });
  });

  it('swapping the sides mirrors the decision', () => {
    const mirror: Record<Decision['kind'], readonly Decision['kind'][]> = {
      none: ['none'],
      agree: ['agree'],
      apply: ['publish', 'applyMode'],
      // Whose content is to be merged or set aside takes the other's flags first.
      applyMode: ['publish', 'apply', 'applyMode', 'merge', 'conflict'],
      publish: ['apply', 'applyMode'],
      merge: ['merge', 'applyMode'],
      conflict: ['conflict', 'applyMode'],
      moveAside: ['publishMoveAside'],
      publishMoveAside: ['moveAside'],
    };
    forAll((base, local, remote) => {
      const here = decideFor(rowOf(base, local, remote)).kind;
      const there = decideFor(rowOf(base, remote, local)).kind;
      expect(mirror[here]).toContain(there);
    });
  });
});
