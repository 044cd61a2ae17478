<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Command;

/**
 * Every network with its namespace and subnet.
 * @implements Command<list<\Coolify\Coold\Data\Network>>
 */
final readonly class NetworksList implements Command
{

    public function type(): string
    {
        return 'networks.list';
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
        return array_map(\Coolify\Coold\Data\Network::from(...), $data);
    }
}
