<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Command;

/**
 * Whether a flow would pass this host, hop by hop, by which rule, and what would open it.
 * @implements Command<\Coolify\Coold\Data\FirewallExplainAnswer>
 */
final readonly class FirewallExplain implements Command
{
    /**
     * @param string $src A container by its name, its id or 12 digits of that at least, its name in the cluster's DNS,
     * or its IPv4 address.
     * @param string $dst As `src`, for the other end.
     * @param 'tcp'|'udp'|null $proto "tcp" or "udp"; absent: any protocol, so the verdict is "unknown" where it
     * depends on that.
     * @param int|null $port From 1 to 65535, with a proto; absent: any port.
     */
    public function __construct(
        public string $src,
        public string $dst,
        public ?string $proto = null,
        public ?int $port = null,
    ) {
    }

    public function type(): string
    {
        return 'firewall.explain';
    }

    public function fields(): array
    {
        return array_filter([
            'src' => $this->src,
            'dst' => $this->dst,
            'proto' => $this->proto,
            'port' => $this->port,
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

    public function read(mixed $data): \Coolify\Coold\Data\FirewallExplainAnswer
    {
        return \Coolify\Coold\Data\FirewallExplainAnswer::from($data);
    }
}
