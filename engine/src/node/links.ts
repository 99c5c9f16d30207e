/**
 * The links of this machine: one directory below the home for each linked folder, with the facts in `link.json`.
 * What a damaged file would say is never guessed: it is reported, and the other links go on.
 *
 * A link that is there is changed field by field and never rewritten from what somebody remembers of it: whoever holds an old
 * copy would take back what another part has noted since. Within this process changes queue; between processes the folder's
 * lock keeps them apart (folder-lock.ts).
 */
import { readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import type { Link } from '../host-api.ts';
import { codeOf, type Home, makePrivateDirectory, readPrivateFile, writePrivateFile } from './home.ts';

/** Far more folders than one machine links; bounds what a start reads. */
const linksMax = 1_000;

const hex = (characters: number) => z.string().regex(new RegExp(`^[0-9a-f]{${characters}}$`));
const linkSchema = z.object({
  id: hex(16),
  dir: z.string().min(1),
  room: hex(64),
  urls: z.array(z.string()).min(1).max(16),
  relayKey: hex(64).nullable(),
  inviter: hex(64).nullable().default(null),
  name: z.string().min(1),
  policy: z.enum(['ask', 'keep-both', 'newest']),
  marker: z.string().min(1),
  rejoin: z.boolean(),
  leftAtMs: z.number().nullable().default(null),
  createdAt: z.string(),
});

/** A room that a folder of this machine was in. */
const leftSchema = z.array(z.object({ room: hex(64), dir: z.string(), atMs: z.number() }));
type Left = z.infer<typeof leftSchema>[number];
/** The oldest are forgotten. */
const leftMax = 200;

export interface DamagedLink {
  readonly path: string;
  readonly reason: string;
}
export interface LinkStore {
  /** In the order in which they were made. */
  all(): Promise<{ readonly links: readonly Link[]; readonly damaged: readonly DamagedLink[] }>;
  /** Directory of a link's state, made if missing. */
  directory(id: string): Promise<string>;
  /** Writes a new link. */
  create(link: Link): Promise<void>;
  /** Changes these fields, and no others, of a link that is there; resolves with the whole of it. Errors: none such, damaged. */
  update(id: string, fields: LinkFields): Promise<Link>;
  /** Removes the link with all its state and keys. */
  remove(id: string): Promise<void>;
  /** Remembers when a folder left a room: see `leftAtMs`. */
  noteLeft(left: Left): Promise<void>;
  /** When the folder at `dir` last left `room`, as far as this home remembers. */
  leftAtMs(room: string, dir: string): Promise<number | null>;
}
/** What becomes known, or is decided, after a link was made. */
export type LinkFields = Partial<Pick<Link, 'urls' | 'relayKey' | 'inviter' | 'rejoin'>>;

export function createLinkStore(home: Home): LinkStore {
  const directoryOf = (id: string): string => join(home.foldersPath, id);
  const fileOf = (id: string): string => join(directoryOf(id), 'link.json');
  const leftPath = join(home.path, 'left-rooms.json');
  const write = (link: Link): Promise<void> => writePrivateFile(fileOf(link.id), `${JSON.stringify(link, null, 2)}\n`);
  let lastChange: Promise<unknown> = Promise.resolve();
  const inTurn = <Value>(change: () => Promise<Value>): Promise<Value> => {
    const changed = lastChange.then(change);
    lastChange = changed.catch(() => undefined);
    return changed;
  };
  /** Only a convenience: what cannot be read is as if nothing were remembered. */
  const readLeft = async (): Promise<readonly Left[]> => {
    try {
      return leftSchema.parse(JSON.parse((await readPrivateFile(leftPath)) ?? '[]'));
    } catch {
      return [];
    }
  };

  return {
    async all() {
      const links: Link[] = [];
      const damaged: DamagedLink[] = [];
      const names = (await readdir(home.foldersPath)).filter((name) => /^[0-9a-f]{16}$/.test(name)).sort();
      for (const name of names.slice(0, linksMax)) {
        const path = fileOf(name);
        const text = await readPrivateFile(path);
        // No link.json: killed before `create` finished, or in the middle of `remove`. There is no such link.
        if (text === undefined) continue;
        const parsed = parseLink(text);
        if (typeof parsed === 'string') damaged.push({ path, reason: parsed });
        else links.push(parsed);
      }
      return { links: links.sort((a, b) => (a.createdAt < b.createdAt ? -1 : 1)), damaged };
    },
    async directory(id) {
      await makePrivateDirectory(directoryOf(id));
      return directoryOf(id);
    },
    create: (link) =>
      inTurn(async () => {
        await makePrivateDirectory(directoryOf(link.id));
        await write(link);
      }),
    update: (id, fields) =>
      inTurn(async () => {
        const known = parseLink((await readPrivateFile(fileOf(id))) ?? '');
        if (typeof known === 'string') throw new Error(`${fileOf(id)} ${known}`);
        const next = { ...known, ...fields };
        if (!isDeepStrictEqual(next, known)) await write(next);
        return next;
      }),
    async remove(id) {
      // Renamed first, so that a kill in the middle never leaves half a link.
      const leaving = `${directoryOf(id)}.unlinked`;
      await rm(leaving, { recursive: true, force: true });
      try {
        await rename(directoryOf(id), leaving);
      } catch (error) {
        if (codeOf(error) !== 'ENOENT') throw error;
      }
      await rm(leaving, { recursive: true, force: true });
    },
    noteLeft: (left) =>
      inTurn(async () => {
        const others = (await readLeft()).filter(({ room, dir }) => room !== left.room || dir !== left.dir);
        await writePrivateFile(leftPath, `${JSON.stringify([...others, left].slice(-leftMax))}\n`);
      }),
    leftAtMs: async (room, dir) =>
      (await readLeft()).find((left) => left.room === room && left.dir === dir)?.atMs ?? null,
  };
}

function parseLink(text: string): Link | string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return 'is not JSON';
  }
  const parsed = linkSchema.safeParse(value);
  return parsed.success ? parsed.data : z.prettifyError(parsed.error);
}
