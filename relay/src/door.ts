/**
 * Who may connect, before anybody has proved anything (S15): budgets of number, time and signatures, for a client and for all. A
 * client is an address, as clientAddressOf counts them. A connection that no room has admitted yet is a stranger; when there are too
 * many, the one that said least goes, and of those the oldest: who says nothing makes room for who does.
 *
 *   silent ──upgrade──▶ upgraded ──hello──▶ greeted ──welcome──▶ guest
 */
import type { Socket } from 'node:net';
import { clientAddressOf } from './client-address.ts';
import type { Clock, Timer } from './clock.ts';
import type { RelayLog } from './log.ts';
import type { RelayLimits } from './relay-limits.ts';
import { createTokenBucket, type TokenBucket } from './token-bucket.ts';

export interface Door {
  /** `address`: of the client, where it is not the socket's own. */
  enter(tcp: Socket, address: string): void;
  clientOf(tcp: Socket): string;
  /** Counts it. */
  mayUpgrade(tcp: Socket): boolean;
  upgraded(tcp: Socket): void;
  /** 0 when a hello of this connection may be answered now, and counts it; else after how many milliseconds to ask again. */
  helloWaitMs(tcp: Socket): number;
  admitted(tcp: Socket): void;
}

/** In the order in which they go. */
const stages = ['silent', 'upgraded', 'greeted'] as const;
type Stage = (typeof stages)[number];

interface Client {
  /** By stage; sets keep the order of arrival. */
  readonly strangers: Readonly<Record<Stage, Set<Socket>>>;
  readonly guests: Set<Socket>;
  readonly upgrades: TokenBucket;
  readonly hellos: TokenBucket;
}
interface Visit {
  readonly address: string;
  readonly client: Client;
  readonly headerTimer: Timer;
}

export function createDoor({
  limits,
  clock,
  log,
}: {
  readonly limits: RelayLimits;
  readonly clock: Clock;
  readonly log: RelayLog;
}): Door {
  const visits = new Map<Socket, Visit>();
  /** Those with connections, and some that had any: who comes back has not got a new budget. */
  const clients = new Map<string, Client>();
  const hellosOfAll = createTokenBucket({ perSecond: limits.hellosPerSecondMax, burst: limits.hellosBurstMax });
  let strangersCount = 0;

  function clientAt(address: string): Client {
    const known = clients.get(address);
    if (known !== undefined) return known;
    for (const [other, client] of clients) {
      if (clients.size < limits.clientsRememberedMax) break;
      if (client.guests.size + strangersOf(client) === 0) clients.delete(other);
    }
    const client: Client = {
      strangers: { silent: new Set(), upgraded: new Set(), greeted: new Set() },
      guests: new Set(),
      upgrades: createTokenBucket({ perSecond: limits.upgradesPerSecond, burst: limits.upgradesBurst }),
      hellos: createTokenBucket({ perSecond: limits.hellosPerSecond, burst: limits.hellosBurst }),
    };
    clients.set(address, client);
    return client;
  }
  const strangersOf = ({ strangers }: Client): number =>
    strangers.silent.size + strangers.upgraded.size + strangers.greeted.size;

  /** Whether it was a stranger. */
  function forget(tcp: Socket, { strangers }: Client): boolean {
    const was = stages.some((stage) => strangers[stage].delete(tcp));
    if (was) strangersCount--;
    return was;
  }
  function add(tcp: Socket, { strangers }: Client, stage: Stage): void {
    strangers[stage].add(tcp);
    strangersCount++;
  }
  function endLeast(client: Client): boolean {
    for (const stage of stages) {
      for (const tcp of client.strangers[stage]) {
        log.debug('stranger dropped', { stage, strangers: strangersOf(client) });
        forget(tcp, client);
        tcp.destroy();
        return true;
      }
    }
    return false;
  }
  function endLeastOfLargestCrowd(): boolean {
    let crowd: Client | undefined;
    for (const client of clients.values())
      if (crowd === undefined || strangersOf(client) > strangersOf(crowd)) crowd = client;
    return crowd !== undefined && endLeast(crowd);
  }
  function move(tcp: Socket, stage: Stage): void {
    const client = visits.get(tcp)?.client;
    if (client !== undefined && forget(tcp, client)) add(tcp, client, stage);
  }

  return {
    enter(tcp, given) {
      const address = clientAddressOf(given);
      const client = clientAt(address);
      tcp.setNoDelay(true);
      tcp.on('error', (error) => log.debug('socket failed', { reason: error.message }));
      if (strangersOf(client) >= limits.strangersPerAddressMax) endLeast(client);
      const isFull = strangersCount >= limits.strangersMax || visits.size >= limits.connectionsMax;
      if (isFull && !endLeastOfLargestCrowd()) {
        tcp.destroy();
        return;
      }
      add(tcp, client, 'silent');
      const headerTimer = clock.after(limits.headerTimeoutMs, () => tcp.destroy());
      visits.set(tcp, { address, client, headerTimer });
      tcp.once('close', () => {
        visits.delete(tcp);
        headerTimer.cancel();
        forget(tcp, client);
        client.guests.delete(tcp);
      });
    },
    clientOf: (tcp) => visits.get(tcp)?.address ?? '',
    mayUpgrade(tcp) {
      const client = visits.get(tcp)?.client;
      if (client === undefined || client.guests.size >= limits.connectionsPerAddressMax) return false;
      return client.upgrades.take(1, clock.monotonicMs()) === 0;
    },
    upgraded(tcp) {
      visits.get(tcp)?.headerTimer.cancel();
      move(tcp, 'upgraded');
    },
    helloWaitMs(tcp) {
      const client = visits.get(tcp)?.client;
      if (client === undefined) return 0;
      const nowMs = clock.monotonicMs();
      const waitMs = Math.max(client.hellos.waitMs(1, nowMs), hellosOfAll.waitMs(1, nowMs));
      if (waitMs > 0) return waitMs;
      client.hellos.take(1, nowMs);
      hellosOfAll.take(1, nowMs);
      move(tcp, 'greeted');
      return 0;
    },
    admitted(tcp) {
      const client = visits.get(tcp)?.client;
      if (client !== undefined && forget(tcp, client)) client.guests.add(tcp);
    },
  };
}
