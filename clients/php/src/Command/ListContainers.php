<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Command;

/**
 * Every container of the host with its networks.
 * @implements Command<list<\Coolify\Coold\Data\ContainerSummary>>
 */
final readonly class ListContainers implements Command
{

    public function type(): string
    {
        return 'list_containers';
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
        return array_map(\Coolify\Coold\Data\ContainerSummary::from(...), $data);
    }
}
