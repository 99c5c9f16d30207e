/**
 * Who else is there, and how far they are (rules PRESENCE, TRUTH). Presences are sealed and signed among the peers; the relay passes
 * them on, and may keep them back and play them again whenever it likes. So nothing is concluded from one that arrives but that its
 * sender was alive once; who echoes a number that this process said a moment ago is here now.
 *
 *   A ── n = 1, hears nobody ──► B        A is news to B: B answers at once
 *   A ◄── n = 7, heard A's 1 ─── B        A knows that B is here; B is news to A: A answers at once
 *   A ── n = 2, heard B's 7 ───► B        B knows that A is here
 */
import { bytesToHex, concatBytes, type DeviceId, hexToBytes, limits, type PresenceEcho } from '@driftless/protocol';
import type { PeerInfo } from './control.ts';
import type { PeerParts } from './peer-api.ts';
import type { RoomSession } from './ports/room-session.ts';
import type { StateStore } from './ports/state-store.ts';
import type { LostContents } from './room/lost-contents.ts';
import { isReached } from './room/must-reach.ts';
import type { SaidRoot } from './room/other-roots.ts';

/** How often a peer says that it is there while nothing changes. */
const announceEveryMs = 15_000;
/** A change is told so much later: what a save changes for a moment is told once, and nobody turns for it while the save is on its way. */
const changeToldAfterMs = 1_000;
const expiresAfterMs = 45_000;
/** Newcomers are answered at once, and so are old presences that a relay plays again: no more often than this. */
const burstMax = 4;
const burstMs = 4_000;
/** Devices remembered, and processes heard; more are forgotten oldest first. */
const devicesMax = 1_000;

/** A process that was heard, whenever it said it. */
interface Heard {
  n: number;
  atMs: number;
  /** When this peer last said that it heard it. */
  echoedAtMs: number;
}

/** What a device said that was here. */
interface Seen extends SaidRoot {
  /** When that was said of ours which it had heard: it was there later than this. */
  readonly answeredMs: number;
  readonly arrivedMs: number;
}

/** What of a peer a board needs. */
export interface PresenceContext {
  readonly parts: Pick<PeerParts, 'device' | 'deviceName' | 'cipher' | 'random' | 'clock' | 'hashing' | 'onEvent'> & {
    readonly store: Pick<StateStore, 'setting' | 'setSetting' | 'head' | 'root'>;
  };
  session(): Pick<RoomSession, 'sendPresence'> | null;
}

export interface PresenceBoard {
  /** Sends ours if it is time, or if something changed a moment ago; returns the delay until the next. */
  announce(state: string): number;
  /** Something must be told at once: a session began. */
  reset(): void;
  take(sealed: Uint8Array): void;
  peers(): readonly PeerInfo[];
  /** What the devices say that are here now. */
  here(): readonly SaidRoot[];
  /** Another live process uses this device's identity (rule CLONE). */
  readonly cloned: boolean;
}

