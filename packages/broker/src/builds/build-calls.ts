import {
  brokerFull,
  brokerStopping,
  type Failure,
  failure,
  hostNotReading,
  requestIdInFlight,
  requestIdUnknown,
} from '@coold/errors';
import type { Logger } from '@coold/runtime';
import type { Hosts } from '../hosts/hosts.ts';
import { type BuildReply, concludeBuild } from './build-envelope.ts';
import type { BuildOrder } from './build-request.ts';
import type { Builds } from './builds.ts';
import { placeBuild } from './placement.ts';

/** A caller's wait for a build's result. */
export interface ResultPoll {
  reply: Promise<BuildReply>;
  /** Call when the reply ended. `written`: it was sent whole, and the result counts as read. */
  close(written: boolean): void;
}

/** The build lane's calls on the builds of this broker, for its own callers and for those of other brokers. */
export interface BuildCalls {
  /** @returns undefined once the build was sent to its host */
  dispatch(order: BuildOrder): Failure | undefined;
  /** Waits for at most `timeoutMs`. */
  result(requestId: string, timeoutMs: number): ResultPoll | Failure;
  /** @returns undefined once the host is told to cancel, now or when it reconnects */
  cancel(requestId: string): Failure | undefined;
  /** @returns undefined once the result is removed */
  remove(requestId: string): Failure | undefined;
}

export interface BuildCallsDeps {
  builds: Pick<Builds, 'dispatch' | 'isInFlight' | 'poll' | 'cancel' | 'remove' | 'whereIs' | 'load'>;
  hosts: Pick<Hosts, 'list'>;
  log: Logger;
}

export function createBuildCalls({ builds, hosts, log }: BuildCallsDeps): BuildCalls {
  return {
    dispatch({ requestId, hostId: pin, type, schema, needs, build }) {
      // Checked before any host is chosen: a build may run although no host for it is connected now.
      if (builds.isInFlight(requestId)) return requestIdInFlight;
      const placement = placeBuild({
        hosts: hosts.list(),
        pin,
        type: needs.what,
        schema,
        load: hostId => builds.load(hostId),
      });
      if (placement.kind === 'refused') {
        const { code, reason, message } = placement;
        return code === 501 ? { code, reason, message, field: needs.field } : { code, reason, message };
      }
      const { host } = placement;
      switch (builds.dispatch(requestId, host, build)) {
        case 'sent':
          log.info({ request_id: requestId, host_id: host.hostId, type }, 'build sent to its host');
          return undefined;
        case 'in flight':
          return requestIdInFlight;
        case 'full':
          return brokerFull;
        case 'stopping':
          return brokerStopping;
        case 'unread':
          return hostNotReading;
      }
    },

    result(requestId, timeoutMs) {
      const poll = builds.poll(requestId);
      if (poll === 'unknown') return requestIdUnknown;
      if (poll === 'too many') return failure('too_many_pollers', 'too many callers wait for this build');
      const timer = setTimeout(() => poll.giveUp(), timeoutMs);
      const reply = poll.outcome.then(outcome => {
        clearTimeout(timer);
        return concludeBuild(requestId, outcome);
      });
      return { reply, close: poll.close };
    },

    cancel(requestId) {
      if (!builds.cancel(requestId)) return failure('request_id_unknown', 'request_id not in flight');
      const isAway = builds.whereIs(requestId)?.stream === undefined;
      log.info(
        { request_id: requestId },
        isAway ? 'build cancelled; its host will be told when it reconnects' : 'build cancelled',
      );
      return undefined;
    },

    remove(requestId) {
      switch (builds.remove(requestId)) {
        case 'removed':
          log.info({ request_id: requestId }, 'result of a build removed');
          return undefined;
        case 'in flight':
          return failure('build_not_ended', 'the build has not ended: cancel it first');
        case 'unknown':
          return requestIdUnknown;
      }
    },
  };
}
