<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Data;

final readonly class FirewallDecider
{
    /**
     * @param string $chain As nft or iptables names the chain: "inet coolify_guard to_container".
     * @param string $text In words like those of nft; "policy drop" where no rule but the chain's policy decided.
     * @param list<string> $ruleIds The ids of the allow rules that it is, or that the set which decided has its
     * element of.
     */
    public function __construct(
        public string $chain,
        public string $text,
        public array $ruleIds,
    ) {
    }

    /** @param array<string, mixed> $data as JSON has it; what a newer host says beyond these fields is left out */
    public static function from(array $data): self
    {
        return new self(
            $data['chain'] ?? '',
            $data['text'] ?? '',
            $data['rule_ids'] ?? [],
        );
    }
}
