<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Data;

/** One allowed flow. */
final readonly class FirewallRule
{
    /**
     * @param string $id First 12 hex digits of SHA-256 of "namespace|src|dst|proto|port"; when given, it must be that.
     * @param string $namespace A DNS label; "default" when empty.
     * @param string $src One IPv4 address each.
     * @param string $dst One IPv4 address.
     * @param string|null $proto "tcp" or "udp"; absent: every protocol.
     * @param int|null $port From 1 to 65535, with a proto; absent: every port.
     */
    public function __construct(
        public string $id,
        public string $namespace,
        public string $src,
        public string $dst,
        public ?string $proto,
        public ?int $port,
    ) {
    }

    /** @param array<string, mixed> $data as JSON has it; what a newer host says beyond these fields is left out */
    public static function from(array $data): self
    {
        return new self(
            $data['id'] ?? '',
            $data['namespace'] ?? '',
            $data['src'] ?? '',
            $data['dst'] ?? '',
            $data['proto'] ?? null,
            $data['port'] ?? null,
        );
    }
}
