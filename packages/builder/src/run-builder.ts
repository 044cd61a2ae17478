import { join, resolve } from 'node:path';
import {
  BuildCancelled,
  BuildFailure,
  buildImage,
  makeScratch,
  meansNoSpace,
  RequestError,
  removeScratch,
} from '@coold/builder-core';
import { errorMessage } from '@coold/runtime/unknown-values';
import { readDiskLimits } from './disk-limits.ts';
import { openEventsFile } from './events-file.ts';
import { createProgressEncoder, encodeFrame, type Frame } from './frames.ts';
import { readInvocation } from './invocation.ts';
import { openLossyOutput } from './lossy-output.ts';
import { type Outcome, outcomeFileIn, writeOutcome } from './outcome.ts';
import { takeRequestFile } from './request-file.ts';

/** What the process gives a build. */
export interface Surroundings {
  version: string;
  env: NodeJS.ProcessEnv;
  /** Aborts on SIGTERM or SIGINT. */
  signal: AbortSignal;
  say(text: string, stream: 'stdout' | 'stderr'): void;
}

/**
 * How long the removal of the scratch folder may take, in ms. A cancelled build must end within 2 s (docs/contract.md §7); coold
 * removes the rest.
 */
const removalMs = { cancelled: 500, ended: 120_000 };
const readerMs = 250;

/**
 * Runs one build and returns its exit code (docs/contract.md §7): 0 built, 1 not built, 2 usage or input/output, 130 cancelled.
 * Never rejects.
 */
export async function runBuilder(argv: readonly string[], surroundings: Surroundings): Promise<number> {
  const { version, say } = surroundings;
  const invocation = readInvocation(argv, version);
  switch (invocation.kind) {
    case 'print':
      say(invocation.text, 'stdout');
      return 0;
    case 'wrong':
      say(invocation.text, 'stderr');
      return 2;
    case 'build':
      try {
        return await runBuild(invocation.requestPath, resolve(invocation.workDir), surroundings);
      } catch (error) {
        say(`builder: ${errorMessage(error)}`, 'stderr');
        return 2;
      }
  }
}

async function runBuild(requestPath: string, workDir: string, surroundings: Surroundings): Promise<number> {
  const before = await outcomeFileIn(workDir);
  if (before !== undefined)
    throw new Error(`${join(workDir, before)} is there already: this build has ended`);
  const events = openEventsFile(join(workDir, 'events.ndjson'));
  const reader = openLossyOutput(1);
  const emit = (line: string) => {
    events.append(line);
    reader.write(line);
  };
  const outcome = await outcomeOf(requestPath, workDir, surroundings, emit);
  // The file is written first, so that a reader of the frame finds it.
  await record(workDir, outcome);
  emit(encodeFrame(outcomeFrame(outcome)));
  events.close();
  const cancelled = outcome.exit === 130;
  const left = await removeScratch(workDir, cancelled ? removalMs.cancelled : removalMs.ended);
  if (left !== undefined) surroundings.say(`builder: ${left}`, 'stderr');
  await reader.finish(readerMs);
  return outcome.exit;
}

async function outcomeOf(
  requestPath: string,
  workDir: string,
  { env, signal }: Surroundings,
  emit: (line: string) => void,
): Promise<Outcome> {
  const encode = createProgressEncoder();
  try {
    const request = await takeRequestFile(requestPath);
    const { digest, registryRef, stackUsed } = await buildImage(request, {
      scratch: await makeScratch(workDir),
      env,
      signal,
      limits: readDiskLimits(env),
      report: progress => {
        for (const line of encode(progress)) emit(line);
      },
    });
    // The time since this process started.
    const duration = Math.round(performance.now());
    const ok = { digest, registry_ref: registryRef, duration_ms: duration, stack_used: stackUsed };
    return { kind: 'result', ok, exit: 0 };
  } catch (error) {
    return failed(error);
  }
}

function failed(error: unknown): Outcome {
  const outcome = (exit: 1 | 2 | 130, code: number, stage: string, message: string): Outcome => ({
    kind: 'error',
    err: { code, message, stage },
    exit,
  });
  if (error instanceof BuildCancelled) return outcome(130, 499, 'cancel', 'cancelled');
  if (error instanceof RequestError) return outcome(2, 400, 'request', error.message);
  if (error instanceof BuildFailure) return outcome(1, error.code, error.stage, error.message);
  const message = errorMessage(error);
  return outcome(2, meansNoSpace(message) ? 507 : 500, 'builder', message);
}

/** Writes the outcome. On a full disk the scratch folder is removed to make room. @throws Error */
async function record(workDir: string, outcome: Outcome): Promise<void> {
  try {
    await writeOutcome(workDir, outcome);
  } catch {
    await removeScratch(workDir, removalMs.ended);
    await writeOutcome(workDir, outcome);
  }
}

function outcomeFrame(outcome: Outcome): Frame {
  return outcome.kind === 'result' ? { type: 'result', ok: outcome.ok } : { type: 'error', err: outcome.err };
}
