/**
 * The text in a root's `.driftless/marker`: which room the folder is in and which link wrote it. A peer halts when it finds
 * another text than its own (D4); a join that finds its room there is a re-join (rule TOMB); a copied folder carries the
 * marker of the root that it was copied from (rule CLONE).
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseRoomId, type RoomId } from '@driftless/protocol';
import { z } from 'zod';

export interface Marker {
  readonly room: RoomId;
  /** Random, new with every link. */
  readonly link: string;
}

const markerSchema = z.object({ room: z.string(), link: z.string() });

export const markerText = (marker: Marker): string => `${JSON.stringify({ room: marker.room, link: marker.link })}\n`;

/** undefined when it is no marker of ours. */
export function parseMarker(text: string): Marker | undefined {
  try {
    const parsed = markerSchema.parse(JSON.parse(text));
    const room = parseRoomId(parsed.room);
    return room === undefined ? undefined : { room, link: parsed.link };
  } catch {
    return undefined;
  }
}

/** The marker below `dir`; undefined when there is none that can be read. */
export async function readMarker(dir: string): Promise<Marker | undefined> {
  try {
    return parseMarker(await readFile(join(dir, '.driftless', 'marker'), 'utf8'));
  } catch {
    // Absent, a directory, unreadable: the peer itself looks again, with reasons, before it touches anything.
    return undefined;
  }
}
