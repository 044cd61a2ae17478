<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Command;

/**
 * Many flows at once, all or nothing.
 * @implements Command<\Coolify\Coold\Data\FirewallBulkAnswer>
 */
final readonly class FirewallBulk implements Command
{
    /**
     * @param list<\Coolify\Coold\Input\FirewallAllow>|null $add Flows to allow.
     * @param list<string>|null $remove Ids.
     */
    public function __construct(
        public ?array $add = null,
        public ?array $remove = null,
    ) {
    }

    public function type(): string
    {
        return 'firewall.bulk';
    }

    public function fields(): array
    {
        return array_filter([
            'add' => $this->add === null ? null : array_map(static fn ($item): object => (object) $item->fields(), array_values($this->add)),
            'remove' => $this->remove === null ? null : array_values($this->remove),
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

    public function read(mixed $data): \Coolify\Coold\Data\FirewallBulkAnswer
    {
        return \Coolify\Coold\Data\FirewallBulkAnswer::from($data);
    }
}
