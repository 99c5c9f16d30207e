/**
 * One WebSocket connection: frames in, within budgets, to the channels; frames out, within a buffer (S3, S5, S15, W6). What is
 * over a rate waits in the socket; what is over a hard bound ends the connection with a code. Knows nothing of rooms.
 *
 * Frames are not dealt with in the socket's callback but put into an inbox, from which `pump` takes as many as the budgets allow;
 * while one is left, the socket is paused. An inbox holds at most what one read of the socket can hold.
 */
import type { Socket } from 'node:net';
import { type CloseName, closeCodes, decodeFrame, encodeFrame } from '@driftless/protocol';
import type { WebSocket } from 'ws';
import { type Channel, type ChannelLink, createChannel, type RelayParts } from './channel.ts';
import type { Timer } from './clock.ts';
import type { MemoryBudget } from './memory-budget.ts';
import { createTokenBucket } from './token-bucket.ts';

/** Bytes in flight of all connections together. */
export interface SharedBudget {
  bytes: number;
  /** Connections that wait for it to shrink. */
  readonly waiting: Set<() => void>;
}

export interface RelayConnection {
  /** Called every limits.sweepMs: pings the silent, drops the dead and the stalled. */
  sweep(): void;
  /** Ends every channel with a code; the connection stays, and a new hello is answered. */
  failChannels(code: CloseName, detail: string): void;
  /** Stops taking frames, waits for what is in flight, says goodbye. Resolves when the connection has ended. */
  shutDown(): Promise<void>;
}

export interface ConnectionOptions {
  readonly socket: WebSocket;
  readonly tcp: Socket;
  readonly parts: RelayParts;
  readonly budget: SharedBudget;
  readonly memory: MemoryBudget;
  /** The address that it counts for. */
  readonly client: string;
  /** 0 when a hello may be answered now, and counts it; else after how many milliseconds to ask again. */
  helloWaitMs(): number;
  onAdmitted(): void;
  onEnded(): void;
}

