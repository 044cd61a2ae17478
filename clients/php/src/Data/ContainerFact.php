<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Data;

final readonly class ContainerFact
{
    /**
     * @param string $id The whole id.
     * @param string $name The name.
     * @param string $state Lower-case, as Podman says; of one that is removed the last.
     * @param string $health "unknown" without a healthcheck.
     * @param string $startedAt As Podman writes it; empty while it never ran. A restart changes it.
     * @param int $exitCode Of the last run; 0 while it runs.
     */
    public function __construct(
        public string $id,
        public string $name,
        public string $state,
        public string $health,
        public string $startedAt,
        public int $exitCode,
    ) {
    }

    /** @param array<string, mixed> $data as JSON has it; what a newer host says beyond these fields is left out */
    public static function from(array $data): self
    {
        return new self(
            $data['id'] ?? '',
            $data['name'] ?? '',
            $data['state'] ?? '',
            $data['health'] ?? '',
            $data['started_at'] ?? '',
            $data['exit_code'] ?? 0,
        );
    }
}
