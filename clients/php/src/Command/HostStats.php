<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Command;

/**
 * What every container uses now.
 * @implements Command<list<\Coolify\Coold\Data\ContainerStats>>
 */
final readonly class HostStats implements Command
{

    public function type(): string
    {
        return 'host.stats';
    }

    public function fields(): array
    {
        return [];
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
        return array_map(\Coolify\Coold\Data\ContainerStats::from(...), $data);
    }
}
