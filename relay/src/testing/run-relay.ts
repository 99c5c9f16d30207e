/** For tests, run as a process: a relay on the directory argv[2]; prints its address, and ends with its standard input. */
import { join } from 'node:path';
import { runRelay } from '../main.ts';

const directory = process.argv[2];
if (directory === undefined) throw new Error('which directory?');
const relay = await runRelay({
  dataDir: join(directory, 'data'),
  homeDir: join(directory, 'home'),
  port: 0,
  logLevel: 'silent',
});
process.stdout.write(`${relay.url}\n`);
process.stdin.on('end', () => void relay.close()).resume();
