import { describe, expect, it } from 'vitest';
import type { ConfirmAnswer, HoldChoice, HoldInfo, PeerControl } from '../control.ts';
import type { FolderHost } from '../host-api.ts';
import { askConfirm } from './ask.ts';
import type { Output } from './output.ts';

const hold: HoldInfo = {
  id: '0123abcd',
  kind: 'deletions',
  direction: 'incoming',
  code: 'mass-deletion-incoming',
  reason: 'laptop deleted 300 of 400 files; they are kept here',
  count: 300,
  paths: Array.from({ length: 300 }, (_, index) => (index === 1 ? 'odd\u001b[31m.txt' : `f${index}.txt`)),
  author: 'laptop',
};

async function confirm(answer: ConfirmAnswer, choice: HoldChoice, json = false) {
  const asked: HoldChoice[] = [];
  const lines: string[] = [];
  const objects: object[] = [];
  const warnings: string[] = [];
  const output: Output = {
    json,
    interactive: false,
    object: (value) => json && objects.push(value),
    line: (text) => lines.push(text),
    warn: (text) => warnings.push(text),
  };
  const control = {
    confirm: async (given: HoldChoice = {}) => {
      asked.push(given);
      return answer;
    },
    close: async () => undefined,
  } as unknown as PeerControl & { close(): Promise<void> };
  const host = { control: async () => control } as unknown as FolderHost;
  const code = await askConfirm({ host, dir: '/a b', output }, choice);
  return { asked, lines, objects, warnings, code };
}

describe('driftless confirm', () => {
  it('shows what it let go: what, how many, whose, which', async () => {
    const { lines, code, asked } = await confirm(
      { ok: true, message: 'confirmed', holds: [hold] },
      { kind: 'deletions' },
    );
    expect(asked).toEqual([{ kind: 'deletions' }]);
    expect(lines[0]).toBe(`0123abcd (deletions, 300 paths, by laptop): ${hold.reason}`);
    expect(lines).toContain('    f0.txt');
    expect(lines.join('\n')).not.toContain('\u001b');
    expect(lines.at(-2)).toBe('    … and 280 more');
    expect(lines.at(-1)).toBe('confirmed');
    expect(code).toBe(0);
  });
  it('lists several, says how each is let go, and fails', async () => {
    const answer = { ok: false, message: '2 things are held', holds: [hold, { ...hold, id: 'ffffffff' }] };
    const { lines, warnings, code } = await confirm(answer, {});
    expect(lines).toContain("    let it go with: driftless confirm '/a b' 0123abcd");
    expect(lines).toContain("    let it go with: driftless confirm '/a b' ffffffff");
    expect(warnings).toEqual(['driftless: 2 things are held']);
    expect(code).toBe(1);
  });
  it('gives programs the same as one object', async () => {
    const answer = { ok: false, message: 'nothing waits for a confirmation', holds: [] };
    expect(await confirm(answer, {}, true)).toMatchObject({ objects: [answer], code: 1, lines: [] });
  });
});
