/** A member's own program: it has the keys of the small world's room, and says what it likes. */
import { createDeviceKey } from '../../engine/src/crypto/device-key.ts';
import { createRoomCipher } from '../../engine/src/crypto/room-cipher.ts';
import type { DeviceKey, RoomCipher } from '../../engine/src/ports/room-cipher.ts';
import type { RoomSession } from '../../engine/src/ports/room-session.ts';
import { createSeededRandom } from '../../engine/src/testing/seeded-random.ts';
import { roomSecret, type SmallWorld } from './small-world.ts';

export interface ForeignMember {
  readonly cipher: RoomCipher;
  readonly device: DeviceKey;
  readonly session: RoomSession;
}

export async function foreignMember(world: SmallWorld): Promise<ForeignMember> {
  const random = createSeededRandom('foreign member');
  const device = createDeviceKey(random.bytes(32));
  const cipher = createRoomCipher({ secret: roomSecret, epoch: 0, device, random });
  const session = await new Promise<RoomSession>((resolve) => {
    world.relay.client().open(
      { cipher, urls: ['ws://memory'], relayKey: null },
      {
        known: () => null,
        onOnline: resolve,
        onOffline: () => {},
        onResponsive: () => {},
        onRefused: () => {},
        onHeadMoved: () => {},
        onPushed: () => {},
        onPresence: () => {},
      },
    );
  });
  return { cipher, device, session };
}
