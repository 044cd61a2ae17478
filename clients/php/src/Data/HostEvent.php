<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Data;

/** One line of the stream. */
final readonly class HostEvent
{
    /**
     * @param string $cursor Resumes behind this event. Opaque.
     * @param int $at Unix time in ms.
     * @param string $type begin: the first where no cursor was given; `known` says how everything is. gap: events are
     * missing, `reason` says why; `known` says how everything is now, also what changed meanwhile. alive: nothing
     * happened for a while. container.created, container.state, container.health, container.removed firewall.state,
     * firewall.repair dns.listener, dns.removed build.state, build.removed
     * @param string $reason Of a gap. restarted: the cursor is of a coold before the last restart. too_old: more
     * happened since than is kept. too_slow: this reader did not read for so long. unknown: the cursor is ahead of
     * this coold.
     * @param list<\Coolify\Coold\Data\HostFact> $known Of begin and gap.
     * @param \Coolify\Coold\Data\ContainerFact|null $container Of container.*: which, and how it is.
     * @param \Coolify\Coold\Data\FirewallFact|null $firewall Of firewall.*: how it is.
     * @param \Coolify\Coold\Data\DnsFact|null $dns Of dns.*: which listener, and how it is.
     * @param \Coolify\Coold\Data\BuildFact|null $build Of build.*: which, and how it is.
     */
    public function __construct(
        public string $cursor,
        public int $at,
        public string $type,
        public string $reason,
        public array $known,
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
            $data['cursor'] ?? '',
            $data['at'] ?? 0,
            $data['type'] ?? '',
            $data['reason'] ?? '',
            array_map(\Coolify\Coold\Data\HostFact::from(...), $data['known'] ?? []),
            isset($data['container']) ? \Coolify\Coold\Data\ContainerFact::from($data['container']) : null,
            isset($data['firewall']) ? \Coolify\Coold\Data\FirewallFact::from($data['firewall']) : null,
            isset($data['dns']) ? \Coolify\Coold\Data\DnsFact::from($data['dns']) : null,
            isset($data['build']) ? \Coolify\Coold\Data\BuildFact::from($data['build']) : null,
        );
    }
}
