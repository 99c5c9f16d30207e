/**
 * One room's channel on a relay connection: the handshake (rule ADM1), and what happens when the relay refuses. Requests of
 * an open session are room-session.ts.
 *
 *   apart ──connected──▶ greeting (hello sent) ──challenge──▶ proving ──welcome──▶ online
 *     ▲                      │ refused, ended by the relay         │
 *     └── resting ◀──────────┴─────────────────────────────────────┘   (says hello again after a pause or a nudge)
 */
import {
  admissionTranscript,
  bytesToHex,
  type Challenge,
  type ChannelError,
  challengeMessage,
  equalBytes,
  features,
  limits,
  type Message,
  protocolVersion,
  verifyEd25519,
} from '@driftless/protocol';
import { backoffDelayMs } from './core/backoff.ts';
import type { Halt } from './core/peer-state.ts';
import { isLinkTrouble, meaningOf, refusalHalt, withDetail } from './core/refusal.ts';
import type { Clock, Timer } from './ports/clock.ts';
import type { Log } from './ports/log.ts';
import type { Random } from './ports/random.ts';
import type { RoomCipher } from './ports/room-cipher.ts';
import type { RoomSessionHandlers } from './ports/room-session.ts';
import type { ConnectedRoom, RelayConnection } from './relay-connection.ts';
import { createRoomSession, type OpenRoomSession } from './room-session.ts';

/** Silence of the server within the handshake after which it is taken for something else (W10). */
const handshakeSilenceMsMax = 15_000;
/** A refused room asks again by itself, rarely; a person's nudge asks at once, but not in a tight loop. */
const refusedPause = { firstMs: 30_000, maxMs: 5 * 60_000 };
const endedPause = { firstMs: 500, maxMs: 30_000 };
const nudgeSpacingMs = 5_000;

