import { spawn } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { runChild } from '@coold/runtime';
import type { PodmanService } from './podman-service.ts';

/** A real registry on the loopback of a Podman's own network. */
export interface Registry extends AsyncDisposable {
  /** `127.0.0.1:port`, the beginning of a reference. */
  address: string;
}

export interface RegistryOptions {
  /** The folder of the registry. It is created when missing. */
  folder: string;
  port: number;
  /** Asks for the name `robot` and the password `secret-word`. */
  auth?: boolean;
}

/** bcrypt of `secret-word`, as the registry wants it: no program on a plain machine makes one. */
const htpasswd = 'robot:$2b$05$abcdefghijklmnopqrstuuUOabO4v2PoT/v47Y.znQK.9MsMDnesq\n';

/** Needs root, docker-registry and nsenter. */
export async function startRegistry(
  podman: PodmanService,
  { folder, port, auth = false }: RegistryOptions,
): Promise<Registry> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'htpasswd'), htpasswd);
  const address = `127.0.0.1:${port}`;
  const config = {
    version: '0.1',
    log: { level: 'error' },
    storage: { filesystem: { rootdirectory: join(folder, 'store') } },
    http: { addr: address },
    ...(auth ? { auth: { htpasswd: { realm: 'test', path: join(folder, 'htpasswd') } } } : {}),
  };
  const configPath = join(folder, 'config.yml');
  await writeFile(configPath, JSON.stringify(config)); // YAML is a superset of it
  const within = ['-t', String(podman.netnsPid), '-n', '--'];
  const child = spawn('nsenter', [...within, 'docker-registry', 'serve', configPath], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString('utf8')).slice(-2000);
  });
  const exited = new Promise<void>(resolve => child.once('close', () => resolve()));
  child.once('error', error => {
    said += error.message;
  });
  const registry: Registry = {
    address,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      if (child.pid !== undefined) await exited;
    },
  };
  // The registry does not report when it listens, so it is polled.
  for (const deadline = Date.now() + 10_000; Date.now() < deadline; await delay(20)) {
    const probe = await runChild('nsenter', [...within, 'bash', '-c', `: </dev/tcp/127.0.0.1/${port}`], {
      timeoutMs: 2000,
    }).catch(() => undefined);
    if (probe?.code === 0) return registry;
    if (child.exitCode !== null) break;
  }
  await registry[Symbol.asyncDispose]();
  throw new Error(`docker-registry did not come up: ${said}`);
}
