<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Command;

/**
 * Brings both planes to what the snapshots on disk say.
 * @implements Command<null>
 */
final readonly class FirewallReconcile implements Command
{

    public function type(): string
    {
        return 'firewall.reconcile';
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

    public function read(mixed $data): mixed
    {
        return null;
    }
}
