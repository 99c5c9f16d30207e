/** A loss in a place without a watch costs a look at such places (rule HINT). */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createSmallWorld, type Person, type SmallWorld } from './small-world.ts';

let world: SmallWorld;
let a: Person;
beforeEach(async () => {
  world = createSmallWorld();
  a = world.person('a');
  for (let index = 0; index < 20; index += 1) a.user.write(`cache/${index}.bin`, `${index}\n`);
  a.user.write('src/main.txt', 'main\n');
  a.watcher.refuse('cache', 'too few watches');
  a.start();
  await world.quiet();
});
afterEach(async () => {
  await world.close();
});

test('what goes in one place that is not watched costs a look at that place', async () => {
  await world.clock.advance(60_000);
  const { onHint } = a.memory;
  a.memory.onHint = (hint) => {
    if (hint.path !== '' && !hint.path.startsWith('cache')) onHint(hint);
  };
  let listsOfSource = 0;
  a.folder.before = ({ operation, path }) => {
    if (operation === 'list' && path === 'src') listsOfSource += 1;
  };
  const { sweepPeriodMs = 0 } = await a.peer.status();
  const minutes = 5;
  for (let round = 0; round < minutes * 12; round += 1) {
    a.user.remove(`cache/${round}.bin`);
    a.user.write(`cache/${20 + round}.bin`, `${20 + round}\n`);
    await world.clock.advance(5_000);
  }
  const sweeps = Math.ceil((minutes * 60_000) / sweepPeriodMs);
  expect(listsOfSource).toBeLessThanOrEqual(sweeps + 1);
});