export function createConnection({
  socket,
  tcp,
  parts,
  budget,
  memory,
  client,
  helloWaitMs,
  onAdmitted,
  onEnded,
}: ConnectionOptions): RelayConnection {
  const { clock, limits, log } = parts;
  const channels = new Map<number, Channel>();
  const inbox: Uint8Array[] = [];
  const frameBucket = createTokenBucket({ perSecond: limits.framesPerSecond, burst: limits.framesBurst });
  const byteBucket = createTokenBucket({ perSecond: limits.bytesPerSecond, burst: limits.bytesBurst });
  const share = memory.join(client, () => {
    log.warn('connection ended', { reason: 'the memory for all connections is used up' });
    socket.terminate();
  });
  let inFlight = 0;
  let inFlightBytes = 0;
  let refusals = 0;
  let admitted = false;
  let stage: 'open' | 'draining' | 'closing' | 'ended' = 'open';
  let refill: Timer | undefined;
  let farewell: Timer | undefined;
  let bytesHeard = 0;
  /** Received, and not yet part of a whole message; of it, at most the last read is of the next one. */
  let partialBytes = 0;
  let lastReadBytes = 0;
  let bytesBeforeAdmission = 0;
  let heardAtMs = clock.monotonicMs();
  let flushedAtMs = heardAtMs;
  let wakeDrained: (() => void)[] = [];
  let wakeIdle: (() => void)[] = [];
  let resolveEnded: () => void = () => {};
  const ended = new Promise<void>((resolve) => {
    resolveEnded = resolve;
  });
  const helloTimer = clock.after(limits.helloTimeoutMs, () => close('timeout', 'no room joined in time'));

  const link: ChannelLink = {
    send,
    bufferedBytes: () => socket.bufferedAmount,
    drained() {
      if (!isBacklogged() || stage === 'ended') return Promise.resolve();
      return new Promise((resolve) => wakeDrained.push(resolve));
    },
    isOpen: () => stage === 'open' || stage === 'draining',
    onAdmitted() {
      if (admitted) return;
      admitted = true;
      helloTimer.cancel();
      onAdmitted();
    },
    onRefused() {
      refusals++;
      if (refusals >= limits.refusalsMax) close('refused', 'too many refusals');
    },
  };
  const isBacklogged = (): boolean => socket.bufferedAmount > limits.sendBufferAnswersBytes;

  function send(frame: Uint8Array): void {
    if (stage === 'closing' || stage === 'ended') return;
    if (socket.bufferedAmount + frame.length > limits.sendBufferBytesMax) return close('slow', 'too much unread');
    if (socket.bufferedAmount === 0) flushedAtMs = clock.monotonicMs();
    share.hold(frame.length);
    socket.send(frame, { binary: true, compress: false }, () => {
      // Called with an error after the end, too; the 'close' event deals with that.
      share.release(frame.length);
      flushedAtMs = clock.monotonicMs();
      if (!isBacklogged()) wake();
    });
  }

  function wake(): void {
    const waiting = wakeDrained;
    wakeDrained = [];
    for (const resume of waiting) resume();
  }

  /** Ends the connection with a code; a peer that does not answer is cut off a moment later. */
  function close(code: CloseName, reason: string): void {
    if (stage === 'closing' || stage === 'ended') return;
    log.debug('connection closed', { code, reason });
    stage = 'closing';
    dropInbox();
    refill?.cancel();
    // A paused socket would never read the peer's answer to the close.
    socket.resume();
    socket.close(4_000 + closeCodes[code].code, reason);
    farewell = clock.after(limits.goodbyeMsMax, () => socket.terminate());
  }

  function dropInbox(): void {
    for (const frame of inbox.splice(0)) share.release(frame.length);
  }

  function waitFor(waitMs: number): void {
    refill = clock.after(waitMs, () => {
      refill = undefined;
      pump();
    });
  }

  function pump(): void {
    budget.waiting.delete(pump);
    while (stage === 'open' && inbox.length > 0 && refill === undefined) {
      if (inFlight >= limits.requestsInFlightMax || inFlightBytes >= limits.bytesInFlightMax) break;
      if (budget.bytes >= limits.bytesInFlightTotalMax) {
        budget.waiting.add(pump);
        break;
      }
      const next = inbox[0];
      if (next === undefined) break;
      const nowMs = clock.monotonicMs();
      const waitMs = frameBucket.take(1, nowMs) || byteBucket.take(next.length, nowMs);
      if (waitMs > 0) {
        waitFor(waitMs);
        break;
      }
      inbox.shift();
      handle(next);
      // What it became has been counted by now.
      if (inbox[0] !== next) share.release(next.length);
    }
    if (stage !== 'open') return;
    if (inbox.length > 0) socket.pause();
    else if (socket.isPaused) socket.resume();
  }

  function handle(frame: Uint8Array): void {
    const decoded = decodeFrame(frame);
    if (!decoded.ok) {
      switch (decoded.error.kind) {
        case 'unknown-optional':
          return;
        case 'unknown-critical':
          if (decoded.error.channel === 0) return close('unknownCritical', 'a message of an unknown kind');
          return channelOf(decoded.error.channel)?.fail('unknownCritical', 'a message of an unknown kind');
        case 'bad-frame':
        case 'over-limit':
          return close('badFrame', 'a frame that does not decode');
      }
    }
    const { channel: number, message } = decoded.value;
    if (number === 0) {
      if (message.kind !== 'ping') return close('badRequest', 'only pings belong on channel 0');
      return send(encodeFrame({ channel: 0, message: { kind: 'pong', token: message.token } }));
    }
    if (message.kind === 'hello') {
      const waitMs = helloWaitMs();
      if (waitMs > 0) {
        inbox.unshift(frame);
        return waitFor(waitMs);
      }
    }
    const channel = channelOf(number);
    if (channel === undefined) return;
    const done = begin(
      frame.length + ('bytesMax' in message ? Math.min(message.bytesMax, limits.bytesInFlightMax) : 0),
    );
    channel
      .take(message, frame)
      .catch((error: unknown) => {
        // A mistake of ours. It ends this connection, and no other.
        log.error('connection failed', {
          reason: error instanceof Error ? (error.stack ?? error.message) : String(error),
        });
        close('storeFailed', 'the relay failed; its log says why');
      })
      .finally(done);
  }

  /** Counts a request until the returned function is called. */
  function begin(bytes: number): () => void {
    inFlight++;
    inFlightBytes += bytes;
    budget.bytes += bytes;
    share.hold(bytes);
    return () => {
      inFlight--;
      inFlightBytes -= bytes;
      budget.bytes -= bytes;
      share.release(bytes);
      for (const resume of [...budget.waiting]) resume();
      pump();
      if (inFlight === 0) for (const resume of wakeIdle) resume();
    };
  }

  function channelOf(number: number): Channel | undefined {
    const known = channels.get(number);
    if (known !== undefined) return known;
    if (channels.size >= limits.channelsMax) {
      close('overLimit', 'too many channels');
      return undefined;
    }
    const channel = createChannel(number, link, parts);
    channels.set(number, channel);
    return channel;
  }

  // Before the WebSocket sees them: a frame is measured while it comes, not when it is whole.
  const onRead = (data: Buffer): void => {
    partialBytes += data.length;
    lastReadBytes = data.length;
    share.hold(data.length);
    if (admitted) return;
    bytesBeforeAdmission += data.length;
    if (bytesBeforeAdmission <= limits.strangerBytesMax) return;
    close('badFrame', 'too many bytes before any room was joined');
    // What else it sends is not even read: neither it nor an answer to the close is worth memory or time.
    tcp.removeAllListeners('data');
    tcp.pause();
  };
  /** A message of so many bytes is whole; what else was received belongs to its frame's head, or to the next message. */
  const onWhole = (bytes: number): void => {
    const next = Math.max(0, Math.min(partialBytes - bytes, lastReadBytes));
    share.release(partialBytes - next);
    partialBytes = next;
  };
  tcp.prependListener('data', onRead);
  socket.on('ping', (data) => onWhole(data.length));
  socket.on('pong', (data) => onWhole(data.length));
  socket.on('message', (data: Buffer, isBinary: boolean) => {
    onWhole(data.length);
    if (stage !== 'open') return;
    if (!isBinary) return close('badFrame', 'a text frame');
    share.hold(data.length);
    inbox.push(data);
    pump();
  });
  // Always followed by 'close'.
  socket.on('error', (error) => log.debug('connection failed', { reason: error.message }));
  socket.on('close', () => {
    stage = 'ended';
    helloTimer.cancel();
    farewell?.cancel();
    refill?.cancel();
    budget.waiting.delete(pump);
    tcp.off('data', onRead);
    dropInbox();
    share.leave();
    for (const channel of channels.values()) channel.dispose();
    channels.clear();
    wake();
    onEnded();
    resolveEnded();
  });

  return {
    sweep() {
      if (stage !== 'open') return;
      const nowMs = clock.monotonicMs();
      if (tcp.bytesRead !== bytesHeard || socket.isPaused) {
        bytesHeard = tcp.bytesRead;
        heardAtMs = nowMs;
      }
      if (nowMs - heardAtMs > limits.silenceMsMax) {
        log.debug('connection dropped', { reason: 'silent' });
        return socket.terminate();
      }
      if (socket.bufferedAmount > 0 && nowMs - flushedAtMs > limits.stallMsMax)
        return close('slow', 'nothing was read');
      if (nowMs - heardAtMs > limits.pingAfterMs) socket.ping();
    },
    failChannels(code, detail) {
      for (const channel of channels.values()) channel.fail(code, detail);
    },
    async shutDown() {
      if (stage === 'open') {
        stage = 'draining';
        dropInbox();
        if (inFlight > 0) {
          await new Promise<void>((resolve) => {
            wakeIdle.push(resolve);
            clock.after(limits.drainMsMax, resolve);
          });
          wakeIdle = [];
        }
        close('shutdown', 'the relay is stopping');
      }
      await ended;
    },
  };
}
