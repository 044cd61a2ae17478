<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Data;

final readonly class FirewallDrift
{
    /**
     * @param \Coolify\Coold\Data\FirewallRuleSet|null $inKernelOnly In a plane, but never asked of this coold.
     * @param \Coolify\Coold\Data\FirewallRuleSet|null $inModelOnly Acknowledged, but missing from a plane.
     * @param \Coolify\Coold\Data\FirewallRuleSet|null $planesDiffer In one plane and not in the other.
     * @param \Coolify\Coold\Data\FirewallRuleSet|null $snapshotDiffers In the snapshots and not acknowledged, or the
     * other way round.
     */
    public function __construct(
        public ?\Coolify\Coold\Data\FirewallRuleSet $inKernelOnly,
        public ?\Coolify\Coold\Data\FirewallRuleSet $inModelOnly,
        public ?\Coolify\Coold\Data\FirewallRuleSet $planesDiffer,
        public ?\Coolify\Coold\Data\FirewallRuleSet $snapshotDiffers,
    ) {
    }

    /** @param array<string, mixed> $data as JSON has it; what a newer host says beyond these fields is left out */
    public static function from(array $data): self
    {
        return new self(
            isset($data['in_kernel_only']) ? \Coolify\Coold\Data\FirewallRuleSet::from($data['in_kernel_only']) : null,
            isset($data['in_model_only']) ? \Coolify\Coold\Data\FirewallRuleSet::from($data['in_model_only']) : null,
            isset($data['planes_differ']) ? \Coolify\Coold\Data\FirewallRuleSet::from($data['planes_differ']) : null,
            isset($data['snapshot_differs']) ? \Coolify\Coold\Data\FirewallRuleSet::from($data['snapshot_differs']) : null,
        );
    }
}
