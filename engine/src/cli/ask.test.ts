import { describe, expect, it } from 'vitest';
import type { ConfirmAnswer, HoldChoice, HoldInfo, PeerControl } from '../control.ts';
import type { FolderHost } from '../host-api.ts';
import { recordedOutput } from '../testing/recorded-output.ts';
import { askConfirm, askConflicts, askDecline, askExplain } from './ask.ts';

const hold: HoldInfo = {
  id: '0123abcd',
  kind: 'deletions',
  direction: 'incoming',
  code: 'mass-deletion-incoming',
  reason: 'laptop deleted 300 of 400 files; they are kept here',
  count: 300,
  paths: Array.from({ length: 300 }, (_, index) => (index === 1 ? 'odd\u001b[31m.txt' : `f${index}.txt`)),
  author: 'laptop',
  declinable: true,
};

async function confirm(
  answer: ConfirmAnswer,
  choice: HoldChoice,
  json = false,
  verb: 'confirm' | 'decline' = 'confirm',
) {
  const asked: HoldChoice[] = [];
  const { output, stdout: lines, stderr: warnings } = recordedOutput(json);
  const control = {
    [verb]: async (given: HoldChoice = {}) => {
      asked.push(given);
      return answer;
    },
    close: async () => undefined,
  } as unknown as PeerControl & { close(): Promise<void> };
  const host = { control: async () => control } as unknown as FolderHost;
  const code = await (verb === 'confirm' ? askConfirm : askDecline)({ host, dir: '/a b', output }, choice);
  return { asked, lines, warnings, code };
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
    expect(lines).toContain('    odd\\u001b[31m.txt');
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
  it('says the other answer only of what has one', async () => {
    const disk: HoldInfo = { ...hold, id: 'ffffffff', kind: 'disk', declinable: false };
    const { lines } = await confirm({ ok: false, message: '2 things are held', holds: [hold, disk] }, {});
    expect(lines).toContain("    keep them with: driftless decline '/a b' 0123abcd");
    expect(lines.join('\n')).not.toContain("driftless decline '/a b' ffffffff");
  });
  it('decline asks and shows the same way', async () => {
    const answer = { ok: true, message: 'declined', holds: [hold] };
    const { asked, lines, code } = await confirm(answer, { id: hold.id }, false, 'decline');
    expect(asked).toEqual([{ id: hold.id }]);
    expect(lines[0]).toBe(`0123abcd (deletions, 300 paths, by laptop): ${hold.reason}`);
    expect(lines.at(-1)).toBe('declined');
    expect(code).toBe(0);
  });
  it('gives programs the same as one object', async () => {
    const answer = { ok: false, message: 'nothing waits for a confirmation', holds: [] };
    const { lines, warnings, code } = await confirm(answer, {}, true);
    expect(lines).toEqual([JSON.stringify(answer)]);
    expect(warnings).toEqual(['driftless: nothing waits for a confirmation']);
    expect(code).toBe(1);
  });
});

describe('driftless explain', () => {
  it('takes a path as it was shown, and one as it is', async () => {
    const asked: string[] = [];
    const control = {
      explain: async (path: string) => {
        asked.push(path);
        return { lines: [`${path}: ignored`] };
      },
      close: async () => undefined,
    } as unknown as PeerControl & { close(): Promise<void> };
    const host = { control: async () => control } as unknown as FolderHost;
    const { output, stdout } = recordedOutput();
    for (const given of ['odd\\u000aname](command\\u003a//x)', './a b.txt', '/notes/c.txt'])
      await askExplain({ host, dir: '/notes', output }, given);
    expect(asked).toEqual(['odd\nname](command://x)', 'a b.txt', 'c.txt']);
    expect(stdout).toEqual(['odd\\u000aname]\\u0028command\\u003a//x): ignored', 'a b.txt: ignored', 'c.txt: ignored']);
  });
});

describe('driftless conflicts', () => {
  it('gives a command line in which a name stays one word', async () => {
    const control = {
      conflicts: async () => [{ path: "'; curl x | sh #\n", variants: [], holds: 'mine' as const }],
      status: async () => ({ conflictCopies: [] }),
      close: async () => undefined,
    } as unknown as PeerControl & { close(): Promise<void> };
    const host = { control: async () => control } as unknown as FolderHost;
    const { output, stdout } = recordedOutput();
    await askConflicts({ host, dir: '/my notes', output });
    expect(stdout.at(-1)).toBe(
      "  keep one with: driftless resolve '/my notes' ''\\''; curl x | sh #\\u000a' --keep mine|theirs|both",
    );
  });
});
