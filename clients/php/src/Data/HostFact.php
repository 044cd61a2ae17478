<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Data;

/** The last event about a thing that is still there. */
final readonly class HostFact
{
    /**
     * @param int $at When it came about: Unix time in ms.
     * @param string $type As the type of the event.
     * @param \Coolify\Coold\Data\ContainerFact|null $container Of container.*: which, and how it is.
     * @param \Coolify\Coold\Data\FirewallFact|null $firewall Of firewall.*: how it is.
     * @param \Coolify\Coold\Data\DnsFact|null $dns Of dns.*: which listener, and how it is.
     * @param \Coolify\Coold\Data\BuildFact|null $build Of build.*: which, and how it is.
     */
    public function __construct(
        public int $at,
        public string $type,
        public ?\Coolify\Coold\Data\ContainerFact $container,
        public ?\Coolify\Coold\Data\FirewallFact $firewall,
        public ?\Coolify\Coold\Data\DnsFact $dns,
        public ?\Coolify\Coold\Data\BuildFact $build,
    ) {
    }

    /** @param array<string, mixed> $data as JSON has it; what a newer host says beyond these fields is left out */
    public static function from(array $data): self
    {
        return new self(
            $data['at'] ?? 0,
            $data['type'] ?? '',
            isset($data['container']) ? \Coolify\Coold\Data\ContainerFact::from($data['container']) : null,
            isset($data['firewall']) ? \Coolify\Coold\Data\FirewallFact::from($data['firewall']) : null,
            isset($data['dns']) ? \Coolify\Coold\Data\DnsFact::from($data['dns']) : null,
            isset($data['build']) ? \Coolify\Coold\Data\BuildFact::from($data['build']) : null,
        );
    }
}
