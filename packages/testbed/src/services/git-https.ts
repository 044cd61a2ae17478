import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { runChild } from '@coold/runtime';

/** git's own HTTP server behind TLS, in this process. */
export interface GitHttps extends AsyncDisposable {
  /** `https://127.0.0.1:port`, to which the folder of a repository is appended. */
  url: string;
  /** The path of its CA certificate in PEM, for GIT_SSL_CAINFO. */
  caFile: string;
}

export interface GitHttpsOptions {
  /** Files of its own. */
  folder: string;
  /** Every repository in it is served. */
  repositories: string;
  /** Speaks only the protocol before version 2, in which a server sends only commits that a ref points to. */
  old?: boolean;
  /** `user:password` that it asks for. */
  credentials?: string;
}

/** Needs git and openssl. */
export async function startGitHttps(options: GitHttpsOptions): Promise<GitHttps> {
  const { folder } = options;
  await mkdir(folder, { recursive: true });
  const [caFile, keyFile] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  const certificate = [
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:prime256v1',
    '-nodes',
    '-days',
    '2',
  ];
  const names = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const made = await runChild(
    'openssl',
    ['req', ...certificate, ...names, '-keyout', keyFile, '-out', caFile],
    { timeoutMs: 20_000 },
  );
  if (made.code !== 0) throw new Error(`openssl: ${made.stderr}`);
  const server = createServer(
    { cert: await readFile(caFile), key: await readFile(keyFile) },
    (request, response) => answer(request, response, options),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    caFile,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function answer(request: IncomingMessage, response: ServerResponse, options: GitHttpsOptions): void {
  const { repositories, old = false, credentials } = options;
  const wanted =
    credentials === undefined ? undefined : `Basic ${Buffer.from(credentials).toString('base64')}`;
  if (wanted !== undefined && request.headers.authorization !== wanted) {
    response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end();
    return;
  }
  const { pathname, search } = new URL(request.url ?? '/', 'https://host');
  const protocol = request.headers['git-protocol'];
  const child = spawn('git', ['http-backend'], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: {
      PATH: process.env['PATH'],
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_CONFIG_GLOBAL: '/dev/null',
      GIT_PROJECT_ROOT: repositories,
      GIT_HTTP_EXPORT_ALL: '1',
      PATH_INFO: decodeURIComponent(pathname),
      QUERY_STRING: search.slice(1),
      REQUEST_METHOD: request.method,
      CONTENT_TYPE: request.headers['content-type'],
      HTTP_CONTENT_ENCODING: request.headers['content-encoding'],
      ...(old || typeof protocol !== 'string' ? {} : { GIT_PROTOCOL: protocol }),
    },
  });
  child.stdin.on('error', () => {}); // a backend that has read enough
  request.pipe(child.stdin);
  let head = Buffer.alloc(0);
  const onHead = (chunk: Buffer) => {
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf('\r\n\r\n');
    if (end < 0) return;
    const fields = head
      .subarray(0, end)
      .toString('latin1')
      .split('\r\n')
      .map(line => line.split(/: (.*)/s));
    const status = fields.find(([name]) => name === 'Status')?.[1] ?? '200';
    response.writeHead(
      Number.parseInt(status, 10),
      Object.fromEntries(fields.filter(([name]) => name !== 'Status').map(([name, value]) => [name, value])),
    );
    child.stdout.off('data', onHead);
    response.write(head.subarray(end + 4));
    child.stdout.pipe(response);
  };
  child.stdout.on('data', onHead);
  child.once('error', () => response.destroy());
  response.once('close', () => child.kill('SIGKILL'));
}
