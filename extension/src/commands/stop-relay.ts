/** "Sync: Stop the Relay on This Machine". */
import type { CommandContext } from '../context.ts';
import { ask, tell } from '../window.ts';

export async function stopRelay({ relay }: CommandContext): Promise<void> {
  const go = await ask({
    text: 'Stop the relay on this machine?',
    detail: ['Folders that meet there are offline until it is hosted again. What it stores stays on this machine.'],
    answers: ['Stop It'],
  });
  if (go !== 'Stop It') return;
  const outcome = await relay.stop();
  void tell('info', outcome === 'stopped' ? 'The relay is stopped.' : 'No relay runs on this machine.');
}
