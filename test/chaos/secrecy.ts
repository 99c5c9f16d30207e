/**
 * Nothing readable at the relay (invariant 13, S12): marker strings in names, contents, link targets and device names are
 * looked for in its files, its output, its memory and on the wire. The same search must find them in a peer's memory:
 * otherwise it would prove nothing.
 */
import {
  chmodSync,
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { createFleet, type Fleet } from './fleet.ts';
import { createEye, differences } from './judge.ts';

export interface SecrecyReport {
  readonly markers: number;
  readonly forms: number;
  readonly bytesOfFiles: number;
  readonly bytesOfMemory: number;
  readonly bytesOfOutput: number;
  readonly bytesOnWire: number;
  /** Where which marker was readable. Must be empty. */
  readonly found: readonly string[];
  /** Markers that the same search found in the memory of a peer. Must be more than none. */
  readonly foundInPeer: number;
}

const markerOf = (what: string): string => `MARKER-${what}-q7Zx93kVt1`;
const markers = {
  device: markerOf('device'),
  fileName: markerOf('file'),
  folderName: markerOf('folder'),
  content: markerOf('content'),
  bigContent: markerOf('big-content'),
  link: markerOf('link'),
  target: markerOf('target'),
  renamed: markerOf('renamed'),
  removed: markerOf('removed'),
  conflict: markerOf('conflict'),
} as const;

export async function secrecy(options: { readonly program?: string } = {}): Promise<SecrecyReport> {
  const wireHits = new Set<string>();
  let bytesOnWire = 0;
  let tail = Buffer.alloc(0);
  const tap = (bytes: Uint8Array): void => {
    bytesOnWire += bytes.length;
    // Whatever is cut between two reads is searched with the next.
    const joined = Buffer.concat([tail, bytes]);
    for (const hit of hitsIn(joined)) wireHits.add(hit);
    tail = joined.subarray(-longestForm);
  };
  const fleet = await createFleet({
    names: ['a', 'b'],
    deviceNames: [`${markers.device}-a`, `${markers.device}-b`],
    tap,
    ...(options.program === undefined ? {} : { program: options.program }),
  });
  try {
    await work(fleet);
    const found = new Set([...wireHits].map((hit) => `on the wire: ${hit}`));
    let bytesOfMemory = 0;
    const memoryHits = searchMemory(idOf(fleet.relay.pid), (bytes) => (bytesOfMemory += bytes));
    for (const hit of memoryHits) found.add(`in the relay's memory: ${hit}`);
    const foundInPeer = searchMemory(idOf(fleet.members[0]?.pid), () => {});
    await fleet.relay.kill();
    let bytesOfFiles = 0;
    for (const directory of [fleet.relay.dataDir, fleet.relay.homeDir])
      for (const file of filesBelow(directory)) {
        const bytes = readFileSync(file);
        bytesOfFiles += bytes.length;
        for (const hit of [...hitsIn(bytes), ...hitsIn(Buffer.from(file))])
          found.add(`in ${file.slice(fleet.path().length + 1)}: ${hit}`);
      }
    const output = Buffer.from(fleet.relay.output());
    for (const hit of hitsIn(output)) found.add(`in the relay's output: ${hit}`);
    return {
      markers: Object.keys(markers).length,
      forms: forms.length,
      bytesOfFiles,
      bytesOfMemory,
      bytesOfOutput: output.length,
      bytesOnWire,
      found: [...found],
      foundInPeer: new Set([...foundInPeer].map((hit) => hit.split(' ')[0])).size,
    };
  } finally {
    await fleet.close({ keep: false });
  }
}

/** Saves, renames, deletions, a conflict, a big file, restarts: all that a relay ever gets to handle. */
async function work(fleet: Fleet): Promise<void> {
  const [a, b] = fleet.members;
  if (a === undefined || b === undefined) throw new Error('two members were started');
  const folder = join(a.dir, markers.folderName);
  mkdirSync(folder);
  writeFileSync(join(folder, `${markers.fileName}.txt`), `${markers.content}\n`.repeat(50));
  writeFileSync(join(folder, 'big.bin'), Buffer.alloc(3_000_000, `${markers.bigContent} ${'x'.repeat(100)}`));
  symlinkSync(markers.target, join(a.dir, markers.link));
  writeFileSync(join(a.dir, 'renamed.txt'), 'to be renamed\n');
  writeFileSync(join(a.dir, `${markers.removed}.txt`), 'to be removed\n');
  await untilEqual(fleet);
  renameSync(join(a.dir, 'renamed.txt'), join(a.dir, `${markers.renamed}.txt`));
  rmSync(join(a.dir, `${markers.removed}.txt`));
  chmodSync(join(folder, `${markers.fileName}.txt`), 0o755);
  await untilEqual(fleet);
  // Apart, on one path: a conflict. And a relay that was killed and is started again.
  await b.stop();
  writeFileSync(join(a.dir, `${markers.conflict}.txt`), `${markers.content} by a\n`);
  writeFileSync(join(b.dir, `${markers.conflict}.txt`), `${markers.content} by b\n`);
  await fleet.relay.kill();
  await fleet.relay.start();
  b.start();
  await untilEqual(fleet);
}

const equalMsMax = 60_000;

async function untilEqual(fleet: Fleet): Promise<void> {
  const eye = createEye();
  const startedMs = performance.now();
  for (let still = 0; still < 5; ) {
    if (performance.now() - startedMs > equalMsMax) throw new Error('the folders did not become equal');
    const isEqual = differences(fleet.members.map(({ name, dir }) => ({ name, tree: eye.look(dir) }))).length === 0;
    still = isEqual && fleet.members.every((member) => member.state() === 'idle') ? still + 1 : 0;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

interface Form {
  readonly name: string;
  readonly bytes: Buffer;
}
/** As UTF-8, as the two-byte strings of JavaScript, as hex, and as base64 at each of the three alignments. */
const forms: readonly Form[] = Object.entries(markers).flatMap(([name, marker]) => [
  { name: `${name} as text`, bytes: Buffer.from(marker) },
  { name: `${name} as UTF-16`, bytes: Buffer.from(marker, 'utf16le') },
  { name: `${name} as hex`, bytes: Buffer.from(Buffer.from(marker).toString('hex')) },
  ...[0, 1, 2].map((shift) => ({
    name: `${name} as base64`,
    bytes: Buffer.from(
      Buffer.from(`${'_'.repeat(shift)}${marker}`)
        .toString('base64')
        .slice(shift === 0 ? 0 : 4, -4),
    ),
  })),
]);
const longestForm = Math.max(...forms.map(({ bytes }) => bytes.length));

const hitsIn = (bytes: Buffer): string[] => forms.filter((form) => bytes.includes(form.bytes)).map(({ name }) => name);

function idOf(pid: number | undefined): number {
  if (pid === undefined) throw new Error('it does not run');
  return pid;
}

const blockBytes = 512 * 1024;

/** All readable memory of a process that was started here. */
function searchMemory(pid: number, onBytes: (bytes: number) => void): Set<string> {
  const found = new Set<string>();
  const handle = openSync(`/proc/${pid}/mem`, 'r');
  const buffer = Buffer.alloc(blockBytes);
  const untouched = Buffer.alloc(blockBytes);
  try {
    for (const line of readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n')) {
      const parsed = /^([0-9a-f]+)-([0-9a-f]+) (r\S+) .*?(\S*)$/.exec(line);
      if (parsed === null || parsed[4] === '[vvar]' || parsed[4] === '[vsyscall]') continue;
      const end = BigInt(`0x${parsed[2]}`);
      let kept = 0;
      for (let at = BigInt(`0x${parsed[1]}`); at < end; ) {
        const wanted = Math.min(buffer.length - kept, Number(end - at));
        let read: number;
        try {
          read = readSync(handle, buffer, kept, wanted, at);
        } catch {
          // A page that went away, or that no one may read.
          break;
        }
        if (read === 0) break;
        onBytes(read);
        const block = buffer.subarray(0, kept + read);
        // Most of what a process has reserved was never touched.
        if (!block.equals(untouched.subarray(0, block.length))) for (const hit of hitsIn(block)) found.add(hit);
        const from = Math.max(0, kept + read - longestForm);
        buffer.copyWithin(0, from, kept + read);
        kept = kept + read - from;
        at += BigInt(read);
      }
    }
  } finally {
    closeSync(handle);
  }
  return found;
}

function filesBelow(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
