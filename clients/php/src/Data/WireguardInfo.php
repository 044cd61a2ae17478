<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Data;

final readonly class WireguardInfo
{
    /**
     * @param string $interface The name of the interface.
     * @param list<\Coolify\Coold\Data\WireguardPeer> $peers None where there is no such interface.
     */
    public function __construct(
        public string $interface,
        public array $peers,
    ) {
    }

    /** @param array<string, mixed> $data as JSON has it; what a newer host says beyond these fields is left out */
    public static function from(array $data): self
    {
        return new self(
            $data['interface'] ?? '',
            array_map(\Coolify\Coold\Data\WireguardPeer::from(...), $data['peers'] ?? []),
        );
    }
}
