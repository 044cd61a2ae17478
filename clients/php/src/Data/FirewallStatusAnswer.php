<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Data;

final readonly class FirewallStatusAnswer
{
    /**
     * @param string $mode "enforcing", "permissive" (no scaffold: nothing is denied), "broken" (mesh.env names a
     * default deny that is not in place: containers may reach each other) or "unknown" (it could not be read yet, or
     * it was changed a moment ago and is being looked at).
     * @param bool $permissive The mode is "permissive".
     * @param string $backend Which iptables: "nf_tables", "legacy" or "unknown".
     * @param bool $watched Changes by others are announced as they happen; otherwise they are found by looking.
     * @param list<\Coolify\Coold\Data\FirewallForeignRule> $foreign What stands in the allow chains and is none of
     * ours; it stays.
     * @param int $hookRepairs How often the default deny's hooks had to be put back on top of FORWARD.
     * @param int $denyRepairs How often the default deny itself was gone, or a part of it, and was put back.
     * @param \Coolify\Coold\Data\FirewallRuleCounts|null $rules How many rules each place has.
     * @param \Coolify\Coold\Data\FirewallDrift|null $drift Rules in which the places differ.
     * @param string|null $snapshotError What is wrong with the snapshots; absent: nothing.
     * @param string|null $unfinished A failed change that could not be taken back yet; absent: none.
     * @param \Coolify\Coold\Data\FirewallLastError|null $lastError The last change that failed; absent: none did.
     * @param \Coolify\Coold\Data\FirewallRuleSet|null $orphans Rules with an address that no container of the mesh
     * has; absent: it is not known which there are.
     * @param string|null $denyProblem What is missing of the default deny while the mode is "broken", or why it is
     * "unknown" how it is; absent otherwise.
     */
    public function __construct(
        public string $mode,
        public bool $permissive,
        public string $backend,
        public bool $watched,
        public array $foreign,
        public int $hookRepairs,
        public int $denyRepairs,
        public ?\Coolify\Coold\Data\FirewallRuleCounts $rules,
        public ?\Coolify\Coold\Data\FirewallDrift $drift,
        public ?string $snapshotError,
        public ?string $unfinished,
        public ?\Coolify\Coold\Data\FirewallLastError $lastError,
        public ?\Coolify\Coold\Data\FirewallRuleSet $orphans,
        public ?string $denyProblem,
    ) {
    }

    /** @param array<string, mixed> $data as JSON has it; what a newer host says beyond these fields is left out */
    public static function from(array $data): self
    {
        return new self(
            $data['mode'] ?? '',
            $data['permissive'] ?? false,
            $data['backend'] ?? '',
            $data['watched'] ?? false,
            array_map(\Coolify\Coold\Data\FirewallForeignRule::from(...), $data['foreign'] ?? []),
            $data['hook_repairs'] ?? 0,
            $data['deny_repairs'] ?? 0,
            isset($data['rules']) ? \Coolify\Coold\Data\FirewallRuleCounts::from($data['rules']) : null,
            isset($data['drift']) ? \Coolify\Coold\Data\FirewallDrift::from($data['drift']) : null,
            $data['snapshot_error'] ?? null,
            $data['unfinished'] ?? null,
            isset($data['last_error']) ? \Coolify\Coold\Data\FirewallLastError::from($data['last_error']) : null,
            isset($data['orphans']) ? \Coolify\Coold\Data\FirewallRuleSet::from($data['orphans']) : null,
            $data['deny_problem'] ?? null,
        );
    }
}
