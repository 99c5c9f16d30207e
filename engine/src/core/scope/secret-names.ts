/**
 * Names of files that mostly hold what must not leave a machine. Used where somebody is asked before files are published:
 * each of these is asked about alone, so that none goes along unseen with a thousand harmless ones.
 */
import type { RelPath } from '@driftless/protocol';

/** Of the last name, in small letters. */
const secretNames: readonly RegExp[] = [
  /^\.env($|[._-])/,
  /\.env$/,
  /\.(pem|key|p8|p12|pfx|pkcs12|jks|keystore|kdbx|ppk|ovpn|tfstate|tfvars|age|gpg|asc|der)$/,
  /^id_(rsa|dsa|ecdsa|ed25519)(_sk)?($|[._-])(?!pub$)/,
  /^\.?(netrc|_netrc|npmrc|yarnrc|pypirc|pgpass|my\.cnf|htpasswd|git-credentials|dockercfg|dockerconfigjson|s3cfg|boto|vault-token)$/,
  /credential/,
  /^\.?(secrets?|passwords?|passwd|shadow|tokens?|api[-_]?keys?)($|[._-])/,
  /[._-](secrets?|passwords?|token|apikey)($|\.)/,
  /service[-_]?account.*\.json$/,
  /^(kubeconfig|master\.key|keyfile|wallet\.dat)$/,
];
/** Directories in which every file is one. */
const secretDirectories: ReadonlySet<string> = new Set([
  '.ssh',
  '.aws',
  '.gnupg',
  '.kube',
  '.azure',
  '.gcloud',
  'secrets',
]);

export function isSecretLooking(path: RelPath): boolean {
  const names = path.toLowerCase().split('/');
  const name = names.at(-1) ?? '';
  return (
    secretNames.some((pattern) => pattern.test(name)) || names.slice(0, -1).some((each) => secretDirectories.has(each))
  );
}
