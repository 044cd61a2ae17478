<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Data;

final readonly class FirewallHop
{
    /**
     * @param string $hop "source_bridge", "source_forward", "wireguard", "destination_forward" or
     * "destination_bridge"; between containers of one host "bridge" within one bridge, and "forward" where its rules
     * of IP judge.
     * @param string $verdict "passes", "blocked", "unknown", or "elsewhere": another host judges.
     * @param string $why A sentence.
     * @param \Coolify\Coold\Data\FirewallDecider|null $by What decided; absent: no rule did.
     */
    public function __construct(
        public string $hop,
        public string $verdict,
        public string $why,
        public ?\Coolify\Coold\Data\FirewallDecider $by,
    ) {
    }

    /** @param array<string, mixed> $data as JSON has it; what a newer host says beyond these fields is left out */
    public static function from(array $data): self
    {
        return new self(
            $data['hop'] ?? '',
            $data['verdict'] ?? '',
            $data['why'] ?? '',
            isset($data['by']) ? \Coolify\Coold\Data\FirewallDecider::from($data['by']) : null,
        );
    }
}
