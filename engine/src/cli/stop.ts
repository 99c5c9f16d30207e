/**
 * When a command that runs until told otherwise ends: SIGINT, SIGTERM, or the end of the channel to the process that started
 * it (a child of `npm start` never outlives it). Ending is clean and bounded: what does not close in time is left to the
 * crash safety that the peer has anyway.
 */
import type { Output } from './output.ts';

/** Anything that watches over us kills after 5 s or more. */
const closeMsMax = 4_500;
/** A terminal's Ctrl-C reaches a whole group, and a parent passes it on as well: only a later one is a second wish. */
const secondWishMsMin = 1_000;

export interface Stop {
  readonly wished: Promise<void>;
  /** Asks for the end from inside. */
  wish(): void;
  /** Runs `close`, bounded. */
  finish(close: () => Promise<void>): Promise<void>;
}

export function createStop(output: Output): Stop {
  let wishedAtMs: number | undefined;
  const { promise: wished, resolve } = Promise.withResolvers<void>();
  const wish = (): void => {
    const nowMs = performance.now();
    if (wishedAtMs === undefined) {
      wishedAtMs = nowMs;
      resolve();
    } else if (nowMs - wishedAtMs > secondWishMsMin) {
      process.exit(1);
    }
  };
  process.on('SIGINT', wish);
  process.on('SIGTERM', wish);
  if (process.connected) process.on('disconnect', wish);

  return {
    wished,
    wish,
    async finish(close) {
      const giveUp = setTimeout(() => {
        output.warn('driftless: closing takes too long and is cut short; nothing is lost');
        process.exit(0);
      }, closeMsMax);
      await close();
      clearTimeout(giveUp);
      if (process.connected) process.disconnect();
    },
  };
}
