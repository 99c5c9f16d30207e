/**
 * One budget for what all connections together keep in memory: what was received of frames, requests being worked on, answers not
 * yet read. Bounds for each connection would multiply by their number. When it is used up, the connection that holds most of the
 * client that holds most is ended, so that many small hoards of one client do not cost another one its large transfer.
 */
export interface MemoryShare {
  hold(bytes: number): void;
  release(bytes: number): void;
  /** Releases all that is held; nothing counts from then on. */
  leave(): void;
}
export interface MemoryBudget {
  readonly heldBytes: number;
  /** `end` must let go of everything, by `leave`, now or soon. */
  join(client: string, end: () => void): MemoryShare;
}

interface Holder {
  readonly end: () => void;
  bytes: number;
}
interface Client {
  readonly holders: Set<Holder>;
  bytes: number;
}

export function createMemoryBudget(bytesMax: number): MemoryBudget {
  const clients = new Map<string, Client>();
  let heldBytes = 0;

  const most = <Item extends { readonly bytes: number }>(items: Iterable<Item>): Item | undefined => {
    let found: Item | undefined;
    for (const item of items) if (found === undefined || item.bytes > found.bytes) found = item;
    return found;
  };
  /** Counts as gone at once: its bytes are on their way. */
  function endLargest(): void {
    while (heldBytes > bytesMax) {
      const holder = most(most(clients.values())?.holders ?? []);
      if (holder === undefined) return;
      holder.end();
    }
  }
  return {
    get heldBytes() {
      return heldBytes;
    },
    join(name, end) {
      const client = clients.get(name) ?? { holders: new Set<Holder>(), bytes: 0 };
      clients.set(name, client);
      let isGone = false;
      const count = (bytes: number): void => {
        holder.bytes += bytes;
        client.bytes += bytes;
        heldBytes += bytes;
      };
      const leave = (): void => {
        if (isGone) return;
        isGone = true;
        count(-holder.bytes);
        client.holders.delete(holder);
        if (client.holders.size === 0) clients.delete(name);
      };
      const holder: Holder = {
        bytes: 0,
        end() {
          leave();
          end();
        },
      };
      client.holders.add(holder);
      return {
        hold(bytes) {
          if (isGone) return;
          count(bytes);
          if (heldBytes > bytesMax) endLargest();
        },
        release(bytes) {
          if (!isGone) count(-bytes);
        },
        leave,
      };
    },
  };
}