export interface RoomChannelOptions {
  readonly connection: RelayConnection;
  readonly cipher: RoomCipher;
  readonly handlers: RoomSessionHandlers;
  readonly relayKey: Uint8Array | null;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

type State =
  | { readonly kind: 'apart' }
  | { readonly kind: 'greeting'; readonly channel: number; readonly helloFrame: Uint8Array; readonly timer: Timer }
  | { readonly kind: 'proving'; readonly channel: number; readonly relayKey: Uint8Array; readonly timer: Timer }
  | { readonly kind: 'online'; readonly channel: number; readonly session: OpenRoomSession }
  | { readonly kind: 'resting'; readonly timer: Timer; readonly sinceMs: number }
  | { readonly kind: 'detached' };

export function createRoomChannel(options: RoomChannelOptions): ConnectedRoom {
  const { connection, cipher, handlers, clock, random, log } = options;
  let state: State = { kind: 'apart' };
  let pinnedKey = options.relayKey;
  let rests = 0;
  /** The reason last told, so that a state is told once. */
  let toldOffline: string | undefined;

  // ── handshake ──

  function onConnected(channel: number): void {
    if (state.kind === 'resting') state.timer.cancel();
    const helloFrame = connection.send(channel, {
      kind: 'hello',
      clientRandom: random.bytes(32),
      versions: [protocolVersion],
      features,
      room: cipher.room,
      role: 'writer',
      known: handlers.known(),
      pushCreditBytes: limits.pushCreditBytes,
    });
    state = { kind: 'greeting', channel, helloFrame, timer: handshakeTimer() };
  }

  function handshakeTimer(): Timer {
    return clock.after(handshakeSilenceMsMax, () => {
      if (state.kind === 'greeting' || state.kind === 'proving')
        connection.fail('what answers there is not a Driftless relay');
    });
  }

  function onChallenge(challenge: Challenge, challengeFrame: Uint8Array): void {
    if (state.kind !== 'greeting') return misplaced(challenge);
    const { channel, helloFrame, timer } = state;
    timer.cancel();
    if (!verifyEd25519(challenge.relayKey, challengeMessage(helloFrame, challenge), challenge.signature)) {
      connection.fail("the relay's signature does not hold");
      return;
    }
    if (pinnedKey !== null && !equalBytes(pinnedKey, challenge.relayKey)) {
      connection.send(channel, { kind: 'leave' });
      rest(refusedPause);
      const relayKey = bytesToHex(challenge.relayKey);
      const reason = `the relay's identity is ${relayKey}, and not ${bytesToHex(pinnedKey)}, which this folder is linked to`;
      handlers.onRefused({ code: 'relay-key-changed', reason, next: '', relayKey });
      return;
    }
    if (challenge.version !== protocolVersion) {
      connection.send(channel, { kind: 'leave' });
      rest(refusedPause);
      const reason = `the relay speaks protocol version ${challenge.version}`;
      handlers.onRefused({ code: 'update-needed', reason, next: 'update Driftless' });
      return;
    }
    const { readerKey, writerKey } = cipher;
    const transcript = admissionTranscript({ helloFrame, challengeFrame, readerKey, writerKey });
    const signature = cipher.proveAdmission('writer', transcript);
    connection.send(channel, { kind: 'proof', readerKey, writerKey, signature });
    state = { kind: 'proving', channel, relayKey: challenge.relayKey, timer: handshakeTimer() };
  }

  function onWelcome(welcome: Message & { readonly kind: 'welcome' }): void {
    if (state.kind !== 'proving') return misplaced(welcome);
    const { channel, relayKey, timer } = state;
    timer.cancel();
    connection.confirm();
    pinnedKey ??= relayKey;
    rests = 0;
    toldOffline = undefined;
    const session = createRoomSession({ connection, channel, clock, welcome, relayKey });
    state = { kind: 'online', channel, session };
    handlers.onOnline(session);
  }

  // ── messages ──

  function onMessage(message: Message, frame: Uint8Array): void {
    switch (message.kind) {
      case 'challenge':
        return onChallenge(message, frame);
      case 'welcome':
        return onWelcome(message);
      case 'channelError':
        return onChannelError(message);
      default:
    }
    // Between a left channel and its next welcome, late frames of the former session may still arrive.
    if (state.kind !== 'online') return;
    switch (message.kind) {
      case 'pushed':
        return handlers.onPushed(message.record, message.chunks);
      case 'headMoved':
        return handlers.onHeadMoved(message.head);
      case 'presence':
        return handlers.onPresence(message.sealed);
      default:
        if (!state.session.answer(message)) misplaced(message);
    }
  }

  function misplaced(message: Message): void {
    log.warn('relay-message-misplaced', { kind: message.kind, state: state.kind });
    connection.fail('the relay sent a message that has no place');
  }

  function onChannelError(error: ChannelError): void {
    if (error.request !== 0) {
      if (state.kind === 'online' && !state.session.answer(error)) misplaced(error);
      return;
    }
    // Until the room was let in, anybody may have written it (rule SHOWN).
    const detail = state.kind === 'online' ? error.detail : '';
    const reason = withDetail(meaningOf(error.code), detail);
    endSession(reason);
    if (isLinkTrouble(error.code)) {
      rest(endedPause);
      return tellOffline(reason);
    }
    const refusal = refusalHalt({ code: error.code, detail });
    rest(refusal.code === 'refused' || refusal.code === 'update-needed' ? refusedPause : endedPause);
    tellRefused(refusal);
  }

  // ── pauses and ends ──

  function rest(pause: { readonly firstMs: number; readonly maxMs: number }): void {
    stopTimer();
    const timer = clock.after(backoffDelayMs(rests, random.fraction(), pause), stopResting);
    rests += 1;
    state = { kind: 'resting', timer, sinceMs: clock.monotonicMs() };
  }

  function stopResting(): void {
    if (state.kind !== 'resting') return;
    state.timer.cancel();
    state = { kind: 'apart' };
    connection.wake();
  }

  function stopTimer(): void {
    if (state.kind === 'greeting' || state.kind === 'proving' || state.kind === 'resting') state.timer.cancel();
  }

  function endSession(reason: string): void {
    if (state.kind === 'online') state.session.end(reason);
  }

  function tellOffline(reason: string): void {
    if (toldOffline === reason) return;
    toldOffline = reason;
    handlers.onOffline(reason);
  }

  /** It answers, and does not want to: not to be shown as a relay that is away (rule REFUSED). */
  function tellRefused(refusal: Halt): void {
    toldOffline = undefined;
    handlers.onRefused(refusal);
  }

  return {
    onConnected,
    onMessage,
    onDisconnected(reason, refusal) {
      endSession(reason);
      // A resting room has told why it rests, and waits that out.
      if (state.kind === 'resting') return;
      stopTimer();
      state = { kind: 'apart' };
      if (refusal === undefined) tellOffline(reason);
      else tellRefused(refusalHalt(refusal));
    },
    onSilent(reason) {
      if (state.kind === 'online') tellOffline(reason);
    },
    onResponsive() {
      if (state.kind !== 'online') return;
      toldOffline = undefined;
      handlers.onResponsive();
    },
    onNudge() {
      if (state.kind === 'resting' && clock.monotonicMs() - state.sinceMs >= nudgeSpacingMs) stopResting();
    },
    onDetached() {
      endSession('the room was closed');
      stopTimer();
      state = { kind: 'detached' };
    },
    get wantsConnection() {
      return state.kind === 'apart';
    },
  };
}
