<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Data;

final readonly class FirewallFact
{
    /**
     * @param string $mode enforcing, permissive, broken or unknown, as firewall.status says it.
     * @param int $drift Rules in which kernel, snapshots and what was asked for differ.
     * @param string $problem What is wrong; empty: nothing.
     * @param string $repaired Of firewall.repair: hooks or deny, whichever was put back.
     */
    public function __construct(
        public string $mode,
        public int $drift,
        public string $problem,
        public string $repaired,
    ) {
    }

    /** @param array<string, mixed> $data as JSON has it; what a newer host says beyond these fields is left out */
    public static function from(array $data): self
    {
        return new self(
            $data['mode'] ?? '',
            $data['drift'] ?? 0,
            $data['problem'] ?? '',
            $data['repaired'] ?? '',
        );
    }
}
