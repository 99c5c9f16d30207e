import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { expect, test } from 'vitest';

const module = path.join(import.meta.dirname, 'inspector-signal.ts');

/** Tells what the signal led to once it has arrived, or that nobody but Node listens for it. */
const script = `
  import inspector from 'node:inspector';
  import { ignoreInspectorSignal } from ${JSON.stringify(module)};
  ignoreInspectorSignal();
  if (process.listenerCount('SIGUSR1') === 0) process.stdout.write('left to Node');
  else {
    const arrived = Promise.withResolvers();
    process.on('SIGUSR1', arrived.resolve);
    const alive = setInterval(() => undefined, 60_000);
    process.kill(process.pid, 'SIGUSR1');
    await arrived.promise;
    clearInterval(alive);
    process.stdout.write(inspector.url() ?? 'no inspector');
  }`;

test.skipIf(process.platform === 'win32')('the signal opens no inspector', () => {
  expect(execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' })).toBe(
    'no inspector',
  );
});
