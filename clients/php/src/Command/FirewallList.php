<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Command;

/**
 * Every allowed flow, by namespace and id.
 * @implements Command<list<\Coolify\Coold\Data\FirewallRule>>
 */
final readonly class FirewallList implements Command
{
    /** @param string|null $namespace Empty: of every namespace. */
    public function __construct(
        public ?string $namespace = null,
    ) {
    }

    public function type(): string
    {
        return 'firewall.list';
    }

    public function fields(): array
    {
        return array_filter([
            'namespace' => $this->namespace,
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
        return array_map(\Coolify\Coold\Data\FirewallRule::from(...), $data);
    }
}
