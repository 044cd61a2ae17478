<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Command;

/**
 * One allowed flow with what it has counted.
 * @implements Command<\Coolify\Coold\Data\FirewallShowAnswer>
 */
final readonly class FirewallShow implements Command
{
    /** @param string $id The id of the rule. */
    public function __construct(
        public string $id,
    ) {
    }

    public function type(): string
    {
        return 'firewall.show';
    }

    public function fields(): array
    {
        return array_filter([
            'id' => $this->id,
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

    public function read(mixed $data): \Coolify\Coold\Data\FirewallShowAnswer
    {
        return \Coolify\Coold\Data\FirewallShowAnswer::from($data);
    }
}
