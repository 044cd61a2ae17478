import { watch } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { Scratch } from '../scratch.ts';

/** Holds each step of a build until it may begin. */
export interface StepGate extends Disposable {
  /** The container runtime for buildah. */
  runtime: string;
}

/**
 * A runtime that asks, by a file, whether a container may be created, and then runs crun. Without it, buildah would run the
 * next step on a reused layer before the builder has read which layer that is. After ten minutes without an answer the
 * builder is gone, and the step fails.
 */
const script = (folder: string) => `#!/bin/sh
for word; do
  if [ "$word" = create ]; then
    # Not the process id: those are reused.
    read -r id </proc/sys/kernel/random/uuid || exit 1
    : >"${folder}/asks-$id" || exit 1
    tries=0
    until [ -e "${folder}/goes-$id" ]; do
      tries=$((tries + 1))
      [ "$tries" -lt 60000 ] || exit 1
      sleep 0.01
    done
    break
  fi
done
exec crun "$@"
`;

/**
 * Creates the runtime and answers its questions.
 *
 * @param mayRun is called for each step. After false the step waits until the build is ended
 * @throws Error when the files cannot be created
 */
export async function openStepGate(scratch: Scratch, mayRun: () => Promise<boolean>): Promise<StepGate> {
  const folder = join(scratch.folder, 'steps');
  const runtime = join(scratch.folder, 'runtime.sh');
  await mkdir(folder, { mode: 0o700 });
  await writeFile(runtime, script(folder), { mode: 0o700 });
  const answer = async (id: string) => {
    if (await mayRun()) await writeFile(join(folder, `goes-${id}`), '');
  };
  const watcher = watch(folder, { persistent: false }, (_, name) => {
    const [, id] = /^asks-([0-9a-f-]{36})$/.exec(name ?? '') ?? [];
    // Without an answer the step waits, and the build ends by its timeout.
    if (id !== undefined) void answer(id).catch(() => {});
  });
  watcher.on('error', () => {});
  return { runtime, [Symbol.dispose]: () => watcher.close() };
}

/**
 * Waits until everything that a program wrote before this call has been read. The current turn of the event loop may have
 * polled before the program wrote, so two quiet turns are needed.
 *
 * @param count returns how many reads there were so far
 */
export async function untilAllIsRead(count: () => number): Promise<void> {
  let before = count();
  for (let quiet = 0; quiet < 2; ) {
    await setImmediate();
    const now = count();
    quiet = now === before ? quiet + 1 : 0;
    before = now;
  }
}
