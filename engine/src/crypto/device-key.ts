/** A device's signing key (rule CLONE: one for each linked folder). */
import { bytesToHex, type DeviceId } from '@driftless/protocol';
import type { DeviceKey } from '../ports/room-cipher.ts';
import { signingKeyFromSeed } from './ed25519.ts';
import { hidden } from './hidden.ts';

/** `seed`: 32 random bytes. The device's id is the public key. */
export function createDeviceKey(seed: Uint8Array): DeviceKey {
  const key = signingKeyFromSeed(seed);
  return hidden('DeviceKey', { device: bytesToHex(key.publicKey) as DeviceId, sign: key.sign });
}
