/**
 * `npm run chaos -- [--seed N] [--runs N] [--minutes N] [--peers 2|3] [--no-loss] [--quiet]`: the long torture (test/chaos),
 * with a fresh seed for each run, printed, so that a failure can be run again. The world of a failed run is kept.
 *
 * `npm run chaos -- --kill-transfers 50` kills processes in mid-transfer; `npm run chaos -- --secrecy` looks for readable
 * names and contents at the relay. Each prints its figures as one JSON line.
 */
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { killTransfers } from '../test/chaos/kill-transfers.ts';
import { secrecy } from '../test/chaos/secrecy.ts';
import { torture } from '../test/chaos/torture.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    runs: { type: 'string', default: '1000' },
    minutes: { type: 'string', default: '10' },
    episodes: { type: 'string', default: '8' },
    steps: { type: 'string', default: '40' },
    peers: { type: 'string' },
    'no-loss': { type: 'boolean', default: false },
    quiet: { type: 'boolean', default: false },
    program: { type: 'string' },
    'kill-transfers': { type: 'string' },
    secrecy: { type: 'boolean', default: false },
  },
});
const program = values.program === undefined ? {} : { program: values.program };

if (values['kill-transfers'] !== undefined) {
  const seed = values.seed === undefined ? randomInt(2 ** 31) : Number(values.seed);
  const report = await killTransfers({ seed, kills: Number(values['kill-transfers']), ...program, say: console.log });
  console.log(JSON.stringify({ seed, ...report }));
  process.exit(report.complaints.length === 0 ? 0 : 1);
}
if (values.secrecy) {
  const report = await secrecy(program);
  console.log(JSON.stringify(report));
  process.exit(report.found.length === 0 && report.foundInPeer > 0 ? 0 : 1);
}

const endMs = performance.now() + Number(values.minutes) * 60_000;
let failed = 0;
let passed = 0;
for (let run = 0; run < Number(values.runs) && performance.now() < endMs; run += 1) {
  const seed = values.seed === undefined ? randomInt(2 ** 31) : Number(values.seed) + run;
  const peers = values.peers === undefined ? (seed % 2 === 0 ? 2 : 3) : values.peers === '2' ? 2 : 3;
  const loss = !values['no-loss'] && seed % 4 < 2;
  console.log(`seed ${seed}: ${peers} peers${loss ? ', with loss of data and state' : ''}`);
  const report = await torture({
    seed,
    peers,
    loss,
    episodes: Number(values.episodes),
    stepsPerEpisode: Number(values.steps),
    bigBytes: [1_500_000, 6_000_000],
    msMax: endMs - performance.now(),
    ...program,
    say: values.quiet ? () => {} : (line) => console.log(line),
  });
  const { episodes, deeds, samples, copies, quietMsMax, faults, complaints, world } = report;
  console.log(
    JSON.stringify({ seed, episodes, deeds, samples, copies, quietMsMax, faults, complaints: complaints.length }),
  );
  if (complaints.length === 0) passed += 1;
  else {
    failed += 1;
    for (const complaint of complaints) console.log(`  ${complaint}`);
    console.log(`  kept: ${world}`);
  }
}
console.log(`${passed} runs passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
