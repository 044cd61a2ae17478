import { runChild } from '@coold/runtime';
import type { PodmanService } from '@coold/testbed';

/** Runs a program that uses a Podman service. @returns how long it took, in ms */
export async function runBeside(podman: PodmanService, command: string[]): Promise<number> {
  const [program = '', ...args] = [...podman.beside, ...command];
  const started = performance.now();
  const { code, stderr } = await runChild(program, args, {
    timeoutMs: 120_000,
    env: { PATH: process.env['PATH'], HOME: '/nowhere', ...podman.environment },
  });
  if (code !== 0) throw new Error(`${command.join(' ')}: exit ${code}: ${stderr}`);
  return performance.now() - started;
}
