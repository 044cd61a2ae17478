<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Data;

/** Whether the first packet of a flow would pass this host, by the rules that its kernel has now. */
final readonly class FirewallExplainAnswer
{
    /**
     * @param string $verdict "passes", "blocked" or "unknown": of this host's own hops. Another host answers for its
     * own: see `elsewhere`.
     * @param list<\Coolify\Coold\Data\FirewallHop> $hops In the order of the packet's way, those of other hosts
     * included.
     * @param list<\Coolify\Coold\Data\FirewallElsewhere> $elsewhere What to ask the hosts that have hops of their own.
     * @param list<string> $notes What else a reader should know, such as a container that does not run.
     * @param \Coolify\Coold\Data\FirewallFlowEnd|null $src The end that the flow comes from.
     * @param \Coolify\Coold\Data\FirewallFlowEnd|null $dst The end that it goes to.
     * @param string|null $proto As it was asked for.
     * @param int|null $port As it was asked for.
     * @param \Coolify\Coold\Data\FirewallOpening|null $allow What firewall.allow has to be given on this host for a
     * flow that is blocked here. Absent: nothing is blocked, or no allow rule opens it.
     */
    public function __construct(
        public string $verdict,
        public array $hops,
        public array $elsewhere,
        public array $notes,
        public ?\Coolify\Coold\Data\FirewallFlowEnd $src,
        public ?\Coolify\Coold\Data\FirewallFlowEnd $dst,
        public ?string $proto,
        public ?int $port,
        public ?\Coolify\Coold\Data\FirewallOpening $allow,
    ) {
    }

    /** @param array<string, mixed> $data as JSON has it; what a newer host says beyond these fields is left out */
    public static function from(array $data): self
    {
        return new self(
            $data['verdict'] ?? '',
            array_map(\Coolify\Coold\Data\FirewallHop::from(...), $data['hops'] ?? []),
            array_map(\Coolify\Coold\Data\FirewallElsewhere::from(...), $data['elsewhere'] ?? []),
            $data['notes'] ?? [],
            isset($data['src']) ? \Coolify\Coold\Data\FirewallFlowEnd::from($data['src']) : null,
            isset($data['dst']) ? \Coolify\Coold\Data\FirewallFlowEnd::from($data['dst']) : null,
            $data['proto'] ?? null,
            $data['port'] ?? null,
            isset($data['allow']) ? \Coolify\Coold\Data\FirewallOpening::from($data['allow']) : null,
        );
    }
}
