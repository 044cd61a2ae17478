import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runChild } from '@coold/runtime';
import type { Credentials } from './credentials.ts';

/** For tests: an authority whose certificates lie in a folder, as `<name>.crt` and `<name>.key` beside `<its own>.crt`. */
export interface Authority {
  caPath: string;
  /** @param days 0: it ends as it begins */
  issue(
    name: string,
    days?: number,
  ): Promise<{ certPath: string; keyPath: string; credentials: Credentials }>;
}

async function openssl(...args: string[]): Promise<void> {
  const { code, stderr } = await runChild('openssl', args, { timeoutMs: 60_000 });
  if (code !== 0) throw new Error(`openssl ${args[0]}: ${stderr}`);
}

const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

/** @param addresses what its certificates are for, as openssl takes it */
export async function createAuthority(
  folder: string,
  own = 'ca',
  addresses = 'IP:127.0.0.1,DNS:localhost',
): Promise<Authority> {
  const at = (name: string) => join(folder, name);
  await openssl(
    ...['req', '-x509', ...newKey, '-days', '2', '-subj', `/CN=${own}`],
    ...['-keyout', at(`${own}.key`), '-out', at(`${own}.crt`)],
  );
  const ca = await readFile(at(`${own}.crt`), 'utf8');
  return {
    caPath: at(`${own}.crt`),
    async issue(name, days = 1) {
      const [certPath, keyPath] = [at(`${name}.crt`), at(`${name}.key`)];
      await openssl('req', ...newKey, '-subj', `/CN=${name}`, '-keyout', keyPath, '-out', at(`${name}.csr`));
      await chmod(keyPath, 0o600);
      await writeFile(at(`${name}.ext`), `subjectAltName=${addresses}\n`);
      await openssl(
        ...['x509', '-req', '-in', at(`${name}.csr`), '-CA', at(`${own}.crt`), '-CAkey', at(`${own}.key`)],
        ...['-CAcreateserial', '-days', String(days), '-extfile', at(`${name}.ext`), '-out', certPath],
      );
      const [cert, key] = await Promise.all([readFile(certPath, 'utf8'), readFile(keyPath, 'utf8')]);
      return { certPath, keyPath, credentials: { cert, key, ca } };
    },
  };
}
