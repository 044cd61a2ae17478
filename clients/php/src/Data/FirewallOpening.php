<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Data;

/** A body of firewall.allow. */
final readonly class FirewallOpening
{
    /**
     * @param string $src One IPv4 address.
     * @param string $dst One IPv4 address.
     * @param string|null $namespace Absent: "default".
     * @param string|null $proto "tcp" or "udp"; absent: every protocol.
     * @param int|null $port Absent: every port.
     */
    public function __construct(
        public string $src,
        public string $dst,
        public ?string $namespace,
        public ?string $proto,
        public ?int $port,
    ) {
    }

    /** @param array<string, mixed> $data as JSON has it; what a newer host says beyond these fields is left out */
    public static function from(array $data): self
    {
        return new self(
            $data['src'] ?? '',
            $data['dst'] ?? '',
            $data['namespace'] ?? null,
            $data['proto'] ?? null,
            $data['port'] ?? null,
        );
    }
}
