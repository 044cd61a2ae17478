<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Data;

final readonly class FirewallForeignRule
{
    /**
     * @param string $plane "iptables", "nft" or "guard".
     * @param string $text As the plane lists it.
     */
    public function __construct(
        public string $plane,
        public string $text,
    ) {
    }

    /** @param array<string, mixed> $data as JSON has it; what a newer host says beyond these fields is left out */
    public static function from(array $data): self
    {
        return new self(
            $data['plane'] ?? '',
            $data['text'] ?? '',
        );
    }
}
