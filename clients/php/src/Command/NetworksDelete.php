<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Command;

/**
 * Removes a network that no container uses.
 * @implements Command<null>
 */
final readonly class NetworksDelete implements Command
{
    /** @param string $name The full name of the network. */
    public function __construct(
        public string $name,
    ) {
    }

    public function type(): string
    {
        return 'networks.delete';
    }

    public function fields(): array
    {
        return array_filter([
            'name' => $this->name,
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

    public function read(mixed $data): mixed
    {
        return null;
    }
}
