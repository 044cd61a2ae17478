import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { readRegularFile } from '@coold/runtime';
import { isSecretName } from './redact.ts';

/** Where this host keeps secrets that may appear in logs, rules and error texts. */
export interface SecretPlaces {
  /** Files that each hold one secret. */
  files: readonly string[];
  /** Values of settings that are not shown. */
  hidden: readonly string[];
  /** Environment variables and labels of containers and networks, as NAME=value. */
  assignments: readonly string[];
  /** The folder of WireGuard's interface files. */
  wireguardFolder?: string;
}

/** Files with secrets of other programs. */
const otherSecretFiles = {
  wireguardFolder: '/etc/wireguard',
  corrosion: ['/etc/corrosion/config.toml', '/etc/corrosion/corrosion.toml'],
  registries: [
    '/run/containers/0/auth.json',
    '/root/.config/containers/auth.json',
    '/root/.docker/config.json',
  ],
};

const maxBytes = 256 * 1024;
const maxFiles = 64;

/** Returns every readable secret of these places. Never rejects. */
export async function readKnownSecrets(places: SecretPlaces): Promise<string[]> {
  const { corrosion, registries } = otherSecretFiles;
  const { wireguardFolder = otherSecretFiles.wireguardFolder } = places;
  const [own, ofWireguard, ofCorrosion, ofRegistries] = await Promise.all([
    readAll(places.files),
    readAll(await filesOf(wireguardFolder)),
    readAll(corrosion),
    readAll(registries),
  ]);
  return [
    ...own,
    ...places.hidden,
    ...ofWireguard.flatMap(text => valuesIn(text, /^\s*(?:PrivateKey|PresharedKey)\s*=\s*(\S+)/gim)),
    ...ofCorrosion.flatMap(text =>
      valuesIn(text, /^\s*(?:bearer-token|[\w-]*(?:token|secret|password))\s*=\s*"([^"]+)"/gim),
    ),
    ...ofRegistries.flatMap(registrySecrets),
    ...places.assignments.flatMap(assignedSecret),
  ];
}

/** Returns a folder's files; none when it is missing or not readable. */
async function filesOf(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch(() => []);
  return names.slice(0, maxFiles).map(name => join(folder, name));
}

/** Returns the value when the name is one of a secret, and the password of a URL under any name. */
function assignedSecret(assignment: string): string[] {
  const at = assignment.indexOf('=');
  const [name, value] = [assignment.slice(0, at), assignment.slice(at + 1)];
  if (at <= 0) return [];
  const [, ofUrl] = /^[a-z][a-z0-9+.-]{0,32}:\/\/[^\s/:@]{0,256}:([^\s@]{1,1024})@/i.exec(value) ?? [];
  return [...(isSecretName(name) ? [value] : []), ...(ofUrl === undefined ? [] : [ofUrl, decoded(ofUrl)])];
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Returns the secrets that `podman login` stores: `user:password` in base64, or as other tools write it. Pure. */
export function registrySecrets(text: string): string[] {
  const plain = valuesIn(text, /"password"\s*:\s*"([^"]+)"/g);
  return [...plain, ...encodedLogins(text)];
}

function encodedLogins(text: string): string[] {
  return valuesIn(text, /"(?:auth|identitytoken|registrytoken)"\s*:\s*"([^"]+)"/g).flatMap(auth => {
    const password = Buffer.from(auth, 'base64').toString('utf8').split(':').slice(1).join(':');
    return password === '' ? [auth] : [auth, password];
  });
}

const valuesIn = (text: string, pattern: RegExp) =>
  [...text.matchAll(pattern)].flatMap(([, value]) => value ?? []);

async function readAll(paths: readonly string[]): Promise<string[]> {
  const read = await Promise.all(
    paths.map(async path => {
      try {
        return [await readRegularFile(path, { maxBytes })];
      } catch {
        return []; // not there, or not for us to see: then it is in nothing that we can read either; or no secret's file
      }
    }),
  );
  return read.flat();
}
