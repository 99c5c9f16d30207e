/**
 * One connection to a relay and the loop that keeps it up (W6, W10, W13):
 *
 *   waiting ──backoff or nudge──▶ connecting ──▶ open ──closed──▶ waiting
 *
 * Addresses are tried in order within one attempt. While open: a ping every 2 s; silence of 5 s is "not answering", which
 * rooms show; 30 s without progress either way ends the connection. Any incoming byte counts as a sign of life, so that a
 * slow link in the middle of a big frame lives. Bulk frames wait while much is queued in the socket: small ones overtake.
 */
import assert from 'node:assert/strict';
import { decodeFrame, encodeFrame, limits, type Message } from '@driftless/protocol';
import { backoffDelayMs, reconnectBackoff } from './core/backoff.ts';
import { isLinkTrouble, meaningOf, withDetail } from './core/refusal.ts';
import type { Clock, Timer } from './ports/clock.ts';
import type { Log } from './ports/log.ts';
import type { Random } from './ports/random.ts';
import type { Connection, ConnectionRefusal, Transport } from './ports/transport.ts';

export const timing = {
  pingEveryMs: 2_000,
  offlineAfterMs: 5_000,
  /** A timer later than this means that this process was asleep or busy: what arrived meanwhile is read first. */
  timerLateMs: 1_000,
  dropAfterMs: 30_000,
  connectMsMax: 15_000,
  /** A connection that lived this long was a success: the next retry is fast again. */
  successAfterMs: 5_000,
  /** Nudges come with every local change; attempts do not. */
  attemptSpacingMs: 500,
} as const;

/** What waits in the socket in front of a small frame. */
const socketBytesMax = 512 * 1024;

/** A room on this connection. */
export interface ConnectedRoom {
  /** The connection is open; say hello on this channel. */
  onConnected(channel: number): void;
  onMessage(message: Message, frame: Uint8Array): void;
  /** The connection ended or could not be made, perhaps because the relay does not want it; requests under way are lost. */
  onDisconnected(reason: string, refusal?: ConnectionRefusal): void;
  onSilent(reason: string): void;
  onResponsive(): void;
  onNudge(): void;
  /** False while it waits before it tries again by itself: no need to connect for it. */
  readonly wantsConnection: boolean;
  /** Called when the room is closed while the connection stays. */
  onDetached(): void;
}

export interface RelayConnection {
  readonly key: string;
  readonly roomCount: number;
  readonly responsive: boolean;
  readonly socketBytes: number;
  attach(room: ConnectedRoom): () => void;
  nudge(room: ConnectedRoom): void;
  /** A room wants the connection again after `wantsConnection` was false. */
  wake(): void;
  /** Returns the frame's bytes as sent. Only while connected. */
  send(channel: number, message: Message): Uint8Array;
  /** Sent when the socket has room. */
  sendBulk(channel: number, message: Message): void;
  /** Ends the connection because of what the server did; it is made again after backoff. */
  fail(reason: string): void;
  /** The server proved that it is a relay. */
  confirm(): void;
  close(): Promise<void>;
}

