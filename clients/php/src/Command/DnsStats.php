<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Command;

/**
 * What this host's DNS has answered, from how fresh a directory, and where it listens.
 * @implements Command<\Coolify\Coold\Data\DnsStatsAnswer>
 */
final readonly class DnsStats implements Command
{

    public function type(): string
    {
        return 'dns.stats';
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

    public function read(mixed $data): \Coolify\Coold\Data\DnsStatsAnswer
    {
        return \Coolify\Coold\Data\DnsStatsAnswer::from($data);
    }
}
