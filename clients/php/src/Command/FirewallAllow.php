<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Command;

/**
 * Allows one flow, in both planes of the packet filter and on disk.
 * @implements Command<\Coolify\Coold\Data\FirewallRule>
 */
final readonly class FirewallAllow implements Command
{
    /**
     * @param string $src The address that the flow comes from: one IPv4 address.
     * @param string $dst The address that the flow goes to: one IPv4 address.
     * @param string|null $namespace A DNS label; "default" when empty.
     * @param 'tcp'|'udp'|null $proto "tcp" or "udp"; absent: every protocol.
     * @param int|null $port The port of `dst`, with a proto; absent: every port.
     * @param string|null $id The id that the caller expects; another one is refused.
     */
    public function __construct(
        public string $src,
        public string $dst,
        public ?string $namespace = null,
        public ?string $proto = null,
        public ?int $port = null,
        public ?string $id = null,
    ) {
    }

    public function type(): string
    {
        return 'firewall.allow';
    }

    public function fields(): array
    {
        return array_filter([
            'namespace' => $this->namespace,
            'src' => $this->src,
            'dst' => $this->dst,
            'proto' => $this->proto,
            'port' => $this->port,
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

    public function read(mixed $data): \Coolify\Coold\Data\FirewallRule
    {
        return \Coolify\Coold\Data\FirewallRule::from($data);
    }
}