export function createPresenceBoard(
  context: PresenceContext,
  lost: Pick<LostContents, 'asks' | 'answer'>,
  onHere: (said: SaidRoot) => void,
): PresenceBoard {
  const { parts } = context;
  const { store, cipher, clock, random, hashing } = parts;
  const ownDevice = parts.device.device;
  const run = bytesToHex(random.bytes(8));
  /** How an echo names a process. */
  const processOf = (device: DeviceId, ofRun: string): string =>
    bytesToHex(hashing.sha256(concatBytes(hexToBytes(device), hexToBytes(ofRun)))).slice(0, 16);
  const self = processOf(ownDevice, run);
  const heard = new Map<string, Heard>();
  const seen = new Map<DeviceId, Seen>();
  /** When each of the last numbers was said. */
  let said: readonly { readonly n: number; readonly atMs: number }[] = [];
  let n = 0;
  /** As `answeredMs`, of another process with this identity. */
  let twinAnsweredMs = Number.NEGATIVE_INFINITY;
  /** Somebody or something waits to hear of us. */
  let isUrgent = true;
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
    const head = isReached(store) ? store.head() : null;
    const asks = lost.asks();
    const asksText = asks.join(' ');
    const text = `${state} ${head?.id ?? ''} ${asksText}`;
    const nowMs = clock.monotonicMs();
    changedMs = text === lastText ? null : (changedMs ?? nowMs);
    const dueMs =
      isUrgent || asksText !== lastAsks
        ? Math.max(nowMs, (said.at(-burstMax)?.atMs ?? Number.NEGATIVE_INFINITY) + burstMs)
        : Math.min(lastMs + announceEveryMs, (changedMs ?? nowMs + announceEveryMs) + changeToldAfterMs);
    if (session === null || nowMs < dueMs) return Math.max(0, dueMs - nowMs);
    n += 1;
    said = [...said.filter(({ atMs }) => isRecent(atMs)), { n, atMs: nowMs }];
    session.sendPresence(
      cipher.sealPresence({
        deviceName: parts.deviceName,
        run,
        n,
        height: head?.height ?? 0,
        recordId: head?.id ?? null,
        state,
        asks,
        root: store.root(),
        echoes: nextEchoes(nowMs),
        editing: [],
      }),
    );
    isUrgent = false;
    lastText = text;
    lastAsks = asksText;
    lastMs = nowMs;
    changedMs = null;
    return announceEveryMs;
  }

  /** Those that have waited longest, so that all have their turn. */
  function nextEchoes(nowMs: number): readonly PresenceEcho[] {
    const recent = [...heard].filter(([, { atMs }]) => isRecent(atMs));
    recent.sort(([, one], [, other]) => one.echoedAtMs - other.echoedAtMs);
    return recent.slice(0, limits.presenceEchoesMax).map(([who, process]) => {
      process.echoedAtMs = nowMs;
      return { who, n: process.n };
    });
  }

  function take(sealed: Uint8Array): void {
    const body = cipher.openPresence(sealed);
    if (body === undefined || (body.device === ownDevice && body.run === run)) return;
    const nowMs = clock.monotonicMs();
    const who = processOf(body.device, body.run);
    const before = heard.get(who);
    if (before !== undefined && body.n <= before.n) return;
    // Whoever is new here learns of us at once, not at our next turn.
    if (before === undefined || !isRecent(before.atMs)) isUrgent = true;
    remember(heard, who, { n: body.n, atMs: nowMs, echoedAtMs: before?.echoedAtMs ?? Number.NEGATIVE_INFINITY });
    if (body.device !== ownDevice && body.asks.length > 0) lost.answer(body.asks);

    const echoed = body.echoes.find((echo) => echo.who === self);
    const answeredMs = said.find((one) => one.n === echoed?.n)?.atMs;
    if (answeredMs === undefined || !isRecent(answeredMs)) return;
    if (body.device === ownDevice) {
      twinAnsweredMs = answeredMs;
      return;
    }
    const last = seen.get(body.device);
    const isNew = last === undefined || !isHere(last);
    const { device, deviceName: name, height, recordId, root } = body;
    remember(seen, device, { device, name, height, recordId, root, answeredMs, arrivedMs: clock.nowMs() });
    if (isNew) {
      const devices = remembered();
      devices[device] = { name, at: clock.nowMs() };
      store.setSetting('devices', JSON.stringify(Object.fromEntries(Object.entries(devices).slice(-devicesMax))));
      parts.onEvent({ event: 'peer', name, online: true });
    }
    onHere({ device, name, height, recordId, root });
  }

  const isRecent = (atMs: number): boolean => clock.monotonicMs() - atMs <= expiresAfterMs;
  const isHere = (peer: Seen): boolean => context.session() !== null && isRecent(peer.answeredMs);

  function peers(): readonly PeerInfo[] {
    const head = store.head();
    const list: PeerInfo[] = [...seen].map(([device, peer]) => ({
      device,
      name: peer.name,
      online: isHere(peer),
      lastSeen: new Date(peer.arrivedMs).toISOString(),
      height: peer.height,
      agrees: !isHere(peer) || peer.recordId === null || peer.recordId !== head?.id ? null : peer.root === store.root(),
    }));
    for (const [device, { name, at }] of Object.entries(remembered()))
      if (!seen.has(device as DeviceId))
        list.push({ device, name, online: false, lastSeen: new Date(at).toISOString(), height: null, agrees: null });
    return list.sort((a, b) => (a.device < b.device ? -1 : 1));
  }

  return {
    announce,
    reset: () => {
      isUrgent = true;
    },
    take,
    peers,
    here: () => [...seen.values()].filter(isHere),
    get cloned() {
      return isRecent(twinAnsweredMs);
    },
  };
}

/** The oldest is forgotten first. */
function remember<Key, Value>(values: Map<Key, Value>, key: Key, value: Value): void {
  values.delete(key);
  values.set(key, value);
  for (const oldest of values.keys()) {
    if (values.size <= devicesMax) return;
    values.delete(oldest);
  }
}
