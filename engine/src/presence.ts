/**
 * Who else is there, and how far they are (rules PRESENCE, TRUTH). Sealed and signed among the peers; the relay passes it
 * on and stores none. Fresh only with (run, n) above the last seen; expires by the monotonic clock.
 */
import { bytesToHex } from '@driftless/protocol';
import type { PeerInfo } from './control.ts';
import type { PeerContext } from './peer-context.ts';
import type { LostContents } from './room/lost-contents.ts';

/** How often a peer says that it is there while nothing changes. */
const announceEveryMs = 15_000;
/** A change is told so much later: what a save changes for a moment is told once, and nobody turns for it while the save is on its way. */
const changeToldAfterMs = 1_000;
const expiresAfterMs = 45_000;
/** A second run of one device that is heard for longer than this lives. */
const twinMsMin = 5_000;
/** Devices remembered; more are forgotten oldest first. */
const devicesMax = 1_000;

interface Seen {
  readonly device: string;
  readonly name: string;
  readonly run: string;
  readonly n: number;
  readonly height: number;
  readonly arrivedMonotonicMs: number;
  readonly arrivedMs: number;
}

export interface PresenceBoard {
  /** Sends ours if it is time, or if something changed a moment ago; returns the delay until the next. */
  announce(state: string): number;
  /** Something must be told at once: a session began. */
  reset(): void;
  take(sealed: Uint8Array): void;
  peers(): readonly PeerInfo[];
  /** Another live process uses this device's identity (rule CLONE). */
  readonly cloned: boolean;
}

export function createPresenceBoard(context: PeerContext, lost: LostContents): PresenceBoard {
  const { parts } = context;
  const { store, cipher, clock, random } = parts;
  const run = bytesToHex(random.bytes(8));
  const seen = new Map<string, Seen>();
  /** Runs that were overtaken by a newer one of their device: their late messages are not fresh. */
  const endedRuns = new Map<string, string>();
  let n = 0;
  /** Another run with our identity: when it was first heard, and last. What a killed run of ours had sent still arrives for a moment. */
  let twin: { readonly run: string; readonly firstMs: number; lastMs: number } | null = null;
  let lastText = '';
  let lastMs = Number.NEGATIVE_INFINITY;
  /** What was asked for last; another question is sent at once. */
  let lastAsks = '';
  /** Since when something is different from what was said last. */
  let changedMs: number | null = null;

  const remembered = (): Record<string, { name: string; at: number }> =>
    JSON.parse(store.setting('devices') ?? '{}') as Record<string, { name: string; at: number }>;

  function announce(state: string): number {
    const session = context.session();
    const head = store.head();
    const asks = lost.asks();
    const asksText = asks.join(' ');
    const text = `${state} ${head?.id ?? ''} ${asksText}`;
    const nowMs = clock.monotonicMs();
    changedMs = text === lastText ? null : (changedMs ?? nowMs);
    const isUrgent = lastText === '' || asksText !== lastAsks;
    const dueMs = isUrgent
      ? nowMs
      : Math.min(lastMs + announceEveryMs, (changedMs ?? nowMs + announceEveryMs) + changeToldAfterMs);
    if (session === null || nowMs < dueMs) return Math.max(0, dueMs - nowMs);
    n += 1;
    session.sendPresence(
      cipher.sealPresence({
        deviceName: parts.deviceName,
        run,
        n,
        height: head?.height ?? 0,
        recordId: head?.id ?? null,
        state,
        asks,
      }),
    );
    lastText = text;
    lastAsks = asksText;
    lastMs = nowMs;
    changedMs = null;
    return announceEveryMs;
  }

  function take(sealed: Uint8Array): void {
    const body = cipher.openPresence(sealed);
    if (body === undefined) return;
    if (body.device === parts.device.device) {
      const nowMs = clock.monotonicMs();
      if (body.run === run) return;
      if (twin?.run === body.run) twin.lastMs = nowMs;
      else twin = { run: body.run, firstMs: nowMs, lastMs: nowMs };
      return;
    }
    const before = seen.get(body.device);
    if (before !== undefined && before.run === body.run && body.n <= before.n) return;
    if (endedRuns.get(body.device) === body.run) return;
    if (before !== undefined && before.run !== body.run) endedRuns.set(body.device, before.run);
    if (body.asks.length > 0) lost.answer(body.asks);
    const isNew = before === undefined || !fresh(before);
    seen.delete(body.device);
    seen.set(body.device, {
      device: body.device,
      name: body.deviceName,
      run: body.run,
      n: body.n,
      height: body.height,
      arrivedMonotonicMs: clock.monotonicMs(),
      arrivedMs: clock.nowMs(),
    });
    for (const device of seen.keys()) {
      if (seen.size <= devicesMax) break;
      seen.delete(device);
    }
    if (isNew) {
      const devices = remembered();
      devices[body.device] = { name: body.deviceName, at: clock.nowMs() };
      store.setSetting('devices', JSON.stringify(Object.fromEntries(Object.entries(devices).slice(-devicesMax))));
      parts.onEvent({ event: 'peer', name: body.deviceName, online: true });
      // A newcomer learns of us at once, not at our next turn.
      lastText = '';
    }
  }

  const fresh = (peer: Seen): boolean =>
    context.session() !== null && clock.monotonicMs() - peer.arrivedMonotonicMs <= expiresAfterMs;

  function peers(): readonly PeerInfo[] {
    const list: PeerInfo[] = [...seen.values()].map((peer) => ({
      device: peer.device,
      name: peer.name,
      online: fresh(peer),
      lastSeen: new Date(peer.arrivedMs).toISOString(),
      height: peer.height,
    }));
    for (const [device, { name, at }] of Object.entries(remembered()))
      if (!seen.has(device))
        list.push({ device, name, online: false, lastSeen: new Date(at).toISOString(), height: null });
    return list.sort((a, b) => (a.device < b.device ? -1 : 1));
  }

  return {
    announce,
    reset: () => {
      lastText = '';
    },
    take,
    peers,
    get cloned() {
      return (
        twin !== null && twin.lastMs - twin.firstMs >= twinMsMin && clock.monotonicMs() - twin.lastMs <= expiresAfterMs
      );
    },
  };
}
