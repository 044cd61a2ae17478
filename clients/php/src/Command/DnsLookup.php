<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Command;

/**
 * What a name leads to, as this host's DNS answers it.
 * @implements Command<\Coolify\Coold\Data\DnsLookupAnswer>
 */
final readonly class DnsLookup implements Command
{
    /** @param string $name A domain name, whole: search domains are the client's. */
    public function __construct(
        public string $name,
    ) {
    }

    public function type(): string
    {
        return 'dns.lookup';
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

    public function read(mixed $data): \Coolify\Coold\Data\DnsLookupAnswer
    {
        return \Coolify\Coold\Data\DnsLookupAnswer::from($data);
    }
}
