import { describe, expect, it } from 'vitest';
import { rel } from '../test-support/entries.ts';
import { isSecretLooking } from './secret-names.ts';

describe('names that look like secrets', () => {
  it.each([
    ...[
      '.env',
      '.env.local',
      'prod.env',
      '.ENV',
      'a/b/server.pem',
      'tls.key',
      'id_rsa',
      'id_ed25519',
      'id_rsa.bak',
      '.netrc',
      '.npmrc',
      '.git-credentials',
    ],
    ...[
      'credentials',
      'credentials.json',
      'aws-credentials.csv',
      'secrets.yml',
      'secret.txt',
      'my_password.txt',
      'token',
      '.ssh/config',
      '.aws/x',
      'store.jks',
      'x.kdbx',
      'terraform.tfstate',
      'service-account-1.json',
    ],
  ])('%s', (path) => expect(isSecretLooking(rel(path))).toBe(true));
  it.each([
    ...[
      'a.txt',
      'environment.ts',
      'keyboard.ts',
      'monkey.js',
      'id_rsa.pub',
      'tokenizer.ts',
      'dist/app.js',
      'README.md',
      'package-lock.json',
      'secretary.md',
      'envelope',
    ],
  ])('%s does not', (path) => expect(isSecretLooking(rel(path))).toBe(false));
});
