import { describe, expect, it } from 'vitest';
import { type Actions, createProgram } from './program.ts';

/** Runs a command line against actions that only note what they were given. */
async function run(
  ...parameters: string[]
): Promise<{ readonly call: readonly unknown[]; readonly code: number | undefined }> {
  const calls: unknown[][] = [];
  const actions = new Proxy({} as Actions, {
    get:
      (_target, name) =>
      async (...given: unknown[]) => {
        calls.push([name, ...given]);
        return 7;
      },
  });
  let code: number | undefined;
  const program = createProgram(actions, (given) => {
    code = given;
  });
  for (const command of [program, ...program.commands]) {
    command.exitOverride().configureOutput({ writeErr: () => undefined, writeOut: () => undefined });
  }
  await program.parseAsync(['node', 'driftless', ...parameters]);
  return { call: calls[0] ?? [], code };
}

describe('the command line', () => {
  it('gives the exit code of the command', async () => {
    expect((await run('pause', 'dir')).code).toBe(7);
  });

  it('takes what share takes', async () => {
    const { call } = await run(
      'share',
      'notes',
      '--relay',
      'ws://a',
      '--relay',
      'ws://b',
      '--name',
      ' desk ',
      '--on-conflict',
      'ask',
      '--json',
    );
    expect(call).toMatchObject([
      'share',
      'notes',
      { relay: ['ws://a', 'ws://b'], name: 'desk', onConflict: 'ask', json: true, allowMassDelete: false },
    ]);
  });

  it('confirms the only hold, or the one that is named', async () => {
    expect((await run('confirm', 'notes')).call).toMatchObject(['confirm', 'notes', {}, {}]);
    expect((await run('confirm', 'notes', '0123abcd')).call[3]).toEqual({ id: '0123abcd' });
    expect((await run('confirm', 'notes', '--kind', 'disk', '--json')).call[3]).toEqual({ kind: 'disk' });
    await expect(run('confirm', 'notes', '--kind', 'everything')).rejects.toThrow();
  });

  it('takes the invite of join from stdin, a file, or as it is given', async () => {
    expect((await run('join', '-', 'notes', '--name', 'laptop')).call).toMatchObject([
      'join',
      { kind: 'stdin' },
      'notes',
      { name: 'laptop' },
    ]);
    expect((await run('join', '--invite-file', 'invite', 'notes')).call.slice(0, 3)).toEqual([
      'join',
      { kind: 'file', path: 'invite' },
      'notes',
    ]);
    expect((await run('join', 'code', 'notes')).call[1]).toEqual({ kind: 'argument', text: 'code' });
    for (const wrong of [['notes'], ['-', 'notes', 'more'], ['--invite-file', 'invite', '-', 'notes']])
      await expect(run('join', ...wrong)).rejects.toMatchObject({ name: 'UsageError' });
  });

  it('takes any number of folders to sync', async () => {
    expect((await run('sync')).call).toMatchObject(['sync', [], {}]);
    expect((await run('sync', 'a', 'b', '--allow-mass-delete')).call).toMatchObject([
      'sync',
      ['a', 'b'],
      { allowMassDelete: true },
    ]);
  });

  it('leaves unsaid relay settings to the environment', async () => {
    expect((await run('relay', '--port', '0')).call).toEqual([
      'relay',
      { port: 0, allowPlain: false, showKey: false, verbose: false },
    ]);
  });

  it.each([
    [['relay', '--port', '70000']],
    [['relay', '--port', 'x']],
    [['share']],
    [['share', 'a', '--name', '\u0007']],
    [['share', 'a', '--name', 'x'.repeat(65)]],
    [['share', 'a', '--on-conflict', 'mine']],
    [['resolve', 'a', 'b']],
    [['resolve', 'a', 'b', '--keep', 'nothing']],
    [['status', 'a', 'b']],
    [['sing']],
    [['status', 'a', '--loud']],
  ])('refuses %j', async (parameters) => {
    await expect(run(...parameters)).rejects.toMatchObject({ name: 'CommanderError' });
  });

  it.each(['bash', 'zsh', 'fish'])('completes every command in %s', async (shell) => {
    const [name, script] = (await run('completion', shell)).call;
    expect(name).toBe('completion');
    for (const command of ['relay', 'share', 'join', 'sync', 'unlink', 'trust-relay'])
      expect(script).toContain(command);
  });
});
