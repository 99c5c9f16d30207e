/**
 * The peer's side of relays (rules ADM1, ADM2, W6 in SPEC: liveness): one connection for each list of addresses, any
 * number of rooms on it. Connecting and watching is relay-connection.ts, a room's handshake and requests room-channel.ts.
 * What a server sends, however wrong, becomes a state or a rejected request, never a throw to the top.
 */
import { limits } from '@driftless/protocol';
import type { Clock } from './ports/clock.ts';
import type { Log } from './ports/log.ts';
import type { Random } from './ports/random.ts';
import type { RelayClient } from './ports/room-session.ts';
import type { Transport } from './ports/transport.ts';
import { createRelayConnection, type RelayConnection } from './relay-connection.ts';
import { createRoomChannel } from './room-channel.ts';

export interface RelayClientParts {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export function createRelayClient(parts: RelayClientParts): RelayClient {
  const connections = new Set<RelayConnection>();
  const closing = new Set<Promise<void>>();
  let closed = false;

  function connectionFor(urls: readonly string[]): RelayConnection {
    const key = urls.join(' ');
    for (const connection of connections) {
      if (connection.key === key && connection.roomCount < limits.channelsMax) return connection;
    }
    const connection = createRelayConnection({ ...parts, key, urls });
    connections.add(connection);
    return connection;
  }

  function drop(connection: RelayConnection): void {
    connections.delete(connection);
    const done: Promise<void> = connection.close().finally(() => closing.delete(done));
    closing.add(done);
  }

  return {
    open({ urls, relayKey, cipher }, handlers) {
      if (closed) throw new Error('the relay client is closed');
      const connection = connectionFor(urls);
      const room = createRoomChannel({ ...parts, connection, cipher, handlers, relayKey });
      const detach = connection.attach(room);
      let open = true;
      return {
        nudge: () => connection.nudge(room),
        close() {
          if (!open) return;
          open = false;
          detach();
          if (connection.roomCount === 0) drop(connection);
        },
      };
    },
    async close() {
      closed = true;
      for (const connection of [...connections]) drop(connection);
      await Promise.all(closing);
    },
  };
}
