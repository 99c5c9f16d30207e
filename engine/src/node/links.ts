/**
 * The links of this machine: one directory below the home for each linked folder, with the facts in `link.json`.
 * What a damaged file would say is never guessed: it is reported, and the other links go on.
 */
import { readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
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
  name: z.string().min(1),
  policy: z.enum(['ask', 'keep-both', 'newest']),
  marker: z.string().min(1),
  rejoin: z.boolean(),
  createdAt: z.string(),
});

export interface DamagedLink {
  readonly path: string;
  readonly reason: string;
}
export interface LinkStore {
  /** In the order in which they were made. */
  all(): Promise<{ readonly links: readonly Link[]; readonly damaged: readonly DamagedLink[] }>;
  /** Directory of a link's state, made if missing. */
  directory(id: string): Promise<string>;
  put(link: Link): Promise<void>;
  /** Removes the link with all its state and keys. */
  remove(id: string): Promise<void>;
}

export function createLinkStore(home: Home): LinkStore {
  const directoryOf = (id: string): string => join(home.foldersPath, id);

  return {
    async all() {
      const links: Link[] = [];
      const damaged: DamagedLink[] = [];
      const names = (await readdir(home.foldersPath)).filter((name) => /^[0-9a-f]{16}$/.test(name)).sort();
      for (const name of names.slice(0, linksMax)) {
        const path = join(directoryOf(name), 'link.json');
        const text = await readPrivateFile(path);
        // No link.json: killed before `put` finished, or in the middle of `remove`. There is no such link.
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
    async put(link) {
      await makePrivateDirectory(directoryOf(link.id));
      await writePrivateFile(join(directoryOf(link.id), 'link.json'), `${JSON.stringify(link, null, 2)}\n`);
    },
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
