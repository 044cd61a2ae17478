<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Data;

final readonly class FirewallRuleSet
{
    /**
     * @param int $count How many there are.
     * @param list<string> $ids The first 100.
     */
    public function __construct(
        public int $count,
        public array $ids,
    ) {
    }

    /** @param array<string, mixed> $data as JSON has it; what a newer host says beyond these fields is left out */
    public static function from(array $data): self
    {
        return new self(
            $data['count'] ?? 0,
            $data['ids'] ?? [],
        );
    }
}
