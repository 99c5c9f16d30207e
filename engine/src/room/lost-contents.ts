/**
 * What the relay has lost: who misses it asks the others, and whoever holds it offers it to the relay again (rules GC5, LOG2).
 * Asks travel inside presences, sealed, and name contents by their digests, pieces of records by their ids, and a record by the id
 * of the one before it: its own id is not known where it cannot be read. The relay learns nothing from them but that somebody puts
 * what it lacked.
 *
 * Asking and answering are bounded: few asks a presence, each for a while only; one answer at a time, the same one rarely.
 */
import { type ChunkId, type Digest, limits, type RecordId } from '@driftless/protocol';
import type { PeerContext } from '../peer-context.ts';
import { SessionEnded } from '../ports/room-session.ts';
import { heldContent } from './held-content.ts';

/** An ask that was not renewed by another failure has been answered, or is nobody's matter any more. */
const askedForMs = 120_000;
const asksMax = 1_000;
/** Between two answers to the same ask. */
const answerEveryMs = 30_000;
const answersWaitingMax = 256;

export interface LostContents {
  /** This peer needs it, and the relay does not have it: a content's digest, the id of a clear chunk, or of the record before. */
  ask(id: Digest | ChunkId | RecordId): void;
  /** What the next presence asks for. */
  asks(): readonly string[];
  /** Another peer asks: what is here goes to the relay, beside the loop. */
  answer(asked: readonly string[]): void;
}

export function createLostContents(context: PeerContext, runBeside: (work: Promise<void>) => void): LostContents {
  const { contents } = context;
  const { store, clock, log } = context.parts;
  const askedAtMs = new Map<string, number>();
  const answeredAtMs = new Map<string, number>();
  const waiting: string[] = [];
  let isAnswering = false;

  function answer(asked: readonly string[]): void {
    const nowMs = clock.monotonicMs();
    for (const id of asked) {
      if (nowMs - (answeredAtMs.get(id) ?? Number.NEGATIVE_INFINITY) < answerEveryMs) continue;
      if (waiting.length >= answersWaitingMax) break;
      remember(answeredAtMs, id, nowMs);
      waiting.push(id);
    }
    if (waiting.length === 0 || isAnswering) return;
    isAnswering = true;
    runBeside(
      answerAll().finally(() => {
        isAnswering = false;
      }),
    );
  }

  async function answerAll(): Promise<void> {
    for (let id = waiting.shift(); id !== undefined && !context.signal.aborted; id = waiting.shift()) {
      try {
        if (context.refusals.mayTry('send')) await answerOne(id);
      } catch (error) {
        // Somebody asks again as long as it is missed.
        log.info('ask-not-answered', { reason: String(error) });
        if (error instanceof SessionEnded) waiting.length = 0;
      }
      await context.pause();
    }
  }

  async function answerOne(id: string): Promise<void> {
    const session = context.lastingSession();
    if (session === null) return;
    const content = store.contentByDigest(id as Digest);
    if (content === undefined) {
      const chunk = store.cachedChunk(id as ChunkId);
      if (chunk !== undefined) return contents.upload([chunk], session, context.signal);
      const record = store.cachedRecordAfter(id as RecordId);
      if (record !== undefined) await session.append(record, []);
      return;
    }
    const held = await heldContent(context, content, undefined);
    if (held.kind === 'chunks') return contents.upload(held.chunks, session, context.signal);
    await contents.uploadLarge(held.path, held.local, session, {
      signal: context.signal,
      evenIfKnown: true,
      onProgress: () => {},
    });
  }

  return {
    ask: (id) => remember(askedAtMs, id, clock.monotonicMs()),
    asks() {
      const oldestMs = clock.monotonicMs() - askedForMs;
      for (const [id, atMs] of askedAtMs)
        if (atMs < oldestMs || store.localFilesByDigest(id as Digest, 1).length > 0) askedAtMs.delete(id);
      return [...askedAtMs.keys()].slice(0, limits.presenceAsksMax);
    },
    answer,
  };
}

/** The oldest is forgotten first. */
function remember(times: Map<string, number>, id: string, nowMs: number): void {
  times.delete(id);
  times.set(id, nowMs);
  for (const oldest of times.keys()) {
    if (times.size <= asksMax) return;
    times.delete(oldest);
  }
}
