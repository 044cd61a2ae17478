<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Data;

final readonly class FirewallBulkAnswer
{
    /**
     * @param int $added Rules that were not there before.
     * @param int $removed Rules that were there before.
     * @param int $total Rules that there are now.
     */
    public function __construct(
        public int $added,
        public int $removed,
        public int $total,
    ) {
    }

    /** @param array<string, mixed> $data as JSON has it; what a newer host says beyond these fields is left out */
    public static function from(array $data): self
    {
        return new self(
            $data['added'] ?? 0,
            $data['removed'] ?? 0,
            $data['total'] ?? 0,
        );
    }
}
