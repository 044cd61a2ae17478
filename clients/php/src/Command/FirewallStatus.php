<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Command;

/**
 * How planes, snapshots and what was asked for compare.
 * @implements Command<\Coolify\Coold\Data\FirewallStatusAnswer>
 */
final readonly class FirewallStatus implements Command
{

    public function type(): string
    {
        return 'firewall.status';
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

    public function read(mixed $data): \Coolify\Coold\Data\FirewallStatusAnswer
    {
        return \Coolify\Coold\Data\FirewallStatusAnswer::from($data);
    }
}
