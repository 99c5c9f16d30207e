/**
 * kill -9 of each process in the middle of a transfer, in turn: sender, receiver, relay (P1, P2, P3, P6). Each round saves a
 * new version of several megabytes over the same file, beside a small edit, and kills while the receiver still lacks it.
 * Demanded: the version arrives whole, no conflict copy, no state in between is ever seen, nothing stays in the stage.
 */
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createFleet, type Member } from './fleet.ts';
import { createEye, differences, inventionIn, lostTags, resurrected } from './judge.ts';
import { createLedger } from './ledger.ts';
import { createChance } from './random.ts';
import { createUser } from './user.ts';

export interface KillReport {
  readonly kills: number;
  /** The receiver still lacked the version when the process was killed. */
  readonly inMidTransfer: number;
  readonly byVictim: Readonly<Record<string, number>>;
  readonly samples: number;
  readonly filesJudged: number;
  readonly conflictCopies: number;
  readonly slowestArrivalMs: number;
  readonly complaints: readonly string[];
}

/** So that a transfer takes about a second. */
const bytesPerSecond = 8 * 1024 * 1024;
const bigBytes = [4_000_000, 8_000_000] as const;
/** Random bytes do not shrink: when so many have passed, on either link, the smallest version is still under way. */
const killAfterBytes = [10_000, 3_500_000] as const;
/** Turns a hang into a complaint. */
const arrivalMsMax = 120_000;
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

type Victim = readonly [name: string, Pick<Member, 'kill'> & { start(): void | Promise<void> }];

export async function killTransfers(options: {
  readonly seed: number;
  readonly kills: number;
  readonly program?: string;
  readonly say: (line: string) => void;
}): Promise<KillReport> {
  const chance = createChance(options.seed);
  const fleet = await createFleet({
    names: ['sender', 'receiver'],
    ...(options.program === undefined ? {} : { program: options.program }),
  });
  const [sender, receiver] = fleet.members;
  if (sender === undefined || receiver === undefined) throw new Error('two members were started');
  const ledger = createLedger();
  mkdirSync(fleet.path('scratch'));
  const user = createUser({
    name: sender.name,
    dir: sender.dir,
    scratch: fleet.path('scratch'),
    ledger,
    chance,
    bigBytes,
  });
  const eye = createEye();
  const complaints: string[] = [];
  const judged = new Set<string>();
  let samples = 0;
  const look = (): ReturnType<typeof eye.look>[] =>
    fleet.members.map(({ name, dir }) => {
      const tree = eye.look(dir);
      samples += 1;
      for (const [path, thing] of tree) {
        const key = `${name}/${path} ${thing.stamps}`;
        if (thing.content === null || judged.has(key)) continue;
        judged.add(key);
        const wrong = inventionIn(path, thing, ledger);
        if (wrong !== null) complaints.push(`at ${name}: ${wrong}`);
      }
      return tree;
    });
  const timer = setInterval(look, 10);
  const trees = (): { name: string; tree: ReturnType<typeof eye.look> }[] =>
    look().map((tree, index) => ({ name: fleet.members[index]?.name ?? '', tree }));
  const untilEqual = async (): Promise<number> => {
    const startedMs = performance.now();
    while (differences(trees()).length > 0 || !fleet.members.every((member) => member.state() === 'idle')) {
      if (performance.now() - startedMs > arrivalMsMax) {
        complaints.push(
          `did not arrive within ${arrivalMsMax} ms: ${differences(trees()).slice(0, 5).join('; ')} ${fleet.members.map((member) => JSON.stringify(member.lastState())).join(' ')}`,
        );
        break;
      }
      await sleep(20);
    }
    return performance.now() - startedMs;
  };

  const victims: readonly [Victim, ...Victim[]] = [
    ['sender', sender],
    ['receiver', receiver],
    ['relay', fleet.relay],
  ];
  let inMidTransfer = 0;
  let slowestArrivalMs = 0;
  const byVictim: Record<string, number> = {};
  try {
    user.save('anchor.txt');
    user.big('big.bin');
    await untilEqual();
    for (const member of fleet.members) member.proxy.setMode({ kind: 'slow', bytesPerSecond });
    for (let kill = 0; kill < options.kills && complaints.length === 0; kill += 1) {
      const link = chance.pick([sender, receiver]).proxy;
      const isUnderWay = link.passed(chance.integer(...killAfterBytes));
      user.big('big.bin');
      user.save(`small${kill % 5}.txt`);
      await isUnderWay;
      const isMid = differences(trees()).some((difference) => difference.startsWith('big.bin'));
      const [name, victim] = victims[kill % victims.length] ?? victims[0];
      await victim.kill();
      if (isMid) inMidTransfer += 1;
      byVictim[name] = (byVictim[name] ?? 0) + 1;
      // Sometimes the sender goes on working while somebody is dead.
      if (chance.fraction() < 0.3) user.save(`small${chance.integer(0, 4)}.txt`);
      await sleep(chance.integer(0, 200));
      await victim.start();
      const arrivalMs = await untilEqual();
      slowestArrivalMs = Math.max(slowestArrivalMs, arrivalMs);
      options.say(
        `kill ${kill + 1} of ${name}${isMid ? ' in mid-transfer' : ''}: equal again after ${Math.round(arrivalMs)} ms`,
      );
    }
    const all = look();
    for (const tag of lostTags(all, ledger)) complaints.push(`lost: ${tag.what}`);
    for (const tree of all) complaints.push(...resurrected(tree, ledger));
    for (const member of fleet.members) {
      const verified = await member.ask('verify');
      if (verified['ok'] !== true) complaints.push(`verify of ${member.name}: ${JSON.stringify(verified)}`);
      const stage = join(member.dir, '.driftless', 'stage');
      const left = readdirSync(stage);
      if (left.length > 0) complaints.push(`left in the stage of ${member.name}: ${left.join()}`);
    }
    const conflictCopies = all.reduce(
      (sum, tree) => sum + [...tree.keys()].filter((path) => path.includes('.conflict-')).length,
      0,
    );
    if (conflictCopies > 0) complaints.push(`${conflictCopies} conflict copies with one writer`);
    return {
      kills: Object.values(byVictim).reduce((sum, count) => sum + count, 0),
      inMidTransfer,
      byVictim,
      samples,
      filesJudged: judged.size,
      conflictCopies,
      slowestArrivalMs: Math.round(slowestArrivalMs),
      complaints,
    };
  } finally {
    clearInterval(timer);
    await fleet.close({ keep: complaints.length > 0 });
    if (complaints.length > 0) options.say(`kept: ${fleet.path()}`);
  }
}
