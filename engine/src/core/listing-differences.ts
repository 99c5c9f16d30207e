/**
 * What a directory's listing and the rows of the last scan tell apart, by stamps alone (rules HINT, TREE). A difference is a request to
 * scan and nothing more: nothing is concluded from it. Pure.
 */
import { isRelPath, type RelPath } from '@driftless/protocol';
import type { Stat } from '../ports/folder.ts';
import { fingerprintOf, racyWindowMs } from './fingerprint.ts';
import { isIgnored, type Row } from './row.ts';

export interface ListingFacts {
  readonly directory: RelPath | '';
  readonly entries: readonly { readonly name: string; readonly stat: Stat }[];
  /** Names that were listed and could not be examined. */
  readonly problems: readonly { readonly name: string }[];
  /** What the last scan knows directly in the directory. */
  readonly rows: readonly Row[];
  readonly fileBytesMax: number;
  readonly nowMs: number;
}

export interface ListingDifferences {
  readonly paths: readonly RelPath[];
  /** The last scan saw them, and they are not listed. */
  readonly gone: readonly RelPath[];
  /** Stamps do not tell: a link's target, whether something can be read by now. */
  readonly uncertain: readonly RelPath[];
  /** Directories that take part. */
  readonly subdirectories: readonly RelPath[];
  /** Changed so lately that stamps prove nothing yet. */
  readonly isFresh: boolean;
}

type Verdict = 'same' | 'differs' | 'uncertain' | 'fresh' | 'directory';

export function listingDifferences(facts: ListingFacts): ListingDifferences {
  const { directory, entries, problems, rows } = facts;
  const rowsByPath = new Map(rows.map((row) => [row.path, row]));
  const paths: RelPath[] = [];
  const uncertain: RelPath[] = [];
  const subdirectories: RelPath[] = [];
  let isFresh = false;
  const listed = new Set<string>();
  const pathOf = (name: string): string => (directory === '' ? name : `${directory}/${name}`);

  for (const { name } of problems) listed.add(pathOf(name));
  for (const { name, stat } of entries) {
    const path = pathOf(name);
    listed.add(path);
    if (!isRelPath(path)) continue;
    switch (verdictOf(stat, rowsByPath.get(path), facts)) {
      case 'differs':
        paths.push(path);
        break;
      case 'uncertain':
        uncertain.push(path);
        break;
      case 'fresh':
        isFresh = true;
        break;
      case 'directory':
        subdirectories.push(path);
        break;
      case 'same':
        break;
    }
  }
  const gone = rows.filter((row) => !listed.has(row.path) && shouldBeThere(row)).map(({ path }) => path);
  return { paths, gone, uncertain, subdirectories, isFresh };
}

function verdictOf(stat: Stat, row: Row | undefined, facts: ListingFacts): Verdict {
  // Whatever a scan saw has a row, also when it takes no part.
  if (row === undefined) return 'differs';
  switch (row.outOfScope) {
    case null:
      return verdictInScope(stat, row, facts);
    case 'too-large':
      return stat.kind === 'file' && stat.size > facts.fileBytesMax ? 'same' : 'differs';
    case 'special-file':
      return stat.kind === 'file' ? 'differs' : 'same';
    case 'directory-of-out-of-scope':
      return stat.kind === 'directory' ? 'directory' : 'differs';
    case 'unreadable':
      return 'uncertain';
    default:
      return 'same';
  }
}

function verdictInScope(stat: Stat, { local }: Row, { nowMs }: ListingFacts): Verdict {
  if (local === null || local.kind !== stat.kind) return 'differs';
  if (local.kind === 'directory') return 'directory';
  if (local.kind === 'symlink') return 'uncertain';
  if (local.fingerprint !== fingerprintOf(stat)) return 'differs';
  if (!local.racy) return 'same';
  // Read once more when its stamps can prove something.
  const changedMs = Number((stat.ctimeNs > stat.mtimeNs ? stat.ctimeNs : stat.mtimeNs) / 1_000_000n);
  return Math.abs(nowMs - changedMs) <= racyWindowMs ? 'fresh' : 'differs';
}

function shouldBeThere({ outOfScope, local }: Row): boolean {
  if (outOfScope === null) return local !== null;
  // What is ignored, or cannot be held here, is often in the room alone.
  return !isIgnored(outOfScope) && outOfScope !== 'unstorable' && outOfScope !== 'invalid-name';
}

/**
 * A number that another listing shares by chance once in 2^53: equal numbers need no comparison with the rows. Times of
 * directories are left out, since what lies in them is looked at anyway.
 */
export function listingSignature(entries: ListingFacts['entries'], problems: ListingFacts['problems']): number {
  let high = 0xdeadbeef;
  let low = 0x41c6ce57;
  const add = (text: string): void => {
    for (let index = 0; index < text.length; index += 1) {
      const code = text.charCodeAt(index);
      high = Math.imul(high ^ code, 2_654_435_761);
      low = Math.imul(low ^ code, 1_597_334_677);
    }
    high = Math.imul(high ^ 0x10000, 2_654_435_761);
    low = Math.imul(low ^ 0x10000, 1_597_334_677);
  };
  for (const { name, stat } of entries) {
    add(name);
    add(stat.kind === 'directory' ? `/${stat.inode}` : `${stat.kind}${fingerprintOf(stat)}`);
  }
  for (const { name } of problems) add(`?${name}`);
  high = Math.imul(high ^ (high >>> 16), 2_246_822_507) ^ Math.imul(low ^ (low >>> 13), 3_266_489_909);
  low = Math.imul(low ^ (low >>> 16), 2_246_822_507) ^ Math.imul(high ^ (high >>> 13), 3_266_489_909);
  return 4_294_967_296 * (2_097_151 & low) + (high >>> 0);
}
