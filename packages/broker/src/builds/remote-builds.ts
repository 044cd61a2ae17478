import type { Failure } from '@coold/errors';
import type { HostPlace } from '../peers/routes/route.ts';
import type { ResultPoll } from './build-calls.ts';
import type { BuildReply } from './build-envelope.ts';

/** A build that another broker knows. */
export interface FoundBuild {
  place: HostPlace;
  /** Whether that broker has the stream of the build's host, or the build's result. */
  isHere: boolean;
}

/**
 * The build lane's calls, made at the broker that has the build or its host. That broker handles each call itself and
 * does not pass it on. Its refusals come back as it would give them to its own caller.
 */
export interface RemoteBuilds {
  /**
   * Finds the broker that has a build which this one does not know. Returns a failure where not all brokers answered.
   *
   * @param isWrong the remembered host of the build led to a broker that does not have it: all brokers are asked again
   */
  find(requestId: string, isWrong?: boolean): Promise<FoundBuild | 'unknown' | Failure>;
  /**
   * @param body of the call, as its caller sent it
   * @returns undefined once the build was sent to its host, else the refusal
   */
  dispatch(place: HostPlace, requestId: string, body: unknown): Promise<BuildReply | undefined>;
  /** Waits for a result for at most `timeoutMs`. */
  result(place: HostPlace, requestId: string, timeoutMs: number): ResultPoll;
  /** @returns undefined once it is done, else the refusal */
  cancel(place: HostPlace, requestId: string): Promise<BuildReply | undefined>;
  /** Removes a result. @returns undefined once it is done, else the refusal */
  remove(place: HostPlace, requestId: string): Promise<BuildReply | undefined>;
  /** Tells waiting callers that this broker stops. */
  stop(): void;
}
