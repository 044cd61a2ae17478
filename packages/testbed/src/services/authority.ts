import { randomBytes } from 'node:crypto';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runChild } from '@coold/runtime';

/** A certificate authority for tests. All its files are in one folder. */
export interface Authority {
  caPath: string;
  issue(name: string, options?: IssueOptions): Promise<Issued>;
}

export interface IssueOptions {
  /** The subject alternative names in the notation of openssl. Default: this machine. */
  addresses?: string;
  /** Below 0: it has ended already. */
  days?: number;
}

/** A certificate with its key, as files and as PEM texts. */
export interface Issued {
  certPath: string;
  keyPath: string;
  credentials: { cert: string; key: string; ca: string };
}

const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

/**
 * Creates an authority.
 *
 * @param name the name of its certificate. Several authorities may share a folder
 * @param days how long its certificate is good
 */
export async function createAuthority(folder: string, name = 'ca', days = 2): Promise<Authority> {
  const at = (file: string) => join(folder, file);
  const [caPath, caKey] = [at(`${name}.crt`), at(`${name}.key`)];
  await openssl(
    'req',
    '-x509',
    ...newKey,
    '-days',
    String(days),
    '-subj',
    `/CN=${name}`,
    '-keyout',
    caKey,
    '-out',
    caPath,
  );
  const ca = await readFile(caPath, 'utf8');
  return {
    caPath,
    async issue(subject, { addresses = 'IP:127.0.0.1,DNS:localhost', days = 1 } = {}) {
      const [certPath, keyPath, request] = [at(`${subject}.crt`), at(`${subject}.key`), at(`${subject}.csr`)];
      await openssl('req', ...newKey, '-subj', `/CN=${subject}`, '-keyout', keyPath, '-out', request);
      await chmod(keyPath, 0o600);
      await writeFile(at(`${subject}.ext`), `subjectAltName=${addresses}\n`);
      // Not -CAcreateserial: certificates issued at the same time would read a file that another is just writing.
      const serial = `0x${randomBytes(16).toString('hex')}`;
      await openssl(
        ...['x509', '-req', '-in', request, '-CA', caPath, '-CAkey', caKey, '-set_serial', serial],
        ...['-days', String(days), '-extfile', at(`${subject}.ext`), '-out', certPath],
      );
      const [cert, key] = await Promise.all([readFile(certPath, 'utf8'), readFile(keyPath, 'utf8')]);
      return { certPath, keyPath, credentials: { cert, key, ca } };
    },
  };
}

async function openssl(...args: string[]): Promise<void> {
  const { code, stderr } = await runChild('openssl', args, { timeoutMs: 60_000 });
  if (code !== 0) throw new Error(`openssl ${args[0]}: ${stderr}`);
}
