<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Data;

final readonly class FirewallRuleCounts
{
    /**
     * @param int $model What was asked of coold.
     * @param int $iptables The routed plane.
     * @param int $nft The bridge plane.
     * @param int $snapshot The files.
     * @param int $guard Elements of the guard's sets: rules that differ in their namespace alone share one.
     */
    public function __construct(
        public int $model,
        public int $iptables,
        public int $nft,
        public int $snapshot,
        public int $guard,
    ) {
    }

    /** @param array<string, mixed> $data as JSON has it; what a newer host says beyond these fields is left out */
    public static function from(array $data): self
    {
        return new self(
            $data['model'] ?? 0,
            $data['iptables'] ?? 0,
            $data['nft'] ?? 0,
            $data['snapshot'] ?? 0,
            $data['guard'] ?? 0,
        );
    }
}
