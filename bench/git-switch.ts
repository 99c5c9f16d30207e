/**
 * Memory of a git switch: a peer's and the relay's highest resident memory above rest, on the sending and the receiving side,
 * while a branch with many megabytes is checked out. Real processes, built before (Linux: memory is read from /proc).
 *
 *   node bench/git-switch.ts [files] [bytesPerFile]
 */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createWorld, type DriftlessProcess, inState } from '../test/scenario/driftless-process.ts';

const [files = 400, bytesPerFile = 900_000] = process.argv.slice(2).map(Number);

/** Of the process and what it started: the launcher may have started another Node. */
function residentMb(pid: number | undefined): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const own = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024;
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean);
  return Math.max(own, ...children.map((child) => residentMb(Number(child))));
}

const world = await createWorld();
try {
  const relay = world.start(['relay', '--port', '0', '--data', world.path('relay'), '--json'], { home: 'relay-home' });
  const { url } = await relay.event((event) => event['event'] === 'listening');
  const [dirA, dirB] = [world.path('a'), world.path('b')];
  mkdirSync(dirA);
  const git = (...parameters: string[]): void => {
    execFileSync(
      'git',
      ['-C', dirA, '-c', 'user.email=a@b', '-c', 'user.name=a', '-c', 'core.compression=0', ...parameters],
      {
        stdio: 'pipe',
      },
    );
  };
  git('init', '-q', '-b', 'main');
  writeFileSync(path.join(dirA, 'k.txt'), 'k\n');
  git('add', '-A');
  git('commit', '-qm', 'one');
  git('checkout', '-qb', 'big');
  mkdirSync(path.join(dirA, 'assets'));
  for (let index = 0; index < files; index += 1)
    writeFileSync(path.join(dirA, 'assets', `${index}.bin`), randomBytes(bytesPerFile));
  git('add', '-A');
  git('commit', '-qm', 'two');
  git('checkout', '-q', 'main');
  const a = world.start(['share', dirA, '--relay', String(url), '--json'], { home: 'home-a' });
  const { invite } = await a.event((event) => event['event'] === 'invite');
  await a.event(inState('idle'));
  const b = world.start(['join', '-', dirB, '--json'], { home: 'home-b', input: `${String(invite)}\n` });
  await b.event(inState('idle'));
  const watched: readonly (readonly [string, DriftlessProcess])[] = [
    ['sender', a],
    ['receiver', b],
    ['relay', relay],
  ];
  const rest = new Map(watched.map(([name, one]) => [name, residentMb(one.child.pid)]));
  const peak = new Map(rest);
  const look = setInterval(() => {
    for (const [name, one] of watched) peak.set(name, Math.max(peak.get(name) ?? 0, residentMb(one.child.pid)));
  }, 50);
  const arrived = b.nextEvent((event) => event['event'] === 'applied' && event['path'] === `assets/${files - 1}.bin`);
  const startMs = performance.now();
  git('checkout', '-q', 'big');
  await arrived;
  await b.nextEvent(inState('idle'));
  clearInterval(look);
  const above = (name: string): number => Math.round((peak.get(name) ?? 0) - (rest.get(name) ?? 0));
  console.log(
    JSON.stringify({
      bench: 'git-switch',
      files,
      megabytes: Math.round((files * bytesPerFile) / 1_000_000),
      tookS: Number(((performance.now() - startMs) / 1_000).toFixed(1)),
      senderMbAboveRest: above('sender'),
      receiverMbAboveRest: above('receiver'),
      relayMbAboveRest: above('relay'),
    }),
  );
} finally {
  await world.close();
}
