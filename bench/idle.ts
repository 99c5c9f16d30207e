/**
 * What a peer costs while nothing is to be done: processor time of a real process over a minute, in each state in which it
 * waits. One JSON line a state; below 0.3 % of a core each.
 *
 *   node bench/idle.ts [files] [seconds a state] [program, default this checkout's]
 */
import { mkdirSync, readFileSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createWorld, type DriftlessProcess, inState, launcher } from '../test/scenario/driftless-process.ts';

const [files = 20_000, seconds = 60] = process.argv.slice(2, 4).map(Number);
const program = process.argv[4] ?? launcher;
/**
 * What a state's beginning leaves to be done is over when so little happens, its garbage included, which V8 collects up to half a
 * minute later; what goes on for longer belongs to the state.
 */
const calmPercent = 1;
const calmWindowMs = 5_000;
const calmMsMin = 30_000;
const calmMsMax = 120_000;
const ticksPerSecond = 100;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** User and system time of a process and of those that it started. */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  const own = (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean);
  return children.reduce((sum, child) => sum + cpuSeconds(Number(child)), own);
}

async function reach(state: string, peer: DriftlessProcess): Promise<void> {
  const last = [...peer.told].reverse().find((event) => event['event'] === 'state');
  if (last?.['state'] !== state) await peer.nextEvent(inState(state));
}

async function calm(pid: number): Promise<void> {
  for (let waitedMs = 0; waitedMs < calmMsMax; waitedMs += calmWindowMs) {
    const before = cpuSeconds(pid);
    await sleep(calmWindowMs);
    const percent = ((cpuSeconds(pid) - before) * 100_000) / calmWindowMs;
    if (percent < calmPercent && waitedMs >= calmMsMin) return;
  }
}

async function measure(state: string, peer: DriftlessProcess): Promise<void> {
  const pid = peer.child.pid ?? 0;
  await calm(pid);
  const told = peer.told.length;
  const [startMs, before] = [performance.now(), cpuSeconds(pid)];
  await sleep(seconds * 1_000);
  const tookSeconds = (performance.now() - startMs) / 1_000;
  console.log(
    JSON.stringify({
      bench: 'idle',
      state,
      told: [...peer.told].reverse().find((event) => event['event'] === 'state')?.['state'],
      files,
      seconds: Number(tookSeconds.toFixed(1)),
      cpuPercent: Number((((cpuSeconds(pid) - before) / tookSeconds) * 100).toFixed(2)),
      events: peer.told.length - told,
    }),
  );
}

const world = await createWorld({ program });
try {
  const dir = world.path('folder');
  const file = (index: number): string => join(dir, `d${index % 200}`, `file${index}.ts`);
  for (let index = 0; index < 200; index += 1) mkdirSync(join(dir, `d${index}`), { recursive: true });
  // As most of a project: a file that changed within half a minute is read a second time, and would be for all of the first sweep.
  const longAgo = new Date('2020-01-01');
  for (let index = 0; index < files; index += 1) {
    writeFileSync(file(index), `export const value = ${index};\n`);
    utimesSync(file(index), longAgo, longAgo);
  }

  const relayArguments = (port: string): string[] => [
    'relay',
    '--port',
    String(port),
    '--data',
    world.path('relay'),
    '--json',
  ];
  let relay = world.start(relayArguments('0'), { home: 'relay-home' });
  const port = new URL(String((await relay.event((event) => event['event'] === 'listening'))['url'])).port;
  const first = world.start(['share', dir, '--relay', `ws://127.0.0.1:${port}`, '--json']);
  await first.event((event) => inState('idle')(event) && first.told.some(({ event: kind }) => kind === 'sent'));
  // What the first sync left to be collected is no part of rest: the peer is measured as it is after any other start.
  await first.stop();
  const peer = world.start(['sync', dir, '--json']);
  await peer.event(inState('idle'));

  await measure('idle', peer);

  await world.run(['pause', dir]);
  await measure('paused', peer);
  writeFileSync(file(0), 'paused\n');
  await measure('paused, one edit', peer);
  await world.run(['resume', dir]);
  await reach('idle', peer);

  await relay.stop();
  await measure('offline', peer);
  writeFileSync(file(0), 'offline\n');
  await measure('offline, one edit', peer);
  relay = world.start(relayArguments(port), { home: 'relay-home' });
  await reach('idle', peer);

  for (let index = 0; index < files * 0.6; index += 1) rmSync(file(index));
  await reach('error', peer);
  await measure('deletions held', peer);
  for (let index = 0; index < files * 0.6; index += 1) writeFileSync(file(index), `export const value = ${index};\n`);
  await reach('idle', peer);

  renameSync(dir, `${dir}-away`);
  await reach('error', peer);
  await measure('root missing', peer);
  await peer.stop();
  await relay.stop();
} finally {
  await world.close();
}