export interface RelayConnectionOptions {
  readonly key: string;
  readonly urls: readonly string[];
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

interface OpenState {
  readonly kind: 'open';
  readonly url: string;
  readonly connection: Connection;
  readonly sinceMs: number;
  readonly bulk: { readonly channel: number; readonly message: Message }[];
  lastReceivedMs: number;
  lastProgressMs: number;
  lastBufferedBytes: number;
  responsive: boolean;
  confirmed: boolean;
  pumping: boolean;
  /** Why we close it, when it is we who do. */
  failure: string | undefined;
  refusal: ConnectionRefusal | undefined;
  pingTimer: Timer;
  silenceTimer: Timer;
}
type State =
  | { readonly kind: 'idle' }
  | { readonly kind: 'waiting'; readonly timer: Timer }
  | { readonly kind: 'connecting'; readonly connection: Connection; readonly timer: Timer }
  | OpenState
  | { readonly kind: 'closed' };

export function createRelayConnection(options: RelayConnectionOptions): RelayConnection {
  const { key, urls, transport, clock, random, log } = options;
  const rooms = new Map<number, ConnectedRoom>();
  let state: State = { kind: 'idle' };
  let failures = 0;
  let lastAttemptMs = Number.NEGATIVE_INFINITY;
  let onClosed: (() => void) | undefined;

  // ── the cycle ──

  function connectWhenWanted(): void {
    if (state.kind !== 'idle' || ![...rooms.values()].some((room) => room.wantsConnection)) return;
    const spacingMs = lastAttemptMs + timing.attemptSpacingMs - clock.monotonicMs();
    if (spacingMs > 0) waitThenConnect(spacingMs);
    else connect(0, []);
  }

  /** Ends a backoff; attempts keep their spacing. */
  function hurry(): void {
    if (state.kind === 'waiting') {
      state.timer.cancel();
      state = { kind: 'idle' };
    }
    connectWhenWanted();
  }

  function waitThenConnect(delayMs: number): void {
    const timer = clock.after(delayMs, () => {
      state = { kind: 'idle' };
      connectWhenWanted();
    });
    state = { kind: 'waiting', timer };
  }

  function connect(index: number, reasons: readonly string[], refusedBefore?: ConnectionRefusal): void {
    const url = urls[index];
    if (url === undefined) {
      disconnected(reasons.length > 0 ? reasons.join('; ') : 'no relay address is known', refusedBefore);
      return;
    }
    lastAttemptMs = clock.monotonicMs();
    let timedOut = false;
    const connection: Connection = transport.connect(url, {
      onOpen: () => {
        if (state.kind === 'connecting' && state.connection === connection) opened(url, connection);
      },
      onActivity: () => received(connection),
      onFrame: (bytes) => frameArrived(connection, bytes),
      onClose: ({ reason, refusal }) => {
        if (state.kind === 'connecting' && state.connection === connection) {
          state.timer.cancel();
          state = { kind: 'idle' };
          const why = timedOut ? `no answer from ${url}` : `cannot reach ${url}: ${reason}`;
          connect(index + 1, [...reasons, why], refusedBefore ?? refusal);
        } else if (state.kind === 'open' && state.connection === connection) {
          lost(state, `connection to ${url} ended: ${state.failure ?? (reason || 'closed by the relay')}`, refusal);
        } else if (state.kind === 'closed') {
          onClosed?.();
        }
      },
    });
    const timer = clock.after(timing.connectMsMax, () => {
      timedOut = true;
      connection.close();
    });
    state = { kind: 'connecting', connection, timer };
  }

  function opened(url: string, connection: Connection): void {
    assert(state.kind === 'connecting');
    state.timer.cancel();
    const nowMs = clock.monotonicMs();
    state = {
      kind: 'open',
      url,
      connection,
      sinceMs: nowMs,
      bulk: [],
      lastReceivedMs: nowMs,
      lastProgressMs: nowMs,
      lastBufferedBytes: 0,
      responsive: true,
      confirmed: false,
      pumping: false,
      failure: undefined,
      refusal: undefined,
      pingTimer: clock.after(timing.pingEveryMs, () => beat(connection)),
      silenceTimer: watchSilence(connection, timing.offlineAfterMs),
    };
    log.debug('relay-connected', { url });
    for (const [channel, room] of [...rooms]) {
      if (room.wantsConnection && isOpen(connection)) room.onConnected(channel);
    }
  }

  function lost(open: OpenState, reason: string, refusal?: ConnectionRefusal): void {
    stopTimers(open);
    const success = open.confirmed && clock.monotonicMs() - open.sinceMs >= timing.successAfterMs;
    if (success) failures = 0;
    state = { kind: 'idle' };
    disconnected(reason, open.refusal ?? refusal);
  }

  /** Backs off before anybody is told, so that a nudge from within their answer finds the waiting state. */
  function disconnected(reason: string, refusal?: ConnectionRefusal): void {
    const delayMs = backoffDelayMs(failures, random.fraction(), reconnectBackoff);
    failures += 1;
    log.debug('relay-disconnected', { reason, retryInMs: Math.round(delayMs) });
    waitThenConnect(delayMs);
    for (const room of [...rooms.values()]) room.onDisconnected(reason, refusal);
  }

  // ── signs of life ──

  function received(connection: Connection): void {
    if (state.kind !== 'open' || state.connection !== connection) return;
    const nowMs = clock.monotonicMs();
    state.lastReceivedMs = nowMs;
    state.lastProgressMs = nowMs;
    if (state.responsive) return;
    state.responsive = true;
    state.silenceTimer.cancel();
    state.silenceTimer = watchSilence(connection, timing.offlineAfterMs);
    for (const room of [...rooms.values()]) room.onResponsive();
  }

  function watchSilence(connection: Connection, delayMs: number): Timer {
    const dueMs = clock.monotonicMs() + delayMs;
    return clock.after(delayMs, () => {
      if (state.kind !== 'open' || state.connection !== connection || !state.responsive) return;
      const nowMs = clock.monotonicMs();
      const leftMs = state.lastReceivedMs + timing.offlineAfterMs - nowMs;
      if (leftMs > 0) state.silenceTimer = watchSilence(connection, leftMs);
      else if (nowMs - dueMs > timing.timerLateMs) state.silenceTimer = watchSilence(connection, timing.timerLateMs);
      else {
        state.responsive = false;
        for (const room of [...rooms.values()]) room.onSilent('the relay is not answering');
      }
    });
  }

  function beat(connection: Connection): void {
    if (state.kind !== 'open' || state.connection !== connection) return;
    const nowMs = clock.monotonicMs();
    const bufferedBytes = connection.bufferedBytes();
    if (bufferedBytes < state.lastBufferedBytes) state.lastProgressMs = nowMs;
    if (nowMs - state.lastProgressMs >= timing.dropAfterMs) {
      fail('no progress for 30 s');
      return;
    }
    // While nothing leaves, further pings would only pile up.
    if (bufferedBytes <= socketBytesMax) sendOn(connection, 0, { kind: 'ping', token: 0 });
    state.lastBufferedBytes = connection.bufferedBytes();
    state.pingTimer = clock.after(timing.pingEveryMs, () => beat(connection));
  }

  function stopTimers(open: OpenState): void {
    open.pingTimer.cancel();
    open.silenceTimer.cancel();
  }

  // ── frames ──

  function frameArrived(connection: Connection, bytes: Uint8Array): void {
    if (state.kind !== 'open' || state.connection !== connection || state.failure !== undefined) return;
    received(connection);
    const decoded = decodeFrame(bytes);
    if (!decoded.ok) {
      if (decoded.error.kind === 'unknown-optional') return;
      if (!state.confirmed) fail('what answers there is not a Driftless relay');
      else if (decoded.error.kind === 'unknown-critical') fail('the relay speaks a newer protocol; update Driftless');
      else fail(`the relay sent a broken frame (${decoded.error.reason})`);
      return;
    }
    const { channel, message } = decoded.value;
    if (channel === 0) connectionMessage(message);
    // A channel that was left may still have answers under way.
    else rooms.get(channel)?.onMessage(message, bytes);
  }

  function connectionMessage(message: Message): void {
    if (message.kind === 'pong') return;
    if (message.kind === 'channelError') {
      // Until a room was let in, anybody may have written it (rule SHOWN).
      const detail = state.kind === 'open' && state.confirmed ? message.detail : '';
      if (state.kind === 'open' && !isLinkTrouble(message.code)) state.refusal = { code: message.code, detail };
      fail(withDetail(meaningOf(message.code), detail));
    } else fail('the relay sent a message that has no place');
  }

  function sendOn(connection: Connection, channel: number, message: Message): Uint8Array {
    const bytes = encodeFrame({ channel, message });
    connection.send(bytes);
    return bytes;
  }

  function send(channel: number, message: Message): Uint8Array {
    assert(state.kind === 'open');
    // After fail() the socket is on its way down: what is sent goes nowhere, and onDisconnected follows.
    if (state.failure !== undefined) return encodeFrame({ channel, message });
    return sendOn(state.connection, channel, message);
  }

  /** Bounded by the transfer windows of the rooms. */
  function sendBulk(channel: number, message: Message): void {
    assert(state.kind === 'open');
    state.bulk.push({ channel, message });
    void pump(state);
  }

  async function pump(open: OpenState): Promise<void> {
    if (open.pumping) return;
    open.pumping = true;
    for (let next = open.bulk.shift(); next !== undefined; next = open.bulk.shift()) {
      await open.connection.drained(socketBytesMax / 2);
      if (state !== open || open.failure !== undefined) return;
      // A room that left took its answers with it.
      if (rooms.has(next.channel)) sendOn(open.connection, next.channel, next.message);
    }
    open.pumping = false;
  }

  function fail(reason: string): void {
    if (state.kind !== 'open' || state.failure !== undefined) return;
    state.failure = reason;
    stopTimers(state);
    state.connection.close();
  }

  function isOpen(connection: Connection): boolean {
    return state.kind === 'open' && state.connection === connection && state.failure === undefined;
  }

  return {
    key,
    get roomCount() {
      return rooms.size;
    },
    get responsive() {
      return state.kind === 'open' && state.responsive;
    },
    get socketBytes() {
      return state.kind === 'open' ? state.connection.bufferedBytes() : 0;
    },
    attach(room) {
      const channel = freeChannel(rooms);
      rooms.set(channel, room);
      if (state.kind === 'open' && state.failure === undefined) room.onConnected(channel);
      else hurry();
      return () => {
        if (!rooms.delete(channel)) return;
        if (state.kind === 'open' && state.failure === undefined) sendOn(state.connection, channel, { kind: 'leave' });
        room.onDetached();
      };
    },
    nudge(room) {
      room.onNudge();
      hurry();
    },
    wake() {
      if (state.kind === 'open' && state.failure === undefined) {
        const { connection } = state;
        for (const [channel, room] of [...rooms]) {
          if (room.wantsConnection && isOpen(connection)) room.onConnected(channel);
        }
      } else connectWhenWanted();
    },
    send,
    sendBulk,
    fail,
    confirm() {
      if (state.kind === 'open') state.confirmed = true;
    },
    close() {
      const before = state;
      state = { kind: 'closed' };
      if (before.kind === 'closed' || before.kind === 'idle') return Promise.resolve();
      if (before.kind === 'waiting') {
        before.timer.cancel();
        return Promise.resolve();
      }
      if (before.kind === 'connecting') before.timer.cancel();
      else stopTimers(before);
      return new Promise((resolve) => {
        onClosed = resolve;
        before.connection.close();
      });
    },
  };
}

function freeChannel(rooms: ReadonlyMap<number, unknown>): number {
  for (let channel = 1; channel <= limits.channelsMax; channel++) if (!rooms.has(channel)) return channel;
  throw new Error('no free channel');
}
