<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Data;

final readonly class FirewallShowAnswer
{
    /**
     * @param string $id The id of the rule.
     * @param string $namespace Its namespace.
     * @param string $src One IPv4 address.
     * @param string $dst One IPv4 address.
     * @param string|null $proto "tcp" or "udp"; absent: every protocol.
     * @param int|null $port Absent: every port.
     * @param int|null $packets Counted by the routed plane; absent when the rule does not stand there.
     * @param int|null $bytes As `packets`, in bytes.
     */
    public function __construct(
        public string $id,
        public string $namespace,
        public string $src,
        public string $dst,
        public ?string $proto,
        public ?int $port,
        public ?int $packets,
        public ?int $bytes,
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
            $data['packets'] ?? null,
            $data['bytes'] ?? null,
        );
    }
}
