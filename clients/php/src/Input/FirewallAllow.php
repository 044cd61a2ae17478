<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Input;

final readonly class FirewallAllow
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

    /** @return array<string, mixed> what is given, as JSON has it */
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
}
