/**
 * One torture run: users work on two or three real folders while processes are killed and frozen, links cut and state taken
 * away; then everything heals, and the promises are checked: convergence, no lost bytes, no invention at any moment, nothing
 * brought back, no conflict with oneself, quiet.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createFleet, type Fleet, type Member } from './fleet.ts';
import {
  createEye,
  type DoneDeed,
  differences,
  inventionIn,
  lostTags,
  resurrected,
  spuriousCopies,
  type Tree,
} from './judge.ts';
import { createLedger, type Ledger } from './ledger.ts';
import { type Chance, createChance } from './random.ts';
import { anchors, createUser, type User } from './user.ts';

export interface TortureOptions {
  readonly seed: number;
  readonly episodes: number;
  readonly stepsPerEpisode: number;
  readonly peers: 2 | 3;
  readonly bigBytes: readonly [number, number];
  /** No episode starts after this. */
  readonly msMax: number;
  /** Also: relay data lost or old, peer state lost, cut or old. */
  readonly loss: boolean;
  readonly program?: string;
  readonly say: (line: string) => void;
}

export interface TortureReport {
  readonly seed: number;
  readonly episodes: number;
  readonly deeds: number;
  readonly faults: Readonly<Record<string, number>>;
  readonly complaints: readonly string[];
  readonly samples: number;
  readonly copies: number;
  readonly quietMsMax: number;
  readonly trace: readonly string[];
  /** Kept when there are complaints. */
  readonly world: string;
}

