import { expect, test } from 'vitest';
import { createCommands } from './commands.ts';

test('they run in order, each to its end, and only those that wait', async () => {
  const commands = createCommands();
  const ran: string[] = [];
  const asked = commands.ask(async () => {
    ran.push('first');
    commands.add(async () => void ran.push('next time'));
  });
  commands.add(async () => void ran.push('second'));
  expect(commands.waiting).toBe(2);
  await commands.run();
  await asked;
  expect(ran).toEqual(['first', 'second']);
  expect(commands.waiting).toBe(1);
});

test('one that fails takes none of those behind it along', async () => {
  const commands = createCommands();
  commands.add(async () => {
    throw new Error('no room for the state');
  });
  let isPaused = false;
  const paused = commands.ask(async () => {
    isPaused = true;
  });
  await expect(commands.run()).rejects.toThrow('no room for the state');
  await paused;
  expect(isPaused).toBe(true);
  await commands.run();
});

test('what a person asked for fails to them, and not to the loop', async () => {
  const commands = createCommands();
  const asked = commands.ask(async () => {
    throw new Error('the disk is full');
  });
  const told = expect(asked).rejects.toThrow('the disk is full');
  await commands.run();
  await told;
});

test('nobody waits for a loop that has ended, before or after', async () => {
  const commands = createCommands();
  const before = expect(commands.ask(async () => {})).rejects.toThrow('has ended');
  commands.end();
  await before;
  await expect(commands.ask(async () => {})).rejects.toThrow('has ended');
});
