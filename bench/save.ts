/**
 * How long a save takes to arrive, and whether that grows with the folder: two peers and a relay in this process, over real
 * sockets and real folders, at two folder sizes in one run.
 *
 *   node bench/save.ts [smallFiles] [largeFiles] [saves]
 */
import { createWorld, type Person } from '../test/scenario/world.ts';

const [smallFiles = 100, largeFiles = 10_000, saves = 100] = process.argv.slice(2).map(Number);

const filesOf = (count: number): Record<string, string> =>
  Object.fromEntries(
    Array.from({ length: count }, (_, index) => [
      `dir${index % 100}/file${index}.ts`,
      `export const value${index} = ${index};\n`.repeat(20),
    ]),
  );

async function measure(files: number): Promise<number[]> {
  const world = await createWorld();
  try {
    const a = await world.share('a', { files: filesOf(files) });
    const b = await world.join('b', a.invite);
    await world.settled(a, b);
    const times: number[] = [];
    for (let save = 0; save < saves; save += 1)
      times.push(await saveOnce(a, b, `dir${save % 100}/file${save % files}.ts`, save));
    return times.sort((x, y) => x - y);
  } finally {
    await world.close();
  }
}

async function saveOnce(a: Person, b: Person, file: string, save: number): Promise<number> {
  const from = b.events.length;
  const startMs = performance.now();
  a.write(file, `export const saved = ${save};\n`);
  await b.until('the save', () =>
    b.events.slice(from).some((event) => event.event === 'applied' && event.path === file),
  );
  const tookMs = performance.now() - startMs;
  // Beyond the limit of ten records a second each save would measure its own wait.
  await new Promise((resolve) => setTimeout(resolve, 120));
  return tookMs;
}

const at = (sorted: readonly number[], part: number): number =>
  Number((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0).toFixed(1));
const small = await measure(smallFiles);
const large = await measure(largeFiles);
console.log(
  JSON.stringify({
    bench: 'save',
    saves,
    smallFiles,
    smallMsP50: at(small, 0.5),
    smallMsP95: at(small, 0.95),
    largeFiles,
    largeMsP50: at(large, 0.5),
    largeMsP95: at(large, 0.95),
    largePerSmallP50: Number((at(large, 0.5) / at(small, 0.5)).toFixed(2)),
  }),
);
