<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Command;

/**
 * What changes on the host: containers and their health, the firewall, DNS, builds; as a stream it goes on, and
 * otherwise tells what there is since a cursor.
 * @implements Command<list<\Coolify\Coold\Data\HostEvent>>
 */
final readonly class HostEvents implements Command
{
    /**
     * @param string|null $since The cursor of the last event that the caller has dealt with; absent: what is now, then
     * what changes from now on.
     * @param bool|null $follow As a stream: false ends it once everything is told that is known; true when absent.
     * Otherwise only false.
     */
    public function __construct(
        public ?string $since = null,
        public ?bool $follow = null,
    ) {
    }

    public function type(): string
    {
        return 'host.events';
    }

    public function fields(): array
    {
        return array_filter([
            'since' => $this->since,
            'follow' => $this->follow,
        ], static fn (mixed $value): bool => $value !== null);
    }

    public function deadline(): ?float
    {
        return null;
    }

    public function worksAnew(): bool
    {
        return false;
    }

    public function read(mixed $data): array
    {
        return array_map(\Coolify\Coold\Data\HostEvent::from(...), $data);
    }
}
