/** Directories that come and go with events are no unheard loss (rule HINT). */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createSmallWorld, type Person, type SmallWorld } from './small-world.ts';

let world: SmallWorld;
let a: Person;
beforeEach(async () => {
  world = createSmallWorld();
  a = world.person('a');
  for (let index = 0; index < 300; index += 1) a.user.write(`build/${index}/out.txt`, `${index}\n`);
  a.user.write('src/main.txt', 'main\n');
  a.start();
  await world.quiet();
});
afterEach(async () => {
  await world.close();
});

test('directories that come and go with events, as those of a build, lead to no looks at everything', async () => {
  await world.clock.advance(60_000);
  let listsOfSource = 0;
  a.folder.before = ({ operation, path }) => {
    if (operation === 'list' && path === 'src') listsOfSource += 1;
  };
  const { sweepPeriodMs = 0 } = await a.peer.status();
  const seconds = 300;
  for (let round = 0; round < seconds; round += 1) {
    a.user.remove(`build/${round}`);
    a.user.write(`build/${300 + round}/out.txt`, `${300 + round}\n`);
    await world.clock.advance(1_000);
  }
  const sweeps = Math.ceil((seconds * 1_000) / sweepPeriodMs);
  // Nothing was lost: each directory is looked at once a sweep.
  expect(listsOfSource).toBeLessThanOrEqual(sweeps + 1);
});
