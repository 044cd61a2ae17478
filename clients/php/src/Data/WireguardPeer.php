<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Data;

final readonly class WireguardPeer
{
    /**
     * @param string $publicKey The key that the peer is known by.
     * @param string $endpoint Empty while it is unknown.
     * @param list<string> $allowedIps Networks that are reached by the peer.
     * @param int $rx Bytes that came from the peer.
     * @param int $tx Bytes that went to the peer.
     * @param int|null $lastHandshakeS Seconds since the last handshake; absent when there was none.
     */
    public function __construct(
        public string $publicKey,
        public string $endpoint,
        public array $allowedIps,
        public int $rx,
        public int $tx,
        public ?int $lastHandshakeS,
    ) {
    }

    /** @param array<string, mixed> $data as JSON has it; what a newer host says beyond these fields is left out */
    public static function from(array $data): self
    {
        return new self(
            $data['public_key'] ?? '',
            $data['endpoint'] ?? '',
            $data['allowed_ips'] ?? [],
            $data['rx'] ?? 0,
            $data['tx'] ?? 0,
            $data['last_handshake_s'] ?? null,
        );
    }
}
