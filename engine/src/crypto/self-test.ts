/**
 * Shows at start-up that this runtime has the algorithms that a peer needs and that they compute what the standards say:
 * Electron's crypto library is not Node's. Known answers; a few milliseconds.
 */
import { createHmac, createSecretKey, hash, hkdfSync } from 'node:crypto';
import { bytesToHex, err, hexToBytes, ok, type Result, verifyEd25519 } from '@driftless/protocol';
import { aeadOpen, aeadSeal } from './aead.ts';
import { signingKeyFromSeed } from './ed25519.ts';
import { pack, unpack } from './packing.ts';

/** The error names what is missing or wrong. */
export function selfTestCrypto(): Result<null, string> {
  for (const [name, holds] of Object.entries(tests)) {
    try {
      if (!holds()) return err(`This runtime computes ${name} wrongly.`);
    } catch {
      return err(`This runtime has no ${name}.`);
    }
  }
  return ok(null);
}

const tests: Readonly<Record<string, () => boolean>> = {
  // FIPS 180-4, "abc".
  'SHA-256': () =>
    hash('sha256', hexToBytes('616263')) === 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
  // RFC 4231, case 2.
  HMAC: () =>
    createHmac('sha256', createSecretKey(Buffer.from('Jefe')))
      .update('what do ya want for nothing?')
      .digest('hex') === '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
  // RFC 5869, case 1.
  HKDF: () => {
    const key = createSecretKey(new Uint8Array(22).fill(0x0b));
    const salt = hexToBytes('000102030405060708090a0b0c');
    const derived = hkdfSync('sha256', key, salt, hexToBytes('f0f1f2f3f4f5f6f7f8f9'), 42);
    return (
      bytesToHex(new Uint8Array(derived)) ===
      '3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865'
    );
  },
  // The GCM specification, case 14.
  'AES-256-GCM': () => {
    const seal = {
      key: createSecretKey(new Uint8Array(32)),
      nonce: new Uint8Array(12),
      associated: new Uint8Array(0),
    };
    const sealed = aeadSeal(seal, new Uint8Array(16));
    const expected = 'cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919';
    const altered = Uint8Array.from(sealed, (byte, index) => (index === 0 ? byte ^ 1 : byte));
    return (
      bytesToHex(sealed) === expected && aeadOpen(seal, sealed) !== undefined && aeadOpen(seal, altered) === undefined
    );
  },
  // RFC 8032, 7.1, test 2.
  Ed25519: () => {
    const key = signingKeyFromSeed(hexToBytes('4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb'));
    const message = hexToBytes('72');
    const signature = key.sign(message);
    return (
      bytesToHex(key.publicKey) === '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c' &&
      bytesToHex(signature) ===
        '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00' &&
      verifyEd25519(key.publicKey, message, signature) &&
      !verifyEd25519(key.publicKey, hexToBytes('73'), signature)
    );
  },
  deflate: () => {
    const plain = new Uint8Array(4096).fill(7);
    const packed = pack(plain);
    const unpacked = unpack(packed, plain.length);
    return packed.length < 1024 && unpacked?.length === plain.length && unpacked.every((byte) => byte === 7);
  },
};