/** Longest time from the end of all faults until quiet: the longest reconnect backoff is 30 s, an old intent or retry as much again. */
const quietMsMax = 90_000;
/** Nothing moved for that long. */
const stillMs = 1_200;
const sampleEveryMs = 15;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export async function torture(options: TortureOptions): Promise<TortureReport> {
  const { seed, say } = options;
  const chance = createChance(seed);
  const startedMs = performance.now();
  const trace: string[] = [];
  const note = (text: string): void => {
    const line = `${((performance.now() - startedMs) / 1_000).toFixed(3)} ${text}`;
    trace.push(line);
    say(line);
  };
  const fleet = await createFleet({
    names: ['alpha', 'beta', 'gamma'].slice(0, options.peers),
    ...(options.program === undefined ? {} : { program: options.program }),
  });
  const ledger = createLedger();
  mkdirSync(fleet.path('scratch'));
  const narrow = chance.fraction() < 0.4;
  if (narrow) note('all work on a few files');
  const users = fleet.members.map((member) =>
    createUser({
      name: member.name,
      dir: member.dir,
      scratch: fleet.path('scratch'),
      ledger,
      chance,
      bigBytes: options.bigBytes,
      narrow,
    }),
  );
  const complaints: string[] = [];
  const complain = (text: string): void => {
    if (complaints.length < complaintsMax && !complaints.includes(text)) complaints.push(text);
    note(`COMPLAINT ${text}`);
  };
  const sampler = createSampler(fleet, ledger, complain);
  const run: Run = { chance, fleet, ledger, users, note, complain, faults: {}, heals: [], lossy: false, sampler };
  let episodes = 0;
  let deeds = 0;
  let slowestMs = 0;
  let copies = 0;
  try {
    for (const anchor of anchors) users[0]?.save(anchor);
    let before = await untilQuiet(run);
    while (
      episodes < options.episodes &&
      performance.now() - startedMs < options.msMax &&
      complaints.length === 0 &&
      before !== null
    ) {
      episodes += 1;
      ledger.episode = episodes;
      note(`── episode ${episodes}`);
      const done = await episode(run, options);
      deeds += done.length;
      await heal(run);
      const healedMs = performance.now();
      const after = await untilQuiet(run);
      if (after === null) break;
      slowestMs = Math.max(slowestMs, performance.now() - healedMs - stillMs);
      copies += [...after.keys()].filter((path) => !before?.has(path) && path.includes('.conflict-')).length;
      judge(run, before, after, done);
      if (complaints.length === 0 && (episodes % 3 === 0 || episodes === options.episodes)) await judgeIdempotence(run);
      before = after;
    }
  } catch (error) {
    complain(`the run broke off: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  } finally {
    sampler.stop();
    for (const again of run.heals.splice(0)) await again();
    if (complaints.length > 0) keepEvidence(fleet, trace);
    await fleet.close({ keep: complaints.length > 0 });
  }
  return {
    seed,
    episodes,
    deeds,
    faults: run.faults,
    complaints,
    samples: sampler.count(),
    copies,
    quietMsMax: Math.round(slowestMs),
    trace,
    world: fleet.path(),
  };
}
const complaintsMax = 40;

interface Run {
  readonly chance: Chance;
  readonly fleet: Fleet;
  readonly ledger: Ledger;
  readonly users: readonly User[];
  readonly note: (text: string) => void;
  readonly complain: (text: string) => void;
  readonly faults: Record<string, number>;
  /** What undoes the faults under way. */
  readonly heals: (() => void | Promise<void>)[];
  /** History or state was taken away in this run: copies and resurrections may then be needed to lose nothing. */
  lossy: boolean;
  readonly sampler: Sampler;
}

// ── an episode ──────────────────────────────────────────────────────────────────────────────────────────────────────

async function episode(run: Run, options: TortureOptions): Promise<DoneDeed[]> {
  const { chance, users, note } = run;
  const done: DoneDeed[] = [];
  // Sometimes one user works alone: then nothing at all may clash.
  const active = chance.fraction() < 0.3 ? [chance.integer(0, users.length - 1)] : users.map((_, index) => index);
  const tempo = chance.pick([hasty, hasty, leisurely]);
  for (let step = 0; step < options.stepsPerEpisode; step += 1) {
    if (chance.fraction() < 0.25) await fault(run, options);
    const user = users[chance.pickFrom(active) ?? 0];
    const deed = chance.fraction() < 0.03 ? user?.tidy() : user?.act();
    if (deed != null && user !== undefined) {
      done.push({ ...deed, peer: user.name });
      note(deed.text);
    }
    run.sampler.look();
    const pauseMs = chance.weighted(tempo);
    await sleep(pauseMs);
  }
  return done;
}

type Tempo = readonly (readonly [number, number])[];
/** Weights and milliseconds between two steps: within one settle, within one record, beyond both, beyond a heartbeat. */
const leisurely: Tempo = [
  [40, 0],
  [20, 5],
  [20, 50],
  [12, 300],
  [6, 1_200],
  [2, 4_000],
];
const hasty: Tempo = [
  [60, 0],
  [20, 4],
  [14, 40],
  [6, 150],
];

async function fault(run: Run, options: TortureOptions): Promise<void> {
  const { chance, fleet } = run;
  const member = chance.pickFrom(fleet.members);
  if (member === undefined) return;
  const chosen = chance.weighted<readonly [string, () => void | Promise<void>]>([
    [10, ['kill peer', () => killPeer(run, member)]],
    [4, ['stop peer', () => stopPeer(run, member)]],
    [4, ['kill peer for long', () => killPeer(run, member, longMs)]],
    [4, ['all apart', () => allApart(run)]],
    [6, ['kill relay', () => killRelay(run)]],
    [5, ['freeze peer', () => freeze(run, member, chance.integer(500, 2_500))]],
    [4, ['freeze relay', () => freeze(run, fleet.relay, chance.integer(500, 2_500))]],
    [5, ['cut', () => member.proxy.cutAfter(chance.integer(1, 4_000))]],
    [4, ['cut late', () => member.proxy.cutAfter(chance.integer(10_000, 1_000_000))]],
    [4, ['away', () => mode(run, member, { kind: 'down' }, chance.integer(300, 6_000))]],
    [2, ['half-open', () => mode(run, member, { kind: 'stall' }, chance.integer(1_000, 8_000))]],
    [3, ['slow', () => mode(run, member, { kind: 'slow', bytesPerSecond: 60_000 }, chance.integer(1_000, 6_000))]],
    [options.loss ? 2 : 0, ['relay data lost', () => spoilRelay(run, 'lost')]],
    [options.loss ? 2 : 0, ['relay data old', () => spoilRelay(run, 'older')]],
    [options.loss ? 2 : 0, ['copy relay data', () => copyRelay(run)]],
    [options.loss ? 2 : 0, ['state lost', () => spoilState(run, member, 'lost')]],
    [options.loss ? 2 : 0, ['state cut', () => spoilState(run, member, 'cut')]],
    [options.loss ? 2 : 0, ['state old', () => spoilState(run, member, 'older')]],
    [options.loss ? 2 : 0, ['copy state', () => copyState(run, member)]],
  ]);
  const [name, carryOut] = chosen;
  run.faults[name] = (run.faults[name] ?? 0) + 1;
  run.note(`fault: ${name} ${name.includes('relay') ? '' : member.name}`);
  await carryOut();
}

/** Undone after a while, or by the end of the episode, whichever comes first; the work goes on meanwhile. */
function later(run: Run, delayMs: number, undo: () => void | Promise<void>): void {
  const once = async (): Promise<void> => {
    const index = run.heals.indexOf(once);
    if (index === -1) return;
    run.heals.splice(index, 1);
    clearTimeout(timer);
    await undo();
  };
  const timer = setTimeout(() => {
    once().catch((error: unknown) => run.complain(`a fault could not be undone: ${String(error)}`));
  }, delayMs);
  run.heals.push(once);
}

/** Until the episode ends: the users go on meanwhile. */
const longMs = 60_000;

async function killPeer(run: Run, member: Member, ms = run.chance.integer(0, 3_000)): Promise<void> {
  await member.kill();
  later(run, ms, () => member.start());
}
async function stopPeer(run: Run, member: Member): Promise<void> {
  const code = await member.stop();
  // null: it was frozen or killed at that moment.
  if (code !== 0 && code !== null)
    run.complain(`${member.name} ended with code ${code}: ${member.stderr().slice(-500)}`);
  later(run, run.chance.integer(0, 2_000), () => member.start());
}
async function killRelay(run: Run): Promise<void> {
  await run.fleet.relay.kill();
  later(run, run.chance.integer(0, 3_000), () => run.fleet.relay.start());
}
function freeze(run: Run, process: { freeze(): void; thaw(): void }, ms: number): void {
  process.freeze();
  later(run, ms, () => process.thaw());
}
function mode(run: Run, { proxy }: Member, how: Parameters<Member['proxy']['setMode']>[0], ms: number): void {
  proxy.setMode(how);
  later(run, ms, () => proxy.setMode({ kind: 'pass' }));
}
function allApart(run: Run): void {
  for (const member of run.fleet.members) mode(run, member, { kind: 'down' }, longMs);
}
async function copyRelay({ fleet }: Run): Promise<void> {
  await fleet.relay.kill();
  fleet.relay.copyData();
  await fleet.relay.start();
}
async function spoilRelay(run: Run, how: 'lost' | 'older'): Promise<void> {
  const { relay } = run.fleet;
  await relay.kill();
  relay.restoreData(how);
  run.lossy = true;
  await relay.start();
}
async function copyState(_run: Run, member: Member): Promise<void> {
  await member.kill();
  member.copyState();
  member.start();
}
async function spoilState(run: Run, member: Member, how: 'lost' | 'cut' | 'older'): Promise<void> {
  await member.kill();
  member.damageState(how);
  run.lossy = true;
  member.start();
}

async function heal(run: Run): Promise<void> {
  for (const undo of [...run.heals]) await undo();
  run.heals.length = 0;
  await run.fleet.relay.start();
  for (const member of run.fleet.members) {
    member.proxy.setMode({ kind: 'pass' });
    member.start();
  }
}

// ── judgement ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** The common tree, once all peers are idle, equal and still. null: it did not come to that. */
async function untilQuiet(run: Run): Promise<Tree | null> {
  const { fleet, sampler, complain } = run;
  const deadlineMs = performance.now() + quietMsMax;
  let stillSinceMs = performance.now();
  let last = '';
  let told = -1;
  for (;;) {
    const trees = sampler.look();
    const text = trees
      .map(({ tree }) =>
        [...tree].map(([path, { stamps, executable }]) => `${path} ${stamps} ${executable}`).join('\n'),
      )
      .join('\n\n');
    const events = fleet.members.reduce((sum, member) => sum + member.told.length, 0);
    const allIdle = fleet.members.every((member) => member.state() === 'idle');
    if (text !== last || events !== told || !allIdle) stillSinceMs = performance.now();
    last = text;
    told = events;
    const apart = differences(trees);
    if (allIdle && performance.now() - stillSinceMs >= stillMs) {
      if (apart.length === 0) return trees[0]?.tree ?? null;
      for (const difference of apart.slice(0, 10)) complain(`idle and still, but not equal: ${difference}`);
      await showStatus(run);
      return null;
    }
    if (performance.now() > deadlineMs) {
      complain(
        `no quiet within ${quietMsMax} ms: ${fleet.members.map((member) => `${member.name} ${JSON.stringify(member.lastState())}`).join('; ')}`,
      );
      for (const difference of apart.slice(0, 10)) complain(`and not equal: ${difference}`);
      await showStatus(run);
      return null;
    }
    await sleep(100);
  }
}

async function showStatus({ fleet, note }: Run): Promise<void> {
  for (const member of fleet.members)
    note(`status ${member.name}: ${JSON.stringify(await member.ask('status').catch(String))}`);
}

function judge(run: Run, before: Tree | null, after: Tree, done: readonly DoneDeed[]): void {
  const { ledger, complain, note } = run;
  for (const tag of lostTags([after], ledger))
    complain(
      `lost: "${tag.what}" written by ${tag.peer} to ${tag.path} in episode ${tag.episode}; kept by ${[...tag.touched].join() || 'nobody'}`,
    );
  const wrong: string[] = [
    ...resurrected(after, ledger).map((text) => `brought back: ${text}`),
    ...(before === null
      ? []
      : spuriousCopies({ before, after, deeds: done }).map((text) => `conflict with nobody: ${text}`)),
  ];
  for (const text of wrong) {
    if (run.lossy) note(`excused after loss: ${text}`);
    else complain(text);
  }
  for (const path of after.keys()) if (path.includes('.tmp-')) note(`temporary file stays: ${path}`);
}

/** In quiet, restarting everything rewrites nothing, sends nothing, makes no record (invariant 16). */
async function judgeIdempotence(run: Run): Promise<void> {
  const { fleet, sampler, complain } = run;
  const stamps = (): Map<string, string> =>
    new Map(
      sampler
        .look()
        .flatMap(({ name, tree }) => [...tree].map(([path, thing]) => [`${name}/${path}`, thing.stamps] as const)),
    );
  const headOf = async (member: Member): Promise<string> => JSON.stringify((await member.ask('status'))['head']);
  const before = stamps();
  const heads = await Promise.all(fleet.members.map(headOf));
  const counts = fleet.members.map((member) => member.told.length);
  run.note('all restart');
  await fleet.relay.kill();
  await Promise.all(fleet.members.map((member) => member.kill()));
  await fleet.relay.start();
  for (const member of fleet.members) member.start();
  if ((await untilQuiet(run)) === null) return;
  for (const [path, stamp] of stamps())
    if (before.get(path) !== stamp) complain(`rewritten by a restart in quiet: ${path}`);
  for (const [index, member] of fleet.members.entries()) {
    const head = await headOf(member);
    if (head !== heads[index])
      complain(`a restart in quiet made records: ${member.name} was at ${heads[index]}, is at ${head}`);
    for (const event of member.told.slice(counts[index]))
      if (event['event'] === 'sent' || event['event'] === 'applied')
        complain(`a restart in quiet: ${member.name} told ${JSON.stringify(event)}`);
    const verified = await member.ask('verify');
    if (verified['ok'] !== true) complain(`verify of ${member.name}: ${JSON.stringify(verified).slice(0, 400)}`);
    const status = await member.ask('status');
    if (status['pending'] !== 0 || !isEmpty(status['conflicts']) || !isEmpty(status['problems']))
      complain(`idle, but status of ${member.name} says ${JSON.stringify(status).slice(0, 600)}`);
  }
}
const isEmpty = (value: unknown): boolean => Array.isArray(value) && value.length === 0;

// ── the reader beside it ────────────────────────────────────────────────────────────────────────────────────────────

interface Sampler {
  look(): { readonly name: string; readonly tree: Tree }[];
  stop(): void;
  count(): number;
}

/** Reads the folders all the time, as any program might: every file is absent or whole (invariants 3 and 8). */
function createSampler(fleet: Fleet, ledger: Ledger, complain: (text: string) => void): Sampler {
  const eye = createEye();
  let samples = 0;
  const judged = new Set<string>();
  const look = (): { name: string; tree: Tree }[] =>
    fleet.members.map(({ name, dir }) => {
      const tree = eye.look(dir);
      samples += 1;
      for (const [path, thing] of tree) {
        const key = `${name}/${path} ${thing.stamps}`;
        if (thing.content === null || judged.has(key)) continue;
        judged.add(key);
        const wrong = inventionIn(path, thing, ledger);
        if (wrong !== null) complain(`at ${name}: ${wrong}`);
      }
      return { name, tree };
    });
  const timer = setInterval(look, sampleEveryMs);
  return { look, stop: () => clearInterval(timer), count: () => samples };
}

function keepEvidence(fleet: Fleet, trace: readonly string[]): void {
  writeFileSync(fleet.path('trace.txt'), `${trace.join('\n')}\n`);
  for (const member of fleet.members) {
    writeFileSync(
      join(fleet.path(), `${member.name}.events.jsonl`),
      member.told.map((event) => `${JSON.stringify(event)}\n`).join(''),
    );
    writeFileSync(join(fleet.path(), `${member.name}.stderr.txt`), member.stderr());
  }
  writeFileSync(fleet.path('relay.output.txt'), fleet.relay.output());
}
