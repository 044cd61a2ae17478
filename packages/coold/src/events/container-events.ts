import type { ContainerFacts } from '../podman/lifecycle.ts';
import type { EventLog, Fact } from './event-log.ts';

/** The longest text from outside that is kept, in characters. */
const maxText = 256;

const topicOf = (id: string) => `container ${id}`;

/** Reports Podman's facts about this host's containers to the log. */
export function containerEvents(log: Pick<EventLog, 'know' | 'forget' | 'known'>) {
  return {
    changed(facts: ContainerFacts): void {
      const topic = topicOf(facts.id);
      const before = log.known(topic);
      const now = factOf(facts);
      log.know(topic, { type: typeOf(before, now), container: now });
    },
    gone(id: string): void {
      const before = log.known(topicOf(id))?.container;
      if (before != null) log.forget(topicOf(id), { type: 'container.removed', container: before });
    },
  };
}

function factOf({ id, name, state, health, run }: ContainerFacts): NonNullable<Fact['container']> {
  return {
    id,
    name: name.slice(0, maxText),
    state: state.slice(0, maxText),
    health: health.slice(0, maxText),
    startedAt: (run?.startedAt ?? '').slice(0, maxText),
    exitCode: state === 'running' ? 0 : (run?.exitCode ?? 0),
  };
}

/** Returns the former type when nothing has changed, so that the log makes no event of it. */
function typeOf(before: Fact | undefined, now: NonNullable<Fact['container']>): string {
  const { container } = before ?? {};
  if (before === undefined || container == null) return 'container.created';
  const isSameRun =
    container.state === now.state &&
    container.startedAt === now.startedAt &&
    container.exitCode === now.exitCode;
  if (!isSameRun || container.name !== now.name) return 'container.state';
  return container.health === now.health ? before.type : 'container.health';
}
